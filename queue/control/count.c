/*
 * control_count: queue count and queue summary.
 *
 * Called by control_verbs. A count of all is the index's totals; any other, and each summary, walks in slices. Cannot fail.
 */
#include <stdlib.h>
#include <string.h>
#include "proc/clock.h"
#include "control/queue.h"
#include "proc/ev.h"
#include "control/groups.h"
#include "control/query.h"
#include "core/ready.h"

/* ---- count ---- */

static bool
count_step(struct client *c)
{
	struct query *q = c->query;

	if (!query_walk(q, NULL, NULL))
		return false;
	if (c->json)
		say(c, "{\"messages\": %llu, \"recipients\": %llu}", (unsigned long long)q->messages, (unsigned long long)q->recipients);
	else
		say(c, "%s, %s", plural(q->messages, "message").s, plural(q->recipients, "recipient").s);
	client_done(c, q->messages > 0 ? 0 : 1);
	return true;
}

static void
count_all(struct client *c)
{
	struct totals n = view_totals(control_index());

	if (c->json)
		say(c, "{\"messages\": %llu, \"recipients\": %llu, \"deferred\": %llu, \"held\": %llu, \"bytes\": %llu}",
		    (unsigned long long)n.messages, (unsigned long long)n.recipients, (unsigned long long)n.deferred,
		    (unsigned long long)n.held, (unsigned long long)n.bytes);
	else {
		say(c, "%12llu  messages", (unsigned long long)n.messages);
		say(c, "%12llu  recipients", (unsigned long long)n.recipients);
		say(c, "%12llu  recipients deferred", (unsigned long long)n.deferred);
		say(c, "%12llu  recipients held", (unsigned long long)n.held);
		say(c, "%12llu  bytes", (unsigned long long)n.bytes);
	}
	client_done(c, 0);
}

void
verb_count(struct client *c, char **argv, int argc)
{
	struct query *q = query_begin(c, argv, argc, WALK_NEED_KEY, false, false);

	if (q == NULL)
		return;
	if (q->s.whole)
		count_all(c);
	else
		c->step = count_step;
}

/* ---- summary ---- */

/* The name or address of "host[address]:port". */
static void
by_host(struct groups *g, const struct index_hit *h, int64_t now)
{
	char host[256];
	size_t n = strcspn(h->relay, "[");

	(void)now;
	if (n == 0 && *h->relay != '\0')
		n = strcspn(h->relay, "]") + 1;
	if (n == 0 || n >= sizeof(host))
		strlcpy(host, h->attempts == 0 ? "(not tried yet)" : "(no host answered)", sizeof(host));
	else {
		memcpy(host, h->relay, n);
		host[n] = '\0';
	}
	groups_add(g, host, h->weight);
}

static void
by_domain(struct groups *g, const struct index_hit *h, int64_t now)
{
	(void)now;
	groups_add(g, h->domain, h->weight);
}

/* A reply that quotes the recipient would make a group of each: <> stands for him. */
static void
without_addr(struct buf *b, const char *reply, const char *addr)
{
	size_t n = strlen(addr);
	const char *p;

	for (; (p = strcasestr(reply, addr)) != NULL; reply = p + n) {
		bool in = p > reply && p[-1] == '<' && p[n] == '>';

		buf_add(b, reply, (size_t)(p - reply) - in);
		buf_adds(b, "<>");
		p += in;
	}
	buf_adds(b, reply);
}

static void
by_reason(struct groups *g, const struct index_hit *h, int64_t now)
{
	struct buf b = BUF_INIT;

	(void)now;
	if (*h->addr != '\0')
		without_addr(&b, h->reply, h->addr);
	groups_add(g, b.len > 0 ? buf_str(&b) : "(not tried yet)", h->weight);
	buf_free(&b);
}

static void
by_age(struct groups *g, const struct index_hit *h, int64_t now)
{
	static const struct { int64_t minutes; const char *text; } steps[] = { { 5, "under 5 minutes" }, { 60, "5 minutes to 1 hour" },
	    { 240, "1 to 4 hours" }, { 1440, "4 hours to 1 day" }, { 2880, "1 to 2 days" }, { 7200, "2 to 5 days" } };
	size_t i;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (now - h->arrival < steps[i].minutes * 60 * 1000)
			break;
	groups_add(g, i < sizeof(steps) / sizeof(steps[0]) ? steps[i].text : "over 5 days", h->weight);
}

static const struct way {
	const char	*name;
	enum walk_need	 need;
	void		(*add)(struct groups *, const struct index_hit *, int64_t now);
} ways[] = {
	{ "domain", WALK_NEED_RCPT, by_domain }, { "host", WALK_NEED_RCPT, by_host }, { "reason", WALK_NEED_RCPT, by_reason },
	{ "age", WALK_NEED_MSG, by_age },
};

struct adding { struct query *q; const struct way *way; };

static void
add(void *arg, const struct index_hit *h)
{
	struct adding *a = arg;

	a->way->add(a->q->groups, h, a->q->now);
}

static bool
say_groups(struct client *c, const struct query *q, const char *name)
{
	struct buf b = BUF_INIT;

	for (; c->at < q->groups->n && io_pending(c->io) < CONTROL_HIGH && !control_overrun(); c->at++) {
		const struct group *g = &q->groups->v[c->at];

		if (!c->json)
			say(c, "%12llu  %s", (unsigned long long)g->n, g->text);
		else {
			buf_addf(&b, "{\"%s\": ", name);
			json_str(&b, g->text);
			buf_addf(&b, ", \"recipients\": %llu}", (unsigned long long)g->n);
			say_buf(c, &b);
		}
	}
	buf_free(&b);
	if (c->at < q->groups->n)
		return false;
	if (q->groups->others > 0 && c->json)
		say(c, "{\"%s\": null, \"recipients\": %llu}", name, (unsigned long long)q->groups->others);
	else if (q->groups->others > 0)
		say(c, "%12llu  (others)", (unsigned long long)q->groups->others);
	if (q->groups->n == 0 && !c->json)
		say(c, "nothing in the queue is meant by this");
	client_done(c, q->groups->n > 0 ? 0 : 1);
	return true;
}

static bool
summary_step(struct client *c)
{
	struct query *q = c->query;
	struct adding a = { q, &ways[c->id] };

	if (!q->walked) {
		if (!query_walk(q, add, &a))
			return false;
		groups_sort(q->groups);
		return false;
	}
	return say_groups(c, q, a.way->name);
}

/* All by domain: the index of domains alone is read. */
static void
domains_only(struct query *q)
{
	index_walk_end(&q->w);
	q->w = (struct index_walk){ .by = WALK_DOMAINS, .need = WALK_NEED_KEY };
	index_walk_begin(&q->w);
}

void
verb_summary(struct client *c, char **argv, int argc)
{
	bool said = argc > 0 && strcmp(argv[0], "by") == 0;
	const char *name = !said ? "domain" : argc > 1 ? argv[1] : "";
	struct query *q;
	size_t i;

	for (i = 0; i < sizeof(ways) / sizeof(ways[0]) && strcmp(ways[i].name, name) != 0; i++)
		;
	if (i == sizeof(ways) / sizeof(ways[0])) {
		complain(c, "summary by domain, host, reason or age");
		client_done(c, 64);
		return;
	}
	q = query_begin(c, argv + 2 * said, argc - 2 * said, ways[i].need, false, false);
	if (q == NULL)
		return;
	c->id = i;
	q->groups = groups_new();
	if (i == 0 && q->s.whole && q->s.uid < 0)
		domains_only(q);
	if (q->seen != NULL)
		idset_free(q->seen);
	free(q->seen);
	q->seen = NULL;
	c->step = summary_step;
}
