/*
 * dest: the destinations, their parcels and the round. Pure code.
 *
 * Called by sched.c alone. Owns the destinations; parcels live in the arenas of their messages. Cannot fail.
 */
#include <stdlib.h>
#include <string.h>
#include "dest.h"
#include "xmalloc.h"

#define BUCKETS 4096
#define PUT_OFF_LEAST	200		/* ms */
#define PUT_OFF_MOST	(5 * 60 * 1000)
#define PACE_MOST	(60 * 1000)	/* what was idle between says nothing */

TAILQ_HEAD(dest_list, dest);

static struct {
	struct dest	*bucket[BUCKETS];
	struct dest_list idle, ready[LINE__N], resting;
	struct turns	 turns;
	unsigned	 n_idle, n_work;
	uint32_t	 generation;
	void		(*policy)(struct dest *);
} ds;

void
dest_init(void (*policy)(struct dest *), uint32_t generation)
{
	TAILQ_INIT(&ds.idle);
	TAILQ_INIT(&ds.ready[LINE_NEW]);
	TAILQ_INIT(&ds.ready[LINE_OLD]);
	TAILQ_INIT(&ds.resting);
	ds.policy = policy;
	ds.generation = generation;
}

static int
lower(int c)
{
	return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

static uint64_t
hash_of(const char *action, const char *domain)
{
	uint64_t h = 0xcbf29ce484222325;

	for (; *action != '\0'; action++)
		h = (h ^ (uint8_t)*action) * 0x100000001b3;
	h *= 31;
	for (; *domain != '\0'; domain++)
		h = (h ^ (uint8_t)lower(*domain)) * 0x100000001b3;
	return h ^ h >> 32;
}

static bool
same_domain(const char *kept, const char *domain)
{
	for (; *kept != '\0' && *kept == lower(*domain); kept++)
		domain++;
	return *kept == '\0' && *domain == '\0';
}

static void
leave(struct dest *d)
{
	if (d->where == DEST_IDLE) {
		TAILQ_REMOVE(&ds.idle, d, link);
		ds.n_idle--;
		ds.n_work++;
	} else if (d->where == DEST_READY)
		TAILQ_REMOVE(&ds.ready[d->stands], d, link);
	else if (d->where == DEST_RESTING)
		TAILQ_REMOVE(&ds.resting, d, link);
}

static void
forget(struct dest *d)
{
	struct dest **at = &ds.bucket[d->hash % BUCKETS];

	while (*at != d)
		at = &(*at)->hash_next;
	*at = d->hash_next;
	TAILQ_REMOVE(&ds.idle, d, link);
	ds.n_idle--;
	free(d->action);
	free(d->domain);
	free(d->why);
	free(d->mx);
	free(d);
}

/* Puts it into the list where it belongs. A resting one without work is remembered as idle, so the number of hosts that rest is bounded too. */
static void
place(struct dest *d)
{
	leave(d);
	if (d->line == 0 && d->flying == 0) {
		d->where = DEST_IDLE;
		TAILQ_INSERT_TAIL(&ds.idle, d, link);
		ds.n_work--;
		if (++ds.n_idle > DEST_IDLE_MAX)
			forget(TAILQ_FIRST(&ds.idle));
	} else if (d->line == 0 || d->flying >= d->window) {
		d->where = DEST_WAITING;
	} else if (d->rest != 0) {
		d->where = DEST_RESTING;
		TAILQ_INSERT_TAIL(&ds.resting, d, link);
	} else {
		d->where = DEST_READY;
		d->stands = d->lines[LINE_NEW] > 0 ? LINE_NEW : LINE_OLD;
		TAILQ_INSERT_TAIL(&ds.ready[d->stands], d, link);
	}
}

static void
rest_over(struct dest *d)
{
	d->rest = 0;
	free(d->why);
	d->why = NULL;
	if (d->where == DEST_RESTING)
		place(d);
}

static struct dest *
dest_new(const char *action, const char *domain, uint64_t hash)
{
	struct dest *d = xcalloc(1, sizeof(*d));
	unsigned i;
	char *p;

	d->action = xstrdup(action);
	d->domain = xstrdup(domain);
	for (p = d->domain; *p != '\0'; p++)
		*p = (char)lower(*p);
	d->hash = hash;
	for (i = 0; i < DEST_FLOWS; i++) {
		TAILQ_INIT(&d->flow[LINE_NEW][i].parcels);
		TAILQ_INIT(&d->flow[LINE_OLD][i].parcels);
	}
	d->hash_next = ds.bucket[hash % BUCKETS];
	ds.bucket[hash % BUCKETS] = d;
	TAILQ_INSERT_TAIL(&ds.idle, d, link);
	if (++ds.n_idle > DEST_IDLE_MAX)
		forget(TAILQ_FIRST(&ds.idle));
	d->generation = ds.generation;
	ds.policy(d);
	return d;
}

static void
policy_anew(struct dest *d)
{
	ds.policy(d);
	if (d->where != DEST_IDLE)
		place(d);
}

/* Takes the configuration's values anew if they are of an older one. */
static void
refresh(struct dest *d)
{
	if (d->generation == ds.generation)
		return;
	d->generation = ds.generation;
	policy_anew(d);
}

static struct dest *
find(const char *action, const char *domain, uint64_t hash)
{
	struct dest *d;

	for (d = ds.bucket[hash % BUCKETS]; d != NULL; d = d->hash_next)
		if (d->hash == hash && strcmp(d->action, action) == 0 && same_domain(d->domain, domain))
			return d;
	return NULL;
}

const char *
dest_mx(const char *action, const char *domain)
{
	struct dest *d = find(action, domain, hash_of(action, domain));

	return d != NULL ? d->mx : NULL;
}

void
dest_set_mx(struct dest *d, const char *mx)
{
	if (d->mx != NULL && strcmp(d->mx, mx) == 0)
		return;
	free(d->mx);
	d->mx = xstrdup(mx);
	policy_anew(d);
}

struct dest *
dest_get(const char *action, const char *domain, int64_t now)
{
	uint64_t h = hash_of(action, domain);
	struct dest *d = find(action, domain, h);

	if (d == NULL)
		return dest_new(action, domain, h);
	refresh(d);
	if (d->rest != 0 && d->rest <= now)
		rest_over(d);
	return d;
}

static struct flow *
flow_of(struct dest *d, const struct message *m)
{
	return &d->flow[message_line(m)][hash_of("", m->env.sender) % DEST_FLOWS];
}

/* The parcel whose turn it is. There is one. */
static struct parcel *
first(struct dest *d)
{
	enum line line = turns_next(&d->turns, d->lines[LINE_NEW] > 0, d->lines[LINE_OLD] > 0);
	unsigned i = d->turn[line];

	if (d->hurried != NULL && d->hurried->line > 0)
		return TAILQ_FIRST(&d->hurried->parcels);
	while (d->flow[line][i % DEST_FLOWS].line == 0)
		i++;
	return TAILQ_FIRST(&d->flow[line][i % DEST_FLOWS].parcels);
}

/* It comes back when half of what stands before it should be gone; what was put off before it has its time before it. */
int64_t
dest_put_off(struct dest *d, const struct message *m, unsigned left, int64_t now)
{
	struct flow *f = flow_of(d, m);
	struct parcel *p = TAILQ_LAST(&f->parcels, parcel_list);
	int64_t pace = d->pace, soonest;

	if (f->line < DEST_LINE_LEAST || f->line < left || (p != NULL && p->m == m))
		return 0;
	if (d->ended != 0 && (now - d->ended) * 1024 > pace)
		pace = (now - d->ended) * 1024;
	soonest = now + PUT_OFF_LEAST + d->line * pace / 1024 / 2;
	d->booked = (d->booked > soonest ? d->booked : soonest) + pace / 1024;
	if (d->booked > now + PUT_OFF_MOST)
		d->booked = now + PUT_OFF_MOST;
	return d->booked;
}

void
dest_add(struct dest *d, struct message *m, uint32_t n)
{
	struct flow *f = flow_of(d, m);
	struct parcel *p = TAILQ_LAST(&f->parcels, parcel_list);

	m->rcpts[n].next = UINT32_MAX;
	rcpt_set(m, n, R_QUEUED);
	if (p != NULL && p->m == m) {
		m->rcpts[p->last].next = n;
		p->last = n;
		p->count++;
		return;
	}
	p = message_alloc(m, sizeof(*p));
	p->d = d;
	p->m = m;
	p->first = p->last = n;
	p->count = 1;
	TAILQ_INSERT_TAIL(&f->parcels, p, link);
	f->line++;
	d->line++;
	d->lines[message_line(m)]++;
	LIST_INSERT_HEAD(&m->parcels, p, mlink);
	if (d->where == DEST_IDLE || d->where == DEST_WAITING || (d->where == DEST_READY && message_line(m) < d->stands))
		place(d);
}

struct dest *
dest_next(void)
{
	bool new = !TAILQ_EMPTY(&ds.ready[LINE_NEW]), old = !TAILQ_EMPTY(&ds.ready[LINE_OLD]);

	return TAILQ_FIRST(&ds.ready[turns_next(&ds.turns, new, old)]);
}

static void
unlink_parcel(struct parcel *p)
{
	struct flow *f = flow_of(p->d, p->m);

	TAILQ_REMOVE(&f->parcels, p, link);
	f->line--;
	p->d->line--;
	p->d->lines[message_line(p->m)]--;
	LIST_REMOVE(p, mlink);
}

struct message *
dest_take(struct dest *d, uint32_t max, uint32_t *begin, uint32_t *count)
{
	struct parcel *p = first(d);
	struct message *m = p->m;
	enum line line = message_line(m);
	uint32_t n = p->first, last = n, taken;

	d->turn[line] = (unsigned)(flow_of(d, m) - d->flow[line] + 1) % DEST_FLOWS;
	d->hurried = NULL;
	turns_took(&d->turns, line, d->lines[!line] > 0);
	turns_took(&ds.turns, d->stands, !TAILQ_EMPTY(&ds.ready[!d->stands]));
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
	d->flying++;
	place(d);
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
	p->d->hurried = f;
	return p->d;
}

void
dest_job_held(struct dest *d)
{
	d->flying++;
	place(d);
}

void
dest_job_done(struct dest *d)
{
	d->flying--;
	if (d->where == DEST_WAITING)
		place(d);
}

void
dest_pace(struct dest *d, int64_t now)
{
	int64_t took = d->ended != 0 && now - d->ended < PACE_MOST ? now - d->ended : 0;

	d->pace += (took * 1024 - d->pace) / 16;
	d->ended = now;
}

/* With its strings in one block. */
static struct last *
keep(const struct last *why)
{
	size_t text = strlen(why->text) + 1, relay = strlen(why->relay) + 1;
	struct last *kept = xmalloc(sizeof(*kept) + text + relay);

	*kept = *why;
	kept->text = memcpy(kept + 1, why->text, text);
	kept->relay = memcpy((char *)(kept + 1) + text, why->relay, relay);
	kept->full = NULL;
	return kept;
}

/* Until the job that hurries was sent, what is told is older than the wish. */
void
dest_rest(struct dest *d, int64_t now, int64_t until, const struct last *why)
{
	if (until <= d->rest || d->hurry)
		return;
	if (d->rest == 0)
		d->since = now;
	d->rest = until;
	free(d->why);
	d->why = why != NULL ? keep(why) : NULL;
	if (d->where == DEST_READY)
		place(d);
}

/* Once for each wish, however many recipients it is for: what fails then rests as ever. */
void
dest_ask(struct dest *d, int64_t asked)
{
	if (asked <= d->asked)
		return;
	d->asked = asked;
	if (d->rest != 0 && d->since > asked)
		return;
	d->hurry = true;
	rest_over(d);
}

void
dest_rest_domain(const char *domain, int64_t until)
{
	struct dest *d;
	size_t i;

	for (i = 0; i < BUCKETS; i++)
		for (d = ds.bucket[i]; d != NULL; d = d->hash_next) {
			if (!same_domain(d->domain, domain))
				continue;
			d->hurry = false;
			if (until != 0)
				dest_rest(d, 0, until, NULL);
			else
				rest_over(d);
		}
}

void
dest_wake(int64_t now)
{
	struct dest *d, *next;

	TAILQ_FOREACH_SAFE(d, &ds.resting, link, next)
		if (d->rest <= now)
			rest_over(d);
}

void
dest_wake_all(void)
{
	struct dest *d;
	size_t i;

	for (i = 0; i < BUCKETS; i++)
		for (d = ds.bucket[i]; d != NULL; d = d->hash_next)
			rest_over(d);
}

int64_t
dest_wake_at(void)
{
	int64_t at = INT64_MAX;
	struct dest *d;

	TAILQ_FOREACH(d, &ds.resting, link)
		if (d->rest < at)
			at = d->rest;
	return at;
}

/* Its recipients are due now, or when the rest is over. */
static struct message *
take_out(struct parcel *p, int64_t due, const struct last *why)
{
	struct message *m = p->m;
	struct dest *d = p->d;
	uint32_t n, next;

	for (n = p->first; n != UINT32_MAX; n = next) {
		next = m->rcpts[n].next;
		rcpt_due(m, n, due);
		rcpt_reason(m, n, why);
		rcpt_set(m, n, R_IDLE);
	}
	unlink_parcel(p);
	if (d->line == 0)
		place(d);
	return m;
}

struct message *
dest_evict(int64_t after, struct dest **from, uint32_t *begin)
{
	struct parcel *p;
	struct dest *d;

	TAILQ_FOREACH(d, &ds.resting, link)
		if (d->rest > after) {
			p = first(d);
			*from = d;
			*begin = p->first;
			return take_out(p, d->rest, d->why);
		}
	return NULL;
}

void
dest_drop(struct message *m, int64_t now)
{
	struct parcel *p, *next;

	LIST_FOREACH_SAFE(p, &m->parcels, mlink, next)
		take_out(p, now, NULL);
}

void
dest_regenerate(uint32_t generation, int64_t now, void (*cb)(struct message *))
{
	struct dest *d;
	size_t i;

	ds.generation = generation;
	for (i = 0; i < BUCKETS; i++)
		for (d = ds.bucket[i]; d != NULL; d = d->hash_next)
			refresh(d);
	for (i = 0; i < BUCKETS; i++) {
		for (d = ds.bucket[i]; d != NULL; d = d->hash_next)
			if (d->index == -1 && d->line > 0)
				break;
		if (d != NULL) {
			cb(take_out(first(d), now, NULL));
			i--;				/* the same bucket again, until nothing is left in it */
		}
	}
}

unsigned
dest_count(void)
{
	return ds.n_work;
}
