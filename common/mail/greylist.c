/*
 * greylist: see greylist.h. Called with texts that servers made: anything may stand there, and nothing is believed beyond an hour.
 */
#include <ctype.h>
#include <string.h>
#include "mail/greylist.h"

#define HINT_LEAST	10
#define HINT_MOST	3600

static bool
names_it(const char *text)
{
	static const char *const words[] = { "greylist", "graylist", "grey-list", "gray-list", "grey list", "gray list", "postgrey" };
	size_t i;

	for (i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcasestr(text, words[i]) != NULL)
			return true;
	return false;
}

bool
greylisted(unsigned code, const char *dsn, const char *text)
{
	if (code / 100 != 4 || code == 421)
		return false;
	return ((code == 450 || code == 451) && strcmp(dsn, "4.7.1") == 0) || names_it(text);
}

/* Digits at *s, which moves behind them; values beyond an hour are all alike. */
static unsigned
number(const char **s)
{
	unsigned n = 0;

	for (; isdigit((unsigned char)**s); (*s)++)
		if (n < 100000)
			n = n * 10 + (unsigned)(**s - '0');
	return n;
}

/* Seconds of one unit behind a number, 0 if there is none. */
static unsigned
unit(const char *s)
{
	static const struct {
		const char	*word;
		unsigned	 seconds;
	} units[] = { { "seconds", 1 }, { "second", 1 }, { "secs", 1 }, { "sec", 1 }, { "s", 1 }, { "minutes", 60 }, { "minute", 60 },
	    { "mins", 60 }, { "min", 60 }, { "m", 60 }, { "hours", 3600 }, { "hour", 3600 }, { "h", 3600 } };
	size_t i, n;

	s += *s == ' ' || *s == '-';
	for (i = 0; i < sizeof units / sizeof units[0]; i++) {
		n = strlen(units[i].word);
		if (strncasecmp(s, units[i].word, n) == 0 && !isalnum((unsigned char)s[n]))
			return units[i].seconds;
	}
	return 0;
}

/* [HH:]MM:SS behind a first number n; *s stands at its colon. */
static unsigned
clock_time(unsigned n, const char **s)
{
	unsigned parts = 1;

	while (parts < 3 && (*s)[0] == ':' && isdigit((unsigned char)(*s)[1])) {
		(*s)++;
		n = n * 60 + number(s);
		parts++;
	}
	return n;
}

static uint64_t
bounded(uint64_t seconds)
{
	return (seconds < HINT_LEAST ? HINT_LEAST : seconds > HINT_MOST ? HINT_MOST : seconds) * 1000;
}

uint64_t
greylist_hint(const char *text)
{
	const char *s = text;
	unsigned n, u;

	while (*s != '\0') {
		if (!isdigit((unsigned char)*s)) {
			/* 192.0.2.1, x5: not a number of its own */
			while (isalnum((unsigned char)*s))
				s++;
			s += *s != '\0';
			continue;
		}
		n = number(&s);
		if (*s == '.') {
			while (*s == '.' || isalnum((unsigned char)*s))
				s++;
			continue;
		}
		if (*s == ':' && isdigit((unsigned char)s[1]))
			return bounded(clock_time(n, &s));
		if ((u = unit(s)) > 0)
			return bounded((uint64_t)n * u);
	}
	return 0;
}
