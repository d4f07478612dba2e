/*
 * conf_query: questions to a finished configuration, and its end.
 *
 * Called by every program. Pure code; a struct conf is only read here, but for conf_free.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include "conf/conf.h"
#include "conf/match.h"

/* ---- destinations ---- */

static bool
suffix_fits(const char *suffix, const char *domain)
{
	size_t n = strlen(suffix), len = strlen(domain);

	return len > n && strcasecmp(domain + len - n, suffix) == 0;
}

/* Whom a policy is for. With a smarthost mx is that. */
struct dest_names {
	const char	*domain, *smarthost, *mx;	/* smarthost and mx: NULL = none, or not known */
};

/* How specific a block is. Of suffixes and globs the longest, so their lengths are added: names are shorter than the steps between. */
enum dest_rank {
	RANK_NONE = 0, RANK_ANY, RANK_MX_GLOB, RANK_MX = 1000, RANK_SMARTHOST_SUFFIX = 2000, RANK_SMARTHOST = 3000, RANK_SUFFIX = 4000,
	RANK_EXACT = 5000
};

static unsigned
rank_exact(const char *name, const struct dest_names *of)
{
	if (strcasecmp(name, of->domain) == 0)
		return RANK_EXACT;
	return of->smarthost != NULL && strcasecmp(name, of->smarthost) == 0 ? RANK_SMARTHOST : RANK_NONE;
}

static unsigned
rank_suffix(const char *suffix, const struct dest_names *of)
{
	if (suffix_fits(suffix, of->domain))
		return RANK_SUFFIX + (unsigned)strlen(suffix);
	return of->smarthost != NULL && suffix_fits(suffix, of->smarthost) ? RANK_SMARTHOST_SUFFIX + (unsigned)strlen(suffix) : RANK_NONE;
}

/* RANK_NONE: it does not fit. */
static unsigned
dest_rank(const struct conf_dest *d, const struct dest_names *of)
{
	switch (d->kind) {
	case DEST_EXACT:
		return rank_exact(d->text, of);
	case DEST_SUFFIX:
		return rank_suffix(d->text, of);
	case DEST_MX:
		return of->mx != NULL && strcasecmp(d->text, of->mx) == 0 ? RANK_MX : RANK_NONE;
	case DEST_MX_GLOB:
		return of->mx != NULL && glob_match(d->text, of->mx) ? RANK_MX_GLOB + (unsigned)strlen(d->text) : RANK_NONE;
	case DEST_ANY:
		return RANK_ANY;
	}
	return RANK_NONE;
}

/* For each key the most specific block that has it. */
static void
dest_find(const struct conf *c, const struct conf_action *a, const char *domain, const char *mx, const struct conf_dest *by[DEST_KEYS])
{
	const char *smarthost = a != NULL && a->nvia > 0 ? a->via[0].host : NULL;
	struct dest_names of = { .domain = domain, .smarthost = smarthost, .mx = smarthost != NULL ? smarthost : mx };
	unsigned rank, best[DEST_KEYS] = { 0 };
	const struct conf_dest *d;

	for (size_t i = 0; i < c->ndest; i++) {
		d = &c->dest[i];
		rank = dest_rank(d, &of);
		for (unsigned k = 0; k < DEST_KEYS && rank > 0; k++) {
			if (!(d->has & 1U << k) || rank <= best[k])
				continue;
			best[k] = rank;
			by[k] = d;
		}
	}
}

/* The value for everybody is for each on its own. */
static const struct conf_dest *
shared_by(const struct conf_dest *d)
{
	return d != NULL && d->kind != DEST_ANY ? d : NULL;
}

struct dest_policy
conf_policy(const struct conf *c, const struct conf_action *a, const char *domain, const char *mx)
{
	static const struct conf_dest dflt = { .concurrency = 20, .recipients = 100, .pool = -1, .family = AF_UNSPEC, .retry_min = 5 * 60 * 1000,
	    .retry_max = 4 * 3600 * 1000, .lifetime = 5ULL * 24 * 3600 * 1000, .delay_notice = 4 * 3600 * 1000 };
	const struct conf_dest *by[DEST_KEYS] = { NULL };

	dest_find(c, a, domain, mx, by);
#define BY(key)	(by[__builtin_ctz(key)] != NULL ? by[__builtin_ctz(key)] : &dflt)
	return (struct dest_policy){ .concurrency = BY(DEST_HAS_CONCURRENCY)->concurrency, .messages = BY(DEST_HAS_MESSAGES)->messages,
	    .recipients = BY(DEST_HAS_RECIPIENTS)->recipients, .rate = BY(DEST_HAS_RATE)->rate, .burst = BY(DEST_HAS_RATE)->burst,
	    .pool = BY(DEST_HAS_POOL)->pool, .family = BY(DEST_HAS_FAMILY)->family, .eightbit = BY(DEST_HAS_8BIT)->eightbit,
	    .retry_min = BY(DEST_HAS_RETRY)->retry_min, .retry_max = BY(DEST_HAS_RETRY)->retry_max,
	    .lifetime = BY(DEST_HAS_LIFETIME)->lifetime, .delay_notice = BY(DEST_HAS_DELAY_NOTICE)->delay_notice,
	    .rate_by = shared_by(by[__builtin_ctz(DEST_HAS_RATE)]),
	    .concurrency_by = shared_by(by[__builtin_ctz(DEST_HAS_CONCURRENCY)]) };
#undef BY
}

const struct conf_dest *
conf_policy_by(const struct conf *c, const struct conf_action *a, const char *domain, const char *mx, unsigned key)
{
	const struct conf_dest *by[DEST_KEYS] = { NULL };

	dest_find(c, a, domain, mx, by);
	return by[__builtin_ctz(key)];
}

void
conf_policy_class(const struct conf *c, enum mail_class class, struct dest_policy *pol)
{
	const struct conf_dest *d = &c->by_class[class];

	if ((d->has & DEST_HAS_LIFETIME) && d->lifetime < pol->lifetime)
		pol->lifetime = d->lifetime;
	if (d->has & DEST_HAS_RETRY) {
		pol->retry_min = d->retry_min;
		pol->retry_max = d->retry_max;
	}
	if (d->has & DEST_HAS_DELAY_NOTICE)
		pol->delay_notice = d->delay_notice;
}

int
conf_action(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->naction; i++)
		if (strcmp(c->action[i].name, name) == 0)
			return (int)i;
	return -1;
}

/* ---- what is ours ---- */

struct ip {			/* an address in one form: IPv4 as IPv4-mapped IPv6 */
	uint8_t	b[16];
};

static void
ip_from4(struct ip *ip, const void *addr)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	memcpy(ip->b, mapped, sizeof(mapped));
	memcpy(ip->b + 12, addr, 4);
}

static bool
ip_from_sockaddr(struct ip *ip, const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET)
		ip_from4(ip, &((const struct sockaddr_in *)(const void *)sa)->sin_addr);
	else if (sa->sa_family == AF_INET6)
		memcpy(ip->b, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, sizeof(ip->b));
	else
		return false;
	return true;
}

static bool
ip_from_text(struct ip *ip, const char *s)
{
	struct in_addr in;

	if (inet_pton(AF_INET, s, &in) == 1) {
		ip_from4(ip, &in);
		return true;
	}
	return inet_pton(AF_INET6, s, ip->b) == 1;
}

static bool
ip_is_loopback(const struct ip *ip)
{
	const struct in6_addr *in6 = (const struct in6_addr *)(const void *)ip->b;

	return IN6_IS_ADDR_LOOPBACK(in6) || (IN6_IS_ADDR_V4MAPPED(in6) && ip->b[12] == 127);
}

static bool
ip_is_own(const struct conf *c, const struct ip *ip)
{
	static const struct ip any6, any4 = { { [10] = 0xff, [11] = 0xff } };
	struct ip own;

	if (ip_is_loopback(ip))
		return true;
	if (memcmp(ip, &any6, sizeof(*ip)) == 0 || memcmp(ip, &any4, sizeof(*ip)) == 0)
		return false;
	for (size_t i = 0; i < c->nlocal_addr; i++)
		if (ip_from_text(&own, c->local_addr[i]) && memcmp(&own, ip, sizeof(own)) == 0)
			return true;
	for (size_t i = 0; i < c->nlisten; i++)
		if (ip_from_sockaddr(&own, (const struct sockaddr *)&c->listen[i].sa) && memcmp(&own, ip, sizeof(own)) == 0)
			return true;
	return false;
}

bool
conf_is_own_address(const struct conf *c, const struct sockaddr *sa)
{
	struct ip ip;

	return ip_from_sockaddr(&ip, sa) && ip_is_own(c, &ip);
}

/* [192.0.2.1], [IPv6:2001:db8::1] */
static bool
is_own_literal(const struct conf *c, const char *domain)
{
	size_t n = strlen(domain);
	char addr[64];
	struct ip ip;

	if (n < 3 || n - 2 >= sizeof(addr) || domain[n - 1] != ']')
		return false;
	memcpy(addr, domain + 1, n - 2);
	addr[n - 2] = '\0';
	return ip_from_text(&ip, strncasecmp(addr, "IPv6:", 5) == 0 ? addr + 5 : addr) && ip_is_own(c, &ip);
}

bool
conf_is_local_domain(const struct conf *c, const char *domain)
{
	if (domain[0] == '\0')
		return true;
	if (domain[0] == '[')
		return is_own_literal(c, domain);
	if (strcasecmp(domain, c->domain) == 0 || strcasecmp(domain, c->hostname) == 0 || strcasecmp(domain, "localhost") == 0)
		return true;
	for (size_t i = 0; i < c->nlisten; i++)
		if (c->listen[i].hostname != NULL && strcasecmp(domain, c->listen[i].hostname) == 0)
			return true;
	return false;
}

/* ---- the end ---- */

static void
free_strings(char **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i]);
	free(v);
}

static void
free_listeners(struct conf *c)
{
	for (size_t i = 0; i < c->nlisten; i++) {
		free(c->listen[i].text);
		free(c->listen[i].hostname);
		free(c->listen[i].tag);
		free(c->listen[i].banner);
	}
	free(c->listen);
}

static void
free_tables(struct conf *c)
{
	for (size_t i = 0; i < c->ntable; i++) {
		free(c->table[i].name);
		free(c->table[i].path);
		free(c->table[i].owner);
		free_strings(c->table[i].keys, c->table[i].n);
		free_strings(c->table[i].values, c->table[i].n);
	}
	free(c->table);
}

static void
free_actions(struct conf *c)
{
	struct conf_action *a;

	for (size_t i = 0; i < c->naction; i++) {
		a = &c->action[i];
		free(a->name);
		free(a->path);
		free(a->user);
		for (size_t k = 0; k < a->nvia; k++)
			free(a->via[k].host);
		free(a->via);
	}
	free(c->action);
}

static void
free_pools(struct conf *c)
{
	for (size_t i = 0; i < c->nsource; i++) {
		free(c->source[i].name);
		free(c->source[i].helo);
	}
	for (size_t i = 0; i < c->npool; i++) {
		free(c->pool[i].name);
		free(c->pool[i].member);
	}
	free(c->source);
	free(c->pool);
}

static void
free_rules(struct conf *c)
{
	struct conf_match *m;

	for (size_t i = 0; i < c->nmatch; i++) {
		m = &c->match[i];
		free(m->file);
		free(m->text);
		free(m->helo.text);
		free(m->mail_from.text);
		free(m->tag.text);
		free(m->for_pattern.text);
		free(m->reply);
	}
	free(c->match);
	for (size_t i = 0; i < c->narchive; i++) {
		free(c->archive[i].from.text);
		free(c->archive[i].for_.text);
		free(c->archive[i].to);
	}
	free(c->archive);
}

void
conf_free(struct conf *c)
{
	if (c == NULL)
		return;
	free_listeners(c);
	free_tables(c);
	free_actions(c);
	free_rules(c);
	free_pools(c);
	for (size_t i = 0; i < c->ndest; i++)
		free(c->dest[i].text);
	free(c->dest);
	free_strings(c->resolvers, c->nresolvers);
	free_strings(c->local_addr, c->nlocal_addr);
	free(c->hostname);
	free(c->domain);
	free(c->postmaster);
	free(c->spool);
	free(c->runtime);
	free(c->log_path);
	free(c->me);
	free(c);
}
