/*
 * conf_parse_pool: `source NAME address A ...` and `pool NAME { SOURCE [weight N], ... }`.
 *
 * Called by conf_parse, before actions and destinations, which name pools. Pure code.
 */
#include <string.h>
#include "mail/addr.h"
#include "conf/conf_parse.h"
#include "base/xmalloc.h"

#define WEIGHT_MAX	1000000

static int
source_index(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->nsource; i++)
		if (strcmp(c->source[i].name, name) == 0)
			return (int)i;
	return -1;
}

static int
pool_index(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->npool; i++)
		if (strcmp(c->pool[i].name, name) == 0)
			return (int)i;
	return -1;
}

static bool
source_address(struct parse *p, void *obj)
{
	struct conf_source *src = obj;
	const char *s = conf_want(p, "an address of this host");
	struct sockaddr_storage ss, *to;
	socklen_t len;

	if (s == NULL)
		return false;
	if (!conf_address(s, 0, &ss, &len))
		return conf_bad(p, conf_last(p), "\"%s\" is not an address", s);
	to = ss.ss_family == AF_INET ? &src->in4 : &src->in6;
	if (to->ss_family != AF_UNSPEC)
		return conf_bad(p, conf_last(p), "a second address of that family; a source has one IPv4 and one IPv6 address at most");
	*to = ss;
	return true;
}

static bool
source_helo(struct parse *p, void *obj)
{
	return conf_want_domain(p, &((struct conf_source *)obj)->helo, "the name to say in EHLO");
}

bool
parse_source(struct parse *p)
{
	static const struct opt_row rows[] = { { "address", source_address, 0 }, { "helo", source_helo, 1 } };
	struct conf *c = p->conf;
	const char *name = conf_want_name(p, "source", source_index);
	struct conf_source *src;
	unsigned seen = 0;

	if (name == NULL)
		return false;
	p->at.source = conf_more(p->at.source, c->nsource, sizeof(*p->at.source));
	p->at.source[c->nsource] = conf_last(p)->pos;
	c->source = conf_more(c->source, c->nsource, sizeof(*c->source));
	src = &c->source[c->nsource++];
	src->name = xstrdup(name);
	if (!conf_options(p, ROWS(rows), src, &seen))
		return false;
	if (src->in4.ss_family == AF_UNSPEC && src->in6.ss_family == AF_UNSPEC)
		return conf_expected(p, NULL, "address and an address of this host");
	return true;
}

static bool
pool_member(struct parse *p, void *obj)
{
	struct conf_pool *pool = obj;
	const char *s = conf_want(p, "the name of a source");
	uint64_t weight = 1;
	int i;

	if (s == NULL)
		return false;
	if ((i = source_index(p->conf, s)) == -1)
		return conf_bad(p, conf_last(p), "there is no source \"%s\"; add a statement: source %s address ...", s, s);
	for (size_t k = 0; k < pool->nmember; k++)
		if (pool->member[k].source == i)
			return conf_bad(p, conf_last(p), "the source \"%s\" stands in this pool already; give it a weight", s);
	if (conf_accept(p, "weight")) {
		if ((s = conf_want(p, "a weight, such as 2")) == NULL)
			return false;
		if (conf_count(s, &weight) != NULL || weight > WEIGHT_MAX)
			return conf_bad(p, conf_last(p), "weight \"%s\": a number from 1 to %u is expected", s, WEIGHT_MAX);
	}
	pool->member = conf_more(pool->member, pool->nmember, sizeof(*pool->member));
	pool->member[pool->nmember++] = (struct conf_member){ i, (unsigned)weight };
	return true;
}

bool
parse_pool(struct parse *p)
{
	struct conf *c = p->conf;
	const char *name = conf_want_name(p, "pool", pool_index);
	const struct conf_tok *t = conf_last(p);
	struct conf_pool *pool;

	if (name == NULL)
		return false;
	c->pool = conf_more(c->pool, c->npool, sizeof(*c->pool));
	pool = &c->pool[c->npool++];
	pool->name = xstrdup(name);
	if (!conf_items(p, pool_member, pool))
		return false;
	return pool->nmember > 0 || conf_bad(p, t, "the pool \"%s\" is empty; name a source in it", name);
}

int
conf_want_pool(struct parse *p)
{
	const char *s = conf_want(p, "the name of a pool");
	int i;

	if (s == NULL)
		return -1;
	if ((i = pool_index(p->conf, s)) == -1)
		conf_bad(p, conf_last(p), "there is no pool \"%s\"; add a statement: pool %s { ... }", s, s);
	return i;
}
