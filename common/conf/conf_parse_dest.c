/*
 * conf_parse_dest: `destination ... { ... }`, `bulk { ... }`, `bounces { ... }`: how long and how fast mail is tried, for whom or of
 * which kind.
 *
 * Called by conf_parse after the pools, which are named here. Pure code. Which block counts for whom is in conf_query.c.
 */
#include <stdlib.h>
#include <string.h>
#include "mail/addr.h"
#include "conf/conf_parse.h"
#include "base/xmalloc.h"

/* ---- the keys ---- */

static bool
dest_time(struct parse *p, const char *s, const struct conf_tok *t, uint64_t *out)
{
	const char *wrong = conf_time(s, out);

	return wrong == NULL || conf_bad(p, t, "\"%s\": %s", s, wrong);
}

static bool
dest_retry(struct parse *p, void *obj)
{
	struct conf_dest *d = obj;
	const struct conf_tok *t = conf_peek(p);
	const char *s = conf_want(p, "the shortest and longest wait, such as 5m..4h"), *dots;
	char *first;
	bool ok;

	if (s == NULL)
		return false;
	if ((dots = strstr(s, "..")) == NULL)
		return conf_bad(p, t, "\"%s\": write the shortest and the longest wait as 5m..4h", s);
	first = xstrndup(s, (size_t)(dots - s));
	ok = dest_time(p, first, t, &d->retry_min) && dest_time(p, dots + 2, t, &d->retry_max);
	free(first);
	if (ok && d->retry_min > d->retry_max)
		return conf_bad(p, t, "\"%s\": the first time must not be longer than the second", s);
	d->has |= DEST_HAS_RETRY;
	return ok;
}

static bool
dest_lifetime(struct parse *p, void *obj)
{
	struct conf_dest *d = obj;
	const char *s = conf_want(p, "a time, such as 5d");

	d->has |= DEST_HAS_LIFETIME;
	return s != NULL && dest_time(p, s, conf_last(p), &d->lifetime);
}

static bool
dest_delay_notice(struct parse *p, void *obj)
{
	struct conf_dest *d = obj;
	const char *s;

	d->has |= DEST_HAS_DELAY_NOTICE;
	if (conf_accept(p, "never"))
		return true;
	s = conf_want(p, "a time, such as 4h, or never");
	return s != NULL && dest_time(p, s, conf_last(p), &d->delay_notice);
}

static bool
dest_count(struct parse *p, const char *key, const char *of, unsigned most, unsigned *out)
{
	const char *s = conf_want(p, of);
	uint64_t n;

	if (s == NULL)
		return false;
	if (conf_count(s, &n) != NULL || n > most)
		return conf_bad(p, conf_last(p), "%s \"%s\": a number from 1 to %u is expected", key, s, most);
	*out = (unsigned)n;
	return true;
}

static bool
dest_concurrency(struct parse *p, void *obj)
{
	struct conf_dest *d = obj;

	d->has |= DEST_HAS_CONCURRENCY;
	return dest_count(p, "concurrency", "a number of connections", 10000, &d->concurrency);
}

static bool
dest_messages(struct parse *p, void *obj)
{
	struct conf_dest *d = obj;

	d->has |= DEST_HAS_MESSAGES;
	return dest_count(p, "messages-per-connection", "a number of messages", 1000000, &d->messages);
}

static bool
dest_recipients(struct parse *p, void *obj)
{
	struct conf_dest *d = obj;

	d->has |= DEST_HAS_RECIPIENTS;
	return dest_count(p, "recipients-per-message", "a number of recipients", 100, &d->recipients);
}

static bool
dest_rate(struct parse *p, void *obj)
{
	struct conf_dest *d = obj;
	const char *s = conf_want(p, "a rate, such as 20/s or 5000/h"), *wrong;

	if (s == NULL)
		return false;
	if ((wrong = conf_rate_hour(s, &d->rate)) != NULL)
		return conf_bad(p, conf_last(p), "\"%s\": %s", s, wrong);
	d->has |= DEST_HAS_RATE;
	if (!conf_accept(p, "burst"))
		return true;
	if ((s = conf_want(p, "a number of messages")) == NULL)
		return false;
	if ((wrong = conf_count(s, &d->burst)) != NULL)
		return conf_bad(p, conf_last(p), "burst \"%s\": %s", s, wrong);
	return true;
}

static bool
dest_pool(struct parse *p, void *obj)
{
	struct conf_dest *d = obj;

	d->has |= DEST_HAS_POOL;
	return (d->pool = conf_want_pool(p)) != -1;
}

static bool
dest_family(struct parse *p, void *obj)
{
	struct conf_dest *d = obj;

	d->has |= DEST_HAS_FAMILY;
	d->family = AF_UNSPEC;
	if (conf_accept(p, "ipv4"))
		d->family = AF_INET;
	else if (conf_accept(p, "ipv6"))
		d->family = AF_INET6;
	else if (!conf_accept(p, "any"))
		return conf_expected(p, conf_peek(p), "any, ipv4 or ipv6");
	return true;
}

static bool
dest_8bit(struct parse *p, void *obj)
{
	struct conf_dest *d = obj;

	d->has |= DEST_HAS_8BIT;
	d->eightbit = EIGHTBIT_CONVERT;
	if (conf_accept(p, "pass"))
		d->eightbit = EIGHTBIT_PASS;
	else if (conf_accept(p, "bounce"))
		d->eightbit = EIGHTBIT_BOUNCE;
	else if (!conf_accept(p, "convert"))
		return conf_expected(p, conf_peek(p), "convert, pass or bounce");
	return true;
}

/* ---- a block ---- */

struct dest_parse {
	struct conf_dest	*d;
	const struct opt_row	*rows;
	size_t			 n;
	unsigned		 seen;
};

static bool
dest_item(struct parse *p, void *obj)
{
	struct dest_parse *dp = obj;

	return conf_option(p, dp->rows, dp->n, dp->d, &dp->seen);
}

static bool
dest_block(struct parse *p, struct conf_dest *d, const struct opt_row *rows, size_t n)
{
	struct dest_parse dp = { .d = d, .rows = rows, .n = n };
	struct conf_pos at = conf_last(p)->pos;

	if (!conf_items(p, dest_item, &dp))
		return false;
	if ((d->has & DEST_HAS_LIFETIME) && (d->has & DEST_HAS_DELAY_NOTICE) && d->delay_notice >= d->lifetime)
		conf_report(p->unit, &at, true, "nobody is told of a delay here: mail is given up before delay-notice comes");
	return true;
}

/* ---- destination ---- */

static const struct opt_row dest_rows[] = {
	{ "retry",			dest_retry,		1 },
	{ "lifetime",			dest_lifetime,		2 },
	{ "concurrency",		dest_concurrency,	4 },
	{ "delay-notice",		dest_delay_notice,	8 },
	{ "rate",			dest_rate,		16 },
	{ "messages-per-connection",	dest_messages,		32 },
	{ "recipients-per-message",	dest_recipients,	64 },
	{ "pool",			dest_pool,		128 },
	{ "family",			dest_family,		256 },
	{ "8bit",			dest_8bit,		512 },
	{ "tls",			NULL,			0 },
};

static bool
dest_name(struct parse *p, struct conf_dest *d, bool mx)
{
	const char *s = conf_want(p, mx ? "the name of an MX, or a glob" : "DOMAIN, .DOMAIN, mx PATTERN or *");
	bool glob;

	if (s == NULL)
		return false;
	glob = strpbrk(s, "*?") != NULL;
	d->text = xstrdup(s);
	d->kind = mx ? (glob ? DEST_MX_GLOB : DEST_MX) : strcmp(s, "*") == 0 ? DEST_ANY : s[0] == '.' ? DEST_SUFFIX : DEST_EXACT;
	if (!mx && glob && d->kind != DEST_ANY)
		return conf_bad(p, conf_last(p), "\"%s\": a destination is no glob; .example.org means all domains below it", s);
	if (!glob && !addr_valid_domain(s + (d->kind == DEST_SUFFIX), true))
		return conf_bad(p, conf_last(p), "\"%s\" is not a valid domain name", s);
	return true;
}

static bool
dest_twice(const struct conf *c, const struct conf_dest *d)
{
	for (const struct conf_dest *e = c->dest; e < d; e++)
		if (e->text != NULL && (e->kind == d->kind) && strcasecmp(e->text, d->text) == 0)
			return true;
	return false;
}

bool
parse_destination(struct parse *p)
{
	struct conf *c = p->conf;
	const struct conf_tok *t = conf_peek(p);
	bool mx = conf_tok_is(t, "mx") && p->i + 1 < p->st->n && p->st->v[p->i + 1].kind != TOK_OPEN;
	struct conf_dest *d;

	p->i += mx;
	c->dest = conf_more(c->dest, c->ndest, sizeof(*c->dest));
	d = &c->dest[c->ndest++];
	if (!dest_name(p, d, mx))
		return false;
	if (dest_twice(c, d))
		return conf_bad(p, conf_last(p), "a second destination \"%s\"; put its keys into the first", d->text);
	return dest_block(p, d, ROWS(dest_rows));
}

/* ---- classes of mail ---- */

static const struct opt_row bulk_rows[] = {
	{ "retry",		dest_retry,		1 },
	{ "lifetime",		dest_lifetime,		2 },
	{ "delay-notice",	dest_delay_notice,	4 },
};

static const struct opt_row bounces_rows[] = {
	{ "retry",		dest_retry,		1 },
	{ "lifetime",		dest_lifetime,		2 },
};

bool
parse_bulk(struct parse *p)
{
	return dest_block(p, &p->conf->by_class[CLASS_BULK], ROWS(bulk_rows));
}

bool
parse_bounces(struct parse *p)
{
	return dest_block(p, &p->conf->by_class[CLASS_BOUNCE], ROWS(bounces_rows));
}

/* Nobody waits for a bounce, so there is nobody to be told of its delay either. */
void
conf_class_defaults(struct conf *c)
{
	c->by_class[CLASS_BOUNCE] = (struct conf_dest){ .has = DEST_HAS_LIFETIME | DEST_HAS_DELAY_NOTICE, .lifetime = 2ULL * 24 * 3600 * 1000 };
}
