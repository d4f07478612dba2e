/*
 * match_word: comparisons of words, addresses, globs and networks.
 *
 * Called by match.c, conf_check, conf_query, and lookup (networks). Pure code; ASCII case does not count. No comparison takes
 * more than |pattern| x |text| steps.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mail/addr.h"
#include "conf/match_word.h"

static int
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

/* `*` any bytes, `?` one. On a mismatch only the last star is tried further on. */
bool
glob_match(const char *glob, const char *text)
{
	const char *star = NULL, *retry = NULL;

	while (*text != '\0') {
		if (*glob == '*') {
			star = ++glob;
			retry = text;
		} else if (*glob != '\0' && (*glob == '?' || lower(*glob) == lower(*text))) {
			glob++;
			text++;
		} else if (star != NULL) {
			glob = star;
			text = ++retry;
		} else {
			return false;
		}
	}
	while (*glob == '*')
		glob++;
	return *glob == '\0';
}

bool
pattern_word(const struct pattern *pat, const char *value)
{
	size_t n, len;

	switch (pat->kind) {
	case PAT_WORD:
		return strcasecmp(pat->text, value) == 0;
	case PAT_SUFFIX:
		n = strlen(pat->text);
		len = strlen(value);
		return len > n && strcasecmp(value + len - n, pat->text) == 0;
	case PAT_GLOB:
		return glob_match(pat->text, value);
	case PAT_NONE:
	case PAT_TABLE:
		break;
	}
	return false;
}

static bool
with_key(const struct pattern *pat, const char *value, bool cut_tag)
{
	char user[ADDR_LOCAL_MAX + 1], full[ADDR_LOCAL_MAX + ADDR_DOMAIN_MAX + 2];

	addr_key(value, user, sizeof(user), cut_tag);
	snprintf(full, sizeof(full), "%s@%s", user, addr_domain(value));
	return pattern_word(pat, full);
}

bool
pattern_address(const struct pattern *pat, const char *value)
{
	if (value[0] == '\0')
		return strcmp(pat->text, "<>") == 0 || strcmp(pat->text, "*") == 0;
	if (strchr(pat->text, '@') == NULL)
		return pattern_word(pat, addr_domain(value));
	return with_key(pat, value, false) || with_key(pat, value, true);
}

/* ---- networks ---- */

bool
cidr_parse(const char *s, struct cidr *c)
{
	const char *slash = strchr(s, '/');
	size_t n = slash != NULL ? (size_t)(slash - s) : strlen(s);
	char addr[INET6_ADDRSTRLEN + 2], *a = addr, *end;
	unsigned long bits;

	memset(c, 0, sizeof(*c));
	if (n == 0 || n >= sizeof(addr))
		return false;
	memcpy(addr, s, n);
	addr[n] = '\0';
	if (addr[0] == '[' && addr[n - 1] == ']') {
		addr[n - 1] = '\0';
		a++;
	}
	c->family = strchr(a, ':') != NULL ? AF_INET6 : AF_INET;
	if (inet_pton(c->family, a, c->addr) != 1)
		return false;
	c->bits = c->family == AF_INET ? 32 : 128;
	if (slash == NULL)
		return true;
	bits = strtoul(slash + 1, &end, 10);
	if (slash[1] < '0' || slash[1] > '9' || *end != '\0' || bits > c->bits)
		return false;
	c->bits = (unsigned)bits;
	return true;
}

static bool
same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned bytes = bits / 8, rest = bits % 8;

	return memcmp(a, b, bytes) == 0 && (rest == 0 || ((a[bytes] ^ b[bytes]) >> (8 - rest)) == 0);
}

/* A client at an IPv4-mapped IPv6 address is that IPv4 client. */
bool
cidr_match(const struct cidr *c, const struct sockaddr *sa)
{
	const struct in6_addr *in6;

	if (sa->sa_family == AF_INET)
		return c->family == AF_INET && same_bits(c->addr, (const uint8_t *)&((const struct sockaddr_in *)(const void *)sa)->sin_addr, c->bits);
	if (sa->sa_family != AF_INET6)
		return false;
	in6 = &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
	if (c->family == AF_INET)
		return IN6_IS_ADDR_V4MAPPED(in6) && same_bits(c->addr, in6->s6_addr + 12, c->bits);
	return same_bits(c->addr, in6->s6_addr, c->bits);
}
