/*
 * dest_line: what waits for a destination in memory: its parcels, in its flows. Pure code.
 *
 * Called by sched.c. Parcels live in the arenas of their messages, flows are the destination's. Cannot fail.
 */
#include <stdlib.h>
#include "core/nexthop_priv.h"
#include "base/xmalloc.h"

static unsigned
lane_of(const struct message *m)
{
	return (unsigned)(dest_key("", m->env.sender) % ROUND_LANES);
}

static struct flow *
flow_of(struct dest *d, const struct message *m)
{
	return &d->flow[(unsigned)message_line(m) * ROUND_LANES + lane_of(m)];
}

static void
make_flows(struct dest *d)
{
	unsigned i;

	d->flow = xcalloc(LINE__N * ROUND_LANES, sizeof(*d->flow));
	for (i = 0; i < LINE__N * ROUND_LANES; i++) {
		d->flow[i].d = d;
		d->flow[i].line = (uint8_t)(i / ROUND_LANES);
		d->flow[i].lane = (uint8_t)(i % ROUND_LANES);
		TAILQ_INIT(&d->flow[i].parcels);
	}
}

bool
dest_room(const struct dest *d, const struct message *m, unsigned left)
{
	return d->flow == NULL || d->lines[message_line(m)] < DEST_LINE_LEAST ||
	    d->flow[(unsigned)message_line(m) * ROUND_LANES + lane_of(m)].n < left;
}

void
dest_add(struct dest *d, struct message *m, uint32_t n)
{
	struct flow *f;
	struct parcel *p;

	if (d->flow == NULL)
		make_flows(d);
	f = flow_of(d, m);
	p = TAILQ_LAST(&f->parcels, parcel_list);
	m->rcpts[n].next = UINT32_MAX;
	rcpt_set(m, n, R_QUEUED);
	if (p != NULL && p->m == m) {
		m->rcpts[p->last].next = n;
		p->last = n;
		p->count++;
		return;
	}
	p = message_alloc(m, sizeof(*p));
	*p = (struct parcel){ .d = d, .m = m, .first = n, .last = n, .count = 1 };
	TAILQ_INSERT_TAIL(&f->parcels, p, link);
	f->n++;
	d->line++;
	d->lines[message_line(m)]++;
	LIST_INSERT_HEAD(&m->parcels, p, mlink);
	dest_place(d);
}

static void
unlink_parcel(struct parcel *p)
{
	struct flow *f = flow_of(p->d, p->m);

	TAILQ_REMOVE(&f->parcels, p, link);
	if (--f->n == 0)
		round_leave(f);
	p->d->line--;
	p->d->lines[message_line(p->m)]--;
	LIST_REMOVE(p, mlink);
}

struct dest *
dest_next(void)
{
	struct flow *f = round_next();

	if (f == NULL)
		return NULL;
	f->d->next = f;
	return f->d;
}

/* The flow that gives. There is one with something in it. */
static struct flow *
giver(struct dest *d)
{
	struct flow *f = d->next;

	d->next = NULL;
	if (f == NULL || f->n == 0)
		for (f = d->flow; f->n == 0; f++)
			;
	return f;
}

struct message *
dest_take(struct dest *d, uint32_t max, uint32_t *begin, uint32_t *count)
{
	struct flow *f = giver(d);
	struct parcel *p = TAILQ_FIRST(&f->parcels);
	struct message *m = p->m;
	uint32_t n = p->first, last = n, taken;

	round_took(f);
	*begin = n;
	for (taken = 0; taken < max && n != UINT32_MAX; taken++) {
		rcpt_set(m, n, R_FLYING);
		last = n;
		n = m->rcpts[n].next;
	}
	m->rcpts[last].next = UINT32_MAX;
	*count = taken;
	p->first = n;
	p->count -= taken;
	if (n == UINT32_MAX)
		unlink_parcel(p);
	dest_job_held(d);
	return m;
}

struct dest *
dest_hurry(struct message *m)
{
	struct parcel *p = LIST_FIRST(&m->parcels);
	struct flow *f;

	if (p == NULL)
		return NULL;
	f = flow_of(p->d, m);
	TAILQ_REMOVE(&f->parcels, p, link);
	TAILQ_INSERT_HEAD(&f->parcels, p, link);
	p->d->next = f;
	return p->d;
}

void
dest_job_held(struct dest *d)
{
	d->flying++;
	round_fly(d->group, 1);
	dest_place(d);
}

void
dest_job_done(struct dest *d)
{
	d->flying--;
	round_fly(d->group, -1);
	dest_place(d);
}

static void
take_out(struct parcel *p)
{
	struct message *m = p->m;
	struct dest *d = p->d;
	uint32_t n, next;

	for (n = p->first; n != UINT32_MAX; n = next) {
		next = m->rcpts[n].next;
		rcpt_due(m, n, m->rcpts[n].due);
		rcpt_set(m, n, R_IDLE);
	}
	unlink_parcel(p);
	dest_place(d);
}

void
dest_drop(struct message *m)
{
	struct parcel *p, *next;

	LIST_FOREACH_SAFE(p, &m->parcels, mlink, next)
		take_out(p);
}

/* It has nothing to do but to wait for rests that end after that time. */
static bool
only_waits(const struct message *m, int64_t after)
{
	const struct parcel *p;

	if (m->pins > 0 || m->count[R_FLYING] + m->count[R_ROUTING] + m->count[R_OWED] + m->count[R_NOTICE] + m->delays > 0)
		return false;
	LIST_FOREACH(p, &m->parcels, mlink)
		if (!dest_rests(p->d, after))
			return false;
	return true;
}

struct message *
dest_evict(int64_t after)
{
	struct parcel *p;
	struct flow *f;
	struct dest *d;

	TAILQ_FOREACH(d, &dests.resting, link)
		for (f = d->flow; dest_rests(d, after) && f < d->flow + LINE__N * ROUND_LANES; f++)
			TAILQ_FOREACH(p, &f->parcels, link)
				if (only_waits(p->m, after)) {
					struct message *m = p->m;

					dest_drop(m);
					return m;
				}
	return NULL;
}

/* ---- another configuration ---- */

static struct parcel *
any(struct dest *d)
{
	return TAILQ_FIRST(&giver(d)->parcels);
}

void
dest_regenerate(uint32_t generation, void (*cb)(struct message *))
{
	struct dest *d;
	struct message *m;
	size_t i;

	dests.generation = generation;
	for (i = 0; i < DEST_BUCKETS; i++)
		for (d = dests.bucket[i]; d != NULL; d = d->hash_next)
			dest_refresh(d);
	for (i = 0; i < DEST_BUCKETS; i++) {
		for (d = dests.bucket[i]; d != NULL; d = d->hash_next)
			if (d->index == -1 && d->line > 0)
				break;
		if (d != NULL) {
			m = any(d)->m;
			take_out(any(d));
			cb(m);
			i--;				/* the same bucket again, until nothing is left in it */
		}
	}
}
