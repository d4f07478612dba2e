/*
 * verb: see verb.h.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "listener/verb.h"

#define SHORTEST	4
#define NAME_M(name)	[VERB_##name] = #name,

static const char *const names[VERB__MAX] = { [VERB_NONE] = "CONNECT", VERBS(NAME_M) [VERB_UNKNOWN] = "UNKNOWN" };

enum verb
verb_find(const char *line, size_t n, size_t *end)
{
	enum verb v;

	for (*end = 0; *end < n && line[*end] != ' ' && line[*end] != '\t'; (*end)++)
		;
	for (v = VERB_NONE + 1; *end >= SHORTEST && v < VERB_UNKNOWN; v++)
		if (strncasecmp(line, names[v], *end) == 0 && names[v][*end] == '\0')
			return v;
	return VERB_UNKNOWN;
}

const char *
verb_name(enum verb v)
{
	return names[v];
}

struct verb_text
verb_count_name(enum verb v)
{
	struct verb_text t;
	size_t i;

	for (i = 0; i + 1 < sizeof(t.s) && names[v][i] != '\0'; i++)
		t.s[i] = (char)tolower((unsigned char)names[v][i]);
	t.s[i] = '\0';
	return t;
}
