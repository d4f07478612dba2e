/* span: see span.h. Owns nothing, cannot fail. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "spool/span.h"

#define FINE	10		/* below so many of a unit the next one is said too */

struct span
span(int64_t ms)
{
	static const struct { int64_t s; char name; } units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	int64_t s = ms > 0 ? (ms + 500) / 1000 : 0, step;
	struct span t;
	size_t i;

	for (i = 0; i < 3 && s < units[i].s; i++)
		;
	step = i < 3 && s < FINE * units[i].s ? units[i + 1].s : units[i].s;
	s = (s + step / 2) / step * step;
	if (i > 0 && s == units[i - 1].s)
		i--;
	if (s % units[i].s == 0)
		snprintf(t.s, sizeof(t.s), "%lld%c", (long long)(s / units[i].s), units[i].name);
	else
		snprintf(t.s, sizeof(t.s), "%lld%c%lld%c", (long long)(s / units[i].s), units[i].name,
		    (long long)(s % units[i].s / step), units[i + 1].name);
	return t;
}

struct span
size_text(uint64_t n)
{
	struct span t;

	if (n < 10000)
		snprintf(t.s, sizeof(t.s), "%llu", (unsigned long long)n);
	else if (n < 10000 * 1024ULL)
		snprintf(t.s, sizeof(t.s), "%lluK", (unsigned long long)n / 1024);
	else
		snprintf(t.s, sizeof(t.s), "%lluM", (unsigned long long)n / 1024 / 1024);
	return t;
}

struct span
plural(uint64_t n, const char *what)
{
	size_t len = strlen(what);
	bool ies = n != 1 && what[len - 1] == 'y';
	struct span t;

	snprintf(t.s, sizeof(t.s), "%llu %.*s%s", (unsigned long long)n, (int)(len - ies), what, ies ? "ies" : n != 1 ? "s" : "");
	return t;
}
