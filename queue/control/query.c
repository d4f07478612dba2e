/*
 * query: see query.h. Rows that are in memory are asked as their rows are; whoever acts or shows asks memory again.
 */
#include <stdlib.h>
#include "mail/addr.h"
#include "proc/clock.h"
#include "proc/ev.h"
#include "control/groups.h"
#include "control/listing.h"
#include "core/load.h"
#include "control/query.h"
#include "core/rows.h"
#include "base/xmalloc.h"


static void
query_free(void *arg)
{
	struct query *q = arg;

	act_end(&q->acting);
	if (q->turn != 0)
		load_let_go(q->turn);
	if (q->seen != NULL)
		idset_free(q->seen);
	free(q->seen);
	groups_free(q->groups);
	listing_free(q->list);
	picks_free(&q->picks);
	index_walk_end(&q->w);
	select_free(&q->s);
	free(q);
}

struct query *
query_begin(struct client *c, char **argv, int argc, enum walk_need need, bool must, bool keep)
{
	struct query *q = xcalloc(1, sizeof(*q));
	char *wrong;

	c->query = q;
	c->drop = query_free;
	wrong = select_parse(&q->s, argv, argc);
	if (wrong == NULL && must && !q->s.any)
		wrong = xstrdup("say which messages: a queue id, conditions such as domain=example.org, or all");
	if (wrong != NULL) {
		complain(c, "%s", wrong);
		free(wrong);
		client_done(c, 64);
		return NULL;
	}
	rows_flush();
	c->ticket = rows_ticket();
	q->now = clock_now();
	q->s.uid = client_sees(c);
	q->w = select_walk(&q->s, need, q->now);
	q->last = UINT64_MAX;
	if (keep || !select_ordered(&q->w))
		q->seen = xcalloc(1, sizeof(*q->seen));
	ev_wake();
	return q;
}

void
query_again(struct query *q, enum walk_need need)
{
	index_walk_end(&q->w);
	q->w = select_walk(&q->s, need, q->now);
	if (q->seen != NULL)
		idset_free(q->seen);
	q->walked = false;
	q->messages = q->recipients = 0;
	q->last = UINT64_MAX;
}

struct page {
	struct query	*q;
	void		(*cb)(void *, const struct index_hit *);
	void		*arg;
};

/* As it would be shown. */
static void
at_rest(struct index_hit *h, int64_t now)
{
	struct index_rcpt r = { .mark = h->mark, .due = h->due, .attempts = h->attempts, .relay = h->relay, .reply = h->reply };

	if (!view_at_rest(h->action, h->domain, &r, now))
		return;
	h->due = r.due > now ? r.due : now + 1;
	h->relay = r.relay;
	h->reply = r.reply;
}

static void
one(void *arg, const struct index_hit *h)
{
	struct page *p = arg;
	struct query *q = p->q;
	struct index_hit now = *h;

	if (*h->action != '\0') {
		at_rest(&now, q->now);
		h = &now;
	}
	if (!select_match(&q->s, h, q->now))
		return;
	q->recipients += h->weight;
	if (h->id != q->last && (q->seen == NULL || idset_add(q->seen, h->id)))
		q->messages++;
	q->last = h->id;
	if (p->cb != NULL)
		p->cb(p->arg, h);
}

bool
query_page(struct query *q, unsigned rows, void (*cb)(void *, const struct index_hit *), void *arg)
{
	struct page p = { q, cb, arg };

	q->walked = !index_walk_page(control_index(), &q->w, rows, one, &p);
	return !q->walked;
}

bool
query_walk(struct query *q, void (*cb)(void *, const struct index_hit *), void *arg)
{
	while (query_page(q, QUERY_PAGE, cb, arg))
		if (control_overrun())
			return false;
	return true;
}

bool
query_wants(const struct query *q, const struct message *m, uint32_t n)
{
	const struct p_env_rcpt *e = &m->env.rcpts[n];
	const struct rcpt *r = &m->rcpts[n];
	struct index_hit h = { .id = m->id, .n = n, .weight = 1, .addr = e->addr, .domain = addr_domain(e->addr),
	    .mark = r->state == R_HELD ? MARK_HELD : MARK_PENDING, .due = r->state == R_IDLE ? r->due : INT64_MIN, .attempts = r->attempts,
	    .relay = "", .reply = r->last != NULL ? r->last->full : "", .sender = m->env.sender, .arrival = m->env.arrival,
	    .size = m->len, .tag = m->env.tag, .uid = m->env.uid, .action = e->action };

	at_rest(&h, q->now);
	return select_match(&q->s, &h, q->now);
}

bool
query_shows(const struct query *q, const struct view *v, uint32_t i)
{
	const struct index_rcpt *r = &v->msg.rcpts[i];
	struct index_hit h = { .id = v->msg.id, .n = r->n, .weight = 1, .addr = r->addr, .domain = r->domain, .mark = r->mark,
	    .due = v->active[i] ? INT64_MIN : r->due > q->now ? r->due : q->now + 1, .attempts = r->attempts, .relay = "",
	    .reply = r->reply, .sender = v->msg.sender, .arrival = v->msg.arrival, .size = v->msg.size, .tag = v->msg.tag,
	    .uid = v->msg.uid };

	return select_match(&q->s, &h, q->now);
}
