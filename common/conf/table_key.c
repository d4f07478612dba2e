/*
 * table_key: see table_key.h.
 *
 * Called by lookup's tables, by conf_check and by the parent's look at the files. Owns nothing; an address without any key is found nowhere.
 */
#include <stdio.h>
#include <string.h>
#include "conf/match.h"
#include "conf/table_key.h"
#include "mail/addr.h"

#define KEY_MAX	1024

struct asked {
	bool		(*found)(void *, const char *);
	void		*arg;
};

static bool
is_key(const struct asked *a, const char *key)
{
	return a->found(a->arg, key);
}

static bool
is_at(const struct asked *a, const char *user, const char *domain)
{
	char key[ADDR_LOCAL_MAX + KEY_MAX + 2];

	snprintf(key, sizeof(key), "%s@%s", user, domain);
	return is_key(a, key);
}

static void
folded(char *out, size_t size, const char *s)
{
	snprintf(out, size, "%s", s);
	for (; *out != '\0'; out++)
		if (*out >= 'A' && *out <= 'Z')
			*out += 'a' - 'A';
}

/* .d of all that d is below */
static bool
is_below(const struct asked *a, const char *d)
{
	bool yes = false;

	while (!yes && (d = strchr(d + (*d != '\0'), '.')) != NULL)
		yes = is_key(a, d);
	return yes;
}

/* user+tag@d, user@d, (user+tag, user,) @d, (d,) .parent of d ... */
static bool
by_address(const struct asked *a, const char *addr, bool bare)
{
	char full[ADDR_LOCAL_MAX + 1], base[ADDR_LOCAL_MAX + 1], domain[KEY_MAX];
	bool tagged;

	addr_key(addr, full, sizeof(full), false);
	addr_key(addr, base, sizeof(base), true);
	folded(domain, sizeof(domain), addr_domain(addr));
	tagged = strcmp(full, base) != 0;
	if (is_at(a, full, domain) || (tagged && is_at(a, base, domain)))
		return true;
	if (bare && (is_key(a, full) || (tagged && is_key(a, base))))
		return true;
	if (is_at(a, "", domain) || (!bare && domain[0] != '\0' && is_key(a, domain)))
		return true;
	return is_below(a, domain);
}

static bool
by_domain(const struct asked *a, const char *name)
{
	char d[KEY_MAX];

	folded(d, sizeof(d), name);
	return is_key(a, d) || is_below(a, d);
}

bool
table_keys(enum ask_kind kind, const char *asked, bool (*found)(void *arg, const char *key), void *arg)
{
	struct asked a = { found, arg };
	bool yes;

	if (kind == ASK_DOMAIN)
		yes = by_domain(&a, asked);
	else if (strcmp(asked, "<>") == 0)		/* the null reverse-path has no parts */
		yes = is_key(&a, asked);
	else
		yes = by_address(&a, asked, kind == ASK_LOCAL);
	return yes || is_key(&a, "*");
}

/* ---- which entries mean something ---- */

static bool
host_bits(const struct cidr *c)
{
	bool set = false;

	for (unsigned i = c->bits; i < (c->family == AF_INET ? 32 : 128); i++)
		set = set || (c->addr[i / 8] & (0x80 >> i % 8)) != 0;
	return set;
}

static const char *
bad_network(const char *key, bool *warning)
{
	struct cidr c;

	if (!cidr_parse(key, &c))
		return "is not a network; write it like 192.0.2.0/24 or 2001:db8::/32";
	*warning = host_bits(&c);
	return *warning ? "has bits set behind its prefix, and means the whole network" : NULL;
}

static const char *
bad_domain(const char *key)
{
	if (key[0] == '\0' || strcmp(key, ".") == 0)
		return "is empty";
	if (strpbrk(key, "*?") != NULL)
		return "is a glob, which no table has; write .example.org for all below example.org";
	if (strpbrk(key, " \t/@<>") != NULL || strstr(key, "..") != NULL)
		return "is no domain; write example.org, or .example.org for all below it";
	return NULL;
}

static const char *
bad_address(const char *key, bool bare, bool *warning)
{
	const char *at = strrchr(key, '@'), *bad;

	if (at != NULL) {
		if (at - key == 1 && key[0] == '*')
			return "is a glob, which no table has; write @example.org for all of a domain";
		return bad_domain(at + 1) == NULL ? NULL : "has no domain behind its @; write user@example.org or @example.org";
	}
	if (bare && key[0] != '.')
		return key[0] == '\0' ? "is empty" : NULL;
	bad = bad_domain(key);
	*warning = bad == NULL && strchr(key, '.') == NULL && key[0] != '[' && strcmp(key, "localhost") != 0;
	return *warning ? "is the domain of that name here, not a user; write user@example.org if a user is meant" : bad;
}

const char *
table_key_bad(enum ask_kind kind, const char *key, bool *warning)
{
	*warning = false;
	if (kind == ASK_NETWORK)
		return bad_network(key, warning);
	if (strcmp(key, "*") == 0 || (kind == ASK_ADDRESS && strcmp(key, "<>") == 0))
		return NULL;
	if (kind != ASK_DOMAIN)
		return bad_address(key, kind == ASK_LOCAL, warning);
	return strchr(key, '@') != NULL ? "is an address, and domains are looked for here; write example.org" : bad_domain(key);
}
