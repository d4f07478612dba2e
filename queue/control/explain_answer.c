/*
 * explain: see explain.h.
 *
 * Called by control_explain when all is known. Owns nothing.
 */
#include <stdlib.h>
#include <string.h>
#include "mail/addr.h"
#include "program/child.h"
#include "core/nexthop.h"
#include "control/explain_answer.h"
#include "base/rate.h"
#include "core/sched.h"
#include "control/show.h"
#include "core/suspend.h"

/* ---- what holds ---- */

static const struct conf_action *
action_of(const struct explained *e)
{
	return &child_conf()->action[e->mt->action];
}

/* The mail host that decides, as deliver found it now, or the queue remembers it; NULL: it is not known. */
static const char *
mx(const struct explained *e)
{
	return e->way != NULL && *e->way->mx != '\0' ? e->way->mx : dest_mx(action_of(e)->name, addr_domain(e->addr));
}

static struct dest_policy
policy(const struct explained *e)
{
	struct dest_policy p = conf_policy(child_conf(), action_of(e), addr_domain(e->addr), mx(e));

	p.burst = p.rate > 0 ? rate_burst(p.rate, p.burst) : 0;
	return p;
}

static void
say_concurrency(struct buf *b, const struct dest_policy *p)
{
	buf_addf(b, "%s at once", plural(p->concurrency, "connection").s);
}

static void
say_rate(struct buf *b, const struct dest_policy *p)
{
	static const struct { uint64_t per_hour; const char *name; } units[] = { { 3600, "second" }, { 60, "minute" }, { 1, "hour" } };
	size_t i;

	if (p->rate == 0) {
		buf_adds(b, "any number of messages in a time");
		return;
	}
	for (i = 0; p->rate % units[i].per_hour != 0; i++)
		;
	buf_addf(b, "%s a %s, %llu at once", plural(p->rate / units[i].per_hour, "message").s, units[i].name, (unsigned long long)p->burst);
}

static void
say_messages(struct buf *b, const struct dest_policy *p)
{
	if (p->messages == 0)
		buf_adds(b, "any number of messages on a connection");
	else
		buf_addf(b, "%s on a connection", plural(p->messages, "message").s);
}

static void
say_recipients(struct buf *b, const struct dest_policy *p)
{
	buf_addf(b, "%s of a message in one transaction", plural(p->recipients, "recipient").s);
}

static void
say_retry(struct buf *b, const struct dest_policy *p)
{
	buf_addf(b, "tried again after %s to %s", span((int64_t)p->retry_min).s, span((int64_t)p->retry_max).s);
}

static void
say_lifetime(struct buf *b, const struct dest_policy *p)
{
	buf_addf(b, "given up after %s", span((int64_t)p->lifetime).s);
}

static void
say_delay_notice(struct buf *b, const struct dest_policy *p)
{
	if (p->delay_notice == 0)
		buf_adds(b, "no word to the sender of a delay");
	else
		buf_addf(b, "the sender is told of a delay after %s", span((int64_t)p->delay_notice).s);
}

static const struct limit {
	const char	*name;
	unsigned	 key;
	bool		 relay;			/* deliver's: not for a mailbox */
	void		(*say)(struct buf *, const struct dest_policy *);
} limits[] = {
	{ "concurrency", DEST_HAS_CONCURRENCY, true, say_concurrency },
	{ "rate", DEST_HAS_RATE, true, say_rate },
	{ "messages_per_connection", DEST_HAS_MESSAGES, true, say_messages },
	{ "recipients_per_message", DEST_HAS_RECIPIENTS, true, say_recipients },
	{ "retry", DEST_HAS_RETRY, false, say_retry },
	{ "lifetime", DEST_HAS_LIFETIME, false, say_lifetime },
	{ "delay_notice", DEST_HAS_DELAY_NOTICE, false, say_delay_notice },
};
#define LIMITS	(sizeof(limits) / sizeof(limits[0]))

static bool
applies(const struct explained *e, const struct limit *l)
{
	return !l->relay || action_of(e)->kind == ACTION_RELAY;
}

/* The words behind "destination" of the block that says so -> there is one */
static bool
block(struct buf *b, const struct explained *e, const struct limit *l)
{
	const struct conf_dest *d = conf_policy_by(child_conf(), action_of(e), addr_domain(e->addr), mx(e), l->key);

	if (d == NULL)
		return false;
	buf_addf(b, "%s%s", d->kind == DEST_MX || d->kind == DEST_MX_GLOB ? "mx " : "", d->text);
	return true;
}

/* "smarthost one.test:25, two.test:25", "the MX hosts of example.org", ... */
static void
goes(struct buf *b, const struct conf_action *a, const char *domain)
{
	size_t i;

	if (a->kind == ACTION_DISCARD)
		buf_adds(b, "thrown away");
	else if (a->kind == ACTION_MAILDIR)
		buf_addf(b, "mailbox %s on this host", a->path != NULL ? a->path : "~/Maildir");
	else if (a->nvia == 0 && *domain == '[')
		buf_addf(b, "the host %s", domain);
	else if (a->nvia == 0)
		buf_addf(b, "the MX hosts of %s, or else its addresses", domain);
	for (i = 0; i < a->nvia; i++)
		buf_addf(b, "%s%s%s:%u", i > 0 ? ", else " : "smarthost ", a->via[i].host, a->via[i].literal ? "" : " (its MX hosts)",
		    a->via[i].port);
}

static const char *
halted(const char *domain)
{
	if (suspend_has(SUSPEND_DOMAIN, domain))
		return "suspended";
	return sched_paused() ? "paused" : "running";
}

static void
source(struct buf *b, const struct explained *e)
{
	if (action_of(e)->kind != ACTION_RELAY)
		buf_adds(b, "none");
	else if (e->way == NULL)
		buf_adds(b, "not known");
	else if (*e->way->pool == '\0')
		buf_adds(b, "chosen by the system");
	else
		buf_addf(b, "pool %s", e->way->pool);
}

static const struct { const char *word, *text; } states[] = {
	[SOURCE_USABLE] = { "usable", "" }, [SOURCE_AWAY] = { "not here", ": not on this host" },
	[SOURCE_UNFIT] = { "unfit", ": no address of it on this host reaches these hosts" }, [SOURCE_SUSPENDED] = { "suspended", ": suspended" },
};

/* Deliver is believed no more than it must be. */
static uint8_t
state_of(const struct p_explain_source *s)
{
	return s->state < sizeof(states) / sizeof(states[0]) ? s->state : SOURCE_UNFIT;
}

/* A host rests when it does by all sources that might go there: the one that ends first. NULL: it does not. */
static const struct p_explain_rest *
rest_of(const struct p_explained *way, const struct p_explain_host *h)
{
	const struct p_explain_rest *least = h->rests;
	uint32_t i, usable = *way->pool == '\0';

	for (i = 0; i < way->sources_n; i++)
		usable += way->sources[i].state == SOURCE_USABLE;
	if (h->rests_n == 0 || h->rests_n < usable)
		return NULL;
	for (i = 1; i < h->rests_n; i++)
		if (h->rests[i].ms < least->ms)
			least = &h->rests[i];
	return least;
}

static unsigned long long
seconds(uint64_t ms)
{
	return (ms + 999) / 1000;
}

static const char *
trouble(const struct explained *e)
{
	return e->way != NULL ? e->way->trouble : e->trouble;
}

/* ---- JSON ---- */

static void
field(struct buf *b, const char *name, const char *value)
{
	buf_addf(b, ", \"%s\": ", name);
	json_str(b, value);
}

static void
rests_json(struct buf *b, const struct p_explained *way, const struct p_explain_host *h)
{
	const struct p_explain_rest *r = rest_of(way, h);
	uint32_t i;

	buf_addf(b, ", \"rests\": %llu", r != NULL ? seconds(r->ms) : 0);
	field(b, "why", r != NULL ? r->why : "");
	if (*way->pool == '\0')
		return;
	buf_adds(b, ", \"rests_by_source\": [");
	for (i = 0; i < h->rests_n; i++) {
		buf_adds(b, i > 0 ? ", {\"source\": " : "{\"source\": ");
		json_str(b, h->rests[i].source);
		buf_addf(b, ", \"rests\": %llu", seconds(h->rests[i].ms));
		field(b, "why", h->rests[i].why);
		buf_adds(b, "}");
	}
	buf_adds(b, "]");
}

static void
mx_json(struct buf *b, const struct p_explained *way)
{
	const struct p_explain_host *h;

	buf_adds(b, ", \"mx\": [");
	for (h = way != NULL ? way->hosts : NULL; h != NULL && h < way->hosts + way->hosts_n; h++) {
		buf_addf(b, "%s{\"preference\": %u", h > way->hosts ? ", " : "", h->preference);
		field(b, "host", h->host);
		field(b, "address", h->address);
		buf_addf(b, ", \"port\": %u", h->port);
		rests_json(b, way, h);
		buf_adds(b, "}");
	}
	buf_adds(b, "]");
}

static void
sources_json(struct buf *b, const struct p_explained *way)
{
	const struct p_explain_source *s;

	buf_adds(b, ", \"sources\": [");
	for (s = way != NULL ? way->sources : NULL; s != NULL && s < way->sources + way->sources_n; s++) {
		buf_adds(b, s > way->sources ? ", {\"name\": " : "{\"name\": ");
		json_str(b, s->name);
		buf_addf(b, ", \"weight\": %u", s->weight);
		field(b, "state", states[state_of(s)].word);
		buf_adds(b, "}");
	}
	buf_adds(b, "]");
}

static void
limits_json(struct buf *b, const struct explained *e)
{
	struct dest_policy p = policy(e);
	const struct limit *l;
	struct buf by = BUF_INIT;
	bool some = false;

	buf_addf(b, ", \"concurrency\": %u, \"retry_min\": %llu, \"retry_max\": %llu, \"lifetime\": %llu, \"rate\": %llu, \"burst\": %llu, "
	    "\"messages_per_connection\": %u, \"recipients_per_message\": %u, \"delay_notice\": %llu, \"blocks\": {", p.concurrency,
	    (unsigned long long)p.retry_min / 1000, (unsigned long long)p.retry_max / 1000, (unsigned long long)p.lifetime / 1000,
	    (unsigned long long)p.rate, (unsigned long long)p.burst, p.messages, p.recipients, (unsigned long long)p.delay_notice / 1000);
	for (l = limits; l < limits + LIMITS; l++)
		if (applies(e, l) && block(&by, e, l)) {
			buf_addf(b, "%s\"%s\": ", some ? ", " : "", l->name);
			json_str(b, buf_str(&by));
			buf_reset(&by, SIZE_MAX);
			some = true;
		}
	buf_adds(b, "}");
	buf_free(&by);
}

/* rule: its line, 0 is none. */
static void
begin_json(struct buf *b, const struct explained *e, bool accepted)
{
	const struct conf_match *rule = e->mt->rule;

	buf_adds(b, "{\"to\": ");
	json_str(b, e->asked);
	field(b, "becomes", strcmp(e->asked, e->addr) != 0 ? e->addr : "");
	buf_addf(b, ", \"accepted\": %s, \"rule\": %u", accepted ? "true" : "false", rule != NULL ? rule->line : 0);
	field(b, "file", rule != NULL ? rule->file : "");
	field(b, "text", rule != NULL ? rule->text : "");
}

static void
taken_json(struct client *c, const struct explained *e, const char *to, const char *from)
{
	struct buf b = BUF_INIT;

	begin_json(&b, e, true);
	field(&b, "action", action_of(e)->name);
	field(&b, "account", e->mt->account);
	field(&b, "goes", to);
	field(&b, "delivery", halted(addr_domain(e->addr)));
	mx_json(&b, e->way);
	field(&b, "dns", trouble(e));
	field(&b, "source", from);
	sources_json(&b, e->way);
	field(&b, "tls", "none");
	limits_json(&b, e);
	buf_adds(&b, "}");
	say_buf(c, &b);
	buf_free(&b);
}

/* ---- text ---- */

#define LABEL	"%-12s "

static void
mx_text(struct client *c, const struct p_explained *way)
{
	const struct p_explain_host *h;
	const struct p_explain_rest *r;

	for (h = way->hosts; h < way->hosts + way->hosts_n; h++) {
		say(c, LABEL "%u %s [%s]:%u", h == way->hosts ? "mx" : "", h->preference, h->host, h->address, h->port);
		for (r = h->rests; r < h->rests + h->rests_n; r++)
			say(c, LABEL "   %s%s%srests for %llus: %s", "", *r->source != '\0' ? "by source " : "", r->source,
			    *r->source != '\0' ? " " : "", seconds(r->ms), r->why);
	}
}

static void
sources_text(struct client *c, const struct p_explained *way)
{
	const struct p_explain_source *s;

	for (s = way->sources; s < way->sources + way->sources_n; s++)
		say(c, LABEL "   %s, weight %u%s", "", s->name, s->weight, states[state_of(s)].text);
}

static void
limits_text(struct client *c, const struct explained *e)
{
	struct dest_policy p = policy(e);
	struct buf b = BUF_INIT, by = BUF_INIT;
	const char *label = "limits";
	const struct limit *l;

	for (l = limits; l < limits + LIMITS; l++) {
		if (!applies(e, l))
			continue;
		l->say(&b, &p);
		if (block(&by, e, l))
			buf_addf(&b, " (destination %s)", buf_str(&by));
		say(c, LABEL "%s", label, buf_str(&b));
		buf_reset(&b, SIZE_MAX);
		buf_reset(&by, SIZE_MAX);
		label = "";
	}
	buf_free(&b);
	buf_free(&by);
}

static void
way_text(struct client *c, const struct explained *e, const char *from)
{
	if (e->way != NULL)
		mx_text(c, e->way);
	if (*trouble(e) != '\0')
		say(c, LABEL "%s", "trouble", trouble(e));
	say(c, LABEL "%s", "source", from);
	if (e->way != NULL)
		sources_text(c, e->way);
	say(c, LABEL "%s", "tls", "none: this version has no TLS");
}

static void
rule_text(struct client *c, const struct explained *e, const char *no_line)
{
	const struct conf_match *rule = e->mt->rule;

	say(c, LABEL "<%s>", "to", e->asked);
	if (strcmp(e->asked, e->addr) != 0)
		say(c, LABEL "<%s>, where postmaster's mail goes", "becomes", e->addr);
	if (rule == NULL) {
		say(c, LABEL "%s", "rule", no_line);
		return;
	}
	say(c, LABEL "line %u of %s", "rule", rule->line, rule->file);
	say(c, LABEL "%s", "", rule->text);
}

static void
taken_text(struct client *c, const struct explained *e, const char *to, const char *from)
{
	rule_text(c, e, "none: this address always exists");
	say(c, LABEL "%s", "action", action_of(e)->name);
	if (*e->mt->account != '\0')
		say(c, LABEL "%s", "account", e->mt->account);
	say(c, LABEL "%s", "goes to", to);
	say(c, LABEL "%s", "delivery", halted(addr_domain(e->addr)));
	if (action_of(e)->kind == ACTION_RELAY)
		way_text(c, e, from);
	limits_text(c, e);
}

/* ---- both ---- */

void
explain_taken(struct client *c, const struct explained *e)
{
	struct buf to = BUF_INIT, from = BUF_INIT;

	goes(&to, action_of(e), addr_domain(e->addr));
	source(&from, e);
	(c->json ? taken_json : taken_text)(c, e, buf_str(&to), buf_str(&from));
	buf_free(&to);
	buf_free(&from);
}

void
explain_held(struct client *c, const struct explained *e)
{
	struct buf b = BUF_INIT;

	if (!c->json) {
		rule_text(c, e, "none: this address always exists");
		say(c, LABEL "%s", "held", "in the queue, until `postmaster ADDRESS' in the configuration says who gets it");
		return;
	}
	begin_json(&b, e, true);
	buf_adds(&b, ", \"held\": true}");
	say_buf(c, &b);
	buf_free(&b);
}

void
explain_refused(struct client *c, const struct explained *e)
{
	struct buf b = BUF_INIT;

	if (!c->json) {
		rule_text(c, e, "none matches");
		say(c, LABEL "%u %s %s", "refused", e->mt->code, e->mt->dsn, e->mt->text);
		return;
	}
	begin_json(&b, e, false);
	buf_addf(&b, ", \"code\": %u", e->mt->code);
	field(&b, "dsn", e->mt->dsn);
	field(&b, "reply", e->mt->text);
	buf_adds(&b, "}");
	say_buf(c, &b);
	buf_free(&b);
}
