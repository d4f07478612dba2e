/*
 * rows: see rows.h. Owns the order in which rows are written and deleted, and the offsets up to which segments need no scan.
 *
 * What a recipient's row was made from is kept in short (rcpt.row), so that of many recipients those are written that changed. An
 * index that refuses is the caller's trouble (ready.c keeps the message in memory); nothing is lost, since the record is on the disk.
 */
#include <stdlib.h>
#include <string.h>
#include "mail/addr.h"
#include "proc/clock.h"
#include "proc/ev.h"
#include "core/ready.h"
#include "core/rows.h"
#include "core/sched.h"
#include "base/xmalloc.h"

#define PROGRESS_MS	1000		/* so much of a run is scanned again at the next start */
#define PART		250		/* rows written at once */
#define PART_GOING	500		/* ... or deleted */
#define SLICE_US	2000		/* of a turn, for parts */
#define SLICE_FULL_US	20000		/* ... while memory is full of what waits for it */

/* A message that is finished, whose rows go by and by. */
struct going {
	TAILQ_ENTRY(going) link;
	uint64_t	 id;
	struct loc	 loc;
	uint32_t	 at, n;
};

static struct {
	struct spool		*spool;
	struct index		*index;
	struct message_list	 fresh;
	struct message_list	 slow;		/* the first is being written */
	uint64_t		 tickets;	/* given to those in slow */
	unsigned		 norow;		/* messages that have none */
	TAILQ_HEAD(, going)	 going;
	struct ev_timer		 late, progress;
} rw;

/* ---- what a row says ---- */

/* What a recipient's row is made from, in short: when that changes the row must be put again. What r->last points to does not change. */
static uint32_t
state_of(const struct message *m, uint32_t n)
{
	const struct rcpt *r = &m->rcpts[n];
	uint64_t h = (uint64_t)r->due * 0x9e3779b97f4a7c15;

	if (r->state == R_FINAL)
		return 0;
	h = (h ^ (uintptr_t)r->last ^ (uint64_t)(uintptr_t)m->env.rcpts[n].action << 20) * 0xff51afd7ed558ccd;
	h = (h ^ h >> 29 ^ r->attempts ^ (r->state == R_HELD ? 1u << 30 : 0) ^ (r->notified ? 1u << 31 : 0)) * 0xc4ceb9fe1a85ec53;
	return (uint32_t)(h >> 32) | 1;
}

bool
rows_has(const struct message *m, uint32_t n)
{
	return m->rcpts[n].row == state_of(m, n);
}

struct index_rcpt
rows_rcpt(const struct message *m, uint32_t n)
{
	const struct p_env_rcpt *e = &m->env.rcpts[n];
	const struct rcpt *r = &m->rcpts[n];
	const struct last none = { .full = "", .text = "", .relay = "" }, *last = r->last != NULL ? r->last : &none;

	return (struct index_rcpt){ .n = n, .addr = e->addr, .domain = addr_domain(e->addr), .action = e->action,
	    .mark = r->state == R_HELD ? MARK_HELD : MARK_PENDING, .due = r->due, .attempts = r->attempts,
	    .code = last->code, .relay = last->relay, .reply = last->full, .notified = r->notified };
}

struct index_msg
rows_head(const struct message *m)
{
	return (struct index_msg){ .id = m->id, .loc = m->loc, .arrival = m->env.arrival, .sender = m->env.sender, .tag = m->env.tag,
	    .message_id = m->message_id, .size = m->len, .uid = m->env.uid, .nrcpt = message_live(m) };
}

void
rows_added(struct message *m)
{
	uint32_t i;

	rw.norow += !m->row;
	for (i = 0; i < m->env.rcpts_n; i++)
		if (m->rcpts[i].row == ROW_SAME)
			m->rcpts[i].row = state_of(m, i);
}

/* ---- one message at once ---- */

static void
unfresh(struct message *m)
{
	if (!m->fresh)
		return;
	TAILQ_REMOVE(&rw.fresh, m, fresh_link);
	m->fresh = false;
}

/* No part of it is to be written any more. */
static void
unslow(struct message *m)
{
	if (!m->slow)
		return;
	TAILQ_REMOVE(&rw.slow, m, fresh_link);
	m->slow = false;
	if (!m->row && m->put_to > 0)
		index_hold(rw.index, false);
}

static void
has_row(struct message *m)
{
	rw.norow -= !m->row;
	m->row = true;
}

static int
put_all(struct message *m)
{
	struct index_msg head = rows_head(m);
	struct index_rcpt row;
	uint32_t i;

	if (index_put_msg(rw.index, &head) == -1)
		return -1;
	for (i = 0; i < m->env.rcpts_n; i++) {
		m->rcpts[i].row = state_of(m, i);
		row = rows_rcpt(m, i);
		if (m->rcpts[i].row != 0 && index_put_rcpts(rw.index, m->id, &row, 1) == -1)
			return -1;
	}
	has_row(m);
	return 0;
}

/* -1: an error. 1: the row is not there, all of them must be put. */
static int
put_one(struct message *m, uint32_t n)
{
	struct rcpt *r = &m->rcpts[n];
	struct index_rcpt row;
	uint32_t now = state_of(m, n);
	int rc;

	if (r->row == now)
		return 0;
	if (r->row == 0)
		return 1;
	row = rows_rcpt(m, n);
	rc = now == 0 ? index_rcpt_final(rw.index, m->id, n) : index_rcpt(rw.index, m->id, &row);
	if (rc == 0)
		r->row = now;
	return rc;
}

/* Of many recipients few may have changed. */
static int
put_now(struct message *m)
{
	int rc = m->row ? 0 : 1;
	uint32_t i;

	for (i = 0; i < m->env.rcpts_n && rc == 0; i++)
		rc = put_one(m, i);
	return rc == 1 ? put_all(m) : rc;
}

/* ---- by and by ---- */

static bool
few(const struct message *m)
{
	uint32_t i, n = 0;

	if (m->env.rcpts_n < ROWS_MANY)
		return true;
	if (!m->row)
		return false;
	for (i = 0; i < m->env.rcpts_n && n <= PART; i++)
		n += !rows_has(m, i);
	return n <= PART;
}

static void
slowly(struct message *m)
{
	unfresh(m);
	m->slow = true;
	m->put_to = m->put_n = 0;
	m->ticket = ++rw.tickets;
	TAILQ_INSERT_TAIL(&rw.slow, m, fresh_link);
	ev_wake();
}

int
rows_put(struct message *m)
{
	if (index_broken(rw.index))
		return -1;
	if (m->slow)
		return 1;
	if (few(m))
		return put_now(m);
	slowly(m);
	return 1;
}

/* Rows of a message that has none yet. */
static int
new_part(struct message *m)
{
	struct index_rcpt part[PART];
	struct index_msg head = rows_head(m);
	uint32_t n = 0, i;

	if (m->put_to == 0 && index_put_msg(rw.index, &head) == -1)
		return -1;
	for (i = m->put_to; i < m->env.rcpts_n && n < PART; i++) {
		m->rcpts[i].row = state_of(m, i);
		if (m->rcpts[i].row != 0)
			part[n++] = rows_rcpt(m, i);
	}
	m->put_to = i;
	m->put_n += n;
	if (index_put_rcpts(rw.index, m->id, part, n) == -1)
		return -1;
	/* Some may have come to their end since the head was put. */
	return i == m->env.rcpts_n ? index_msg_live(rw.index, m->id, m->put_n) : 0;
}

static int
changed_part(struct message *m)
{
	uint32_t n = 0;
	int rc = 0;

	for (; m->put_to < m->env.rcpts_n && n < PART && rc == 0; m->put_to++) {
		n += !rows_has(m, m->put_to);
		rc = put_one(m, m->put_to);
	}
	return rc;
}

/* A new message's transaction stays open until all of it is there: what a start finds in the index is whole. */
static void
slow_part(struct message *m)
{
	bool new = !m->row;
	int rc;

	if (new)
		index_hold(rw.index, true);
	rc = new ? new_part(m) : changed_part(m);
	if (rc == 0 && m->put_to < m->env.rcpts_n)
		return;
	unslow(m);
	if (new)
		index_hold(rw.index, false);
	if (rc == 0)
		has_row(m);
	else if (rc == 1)
		put_all(m);
	if (m->overflow)
		ready_settle(m);
	else
		sched_queue(m);
}

static void
going_part(struct going *g)
{
	int rc;

	index_hold(rw.index, true);
	g->at += PART_GOING;
	rc = g->at < g->n ? index_delete_rcpts(rw.index, g->id, g->at) : index_delete(rw.index, g->id);
	if (g->at < g->n && rc == 0)
		return;
	index_hold(rw.index, false);
	spool_final(rw.spool, g->loc);
	TAILQ_REMOVE(&rw.going, g, link);
	free(g);
}

/* One thing at a time, so that each is whole before the next commit. */
static bool
slow_step(void)
{
	struct message *m = TAILQ_FIRST(&rw.slow);
	struct going *g = TAILQ_FIRST(&rw.going);

	if (m != NULL && (m->put_to > 0 || g == NULL || g->at == 0))
		slow_part(m);
	else if (g != NULL)
		going_part(g);
	return m != NULL || g != NULL;
}

void
rows_run(void)
{
	uint64_t end = ev_busy_us() + (ready_full() ? SLICE_FULL_US : SLICE_US);
	bool more = false;

	while (ev_busy_us() <= end && (more = slow_step()))
		;
	if (more)
		ev_wake();
}

void
rows_finish(struct message *m)
{
	uint64_t ticket = m->ticket;

	while (!rows_reached(ticket))
		slow_step();
}

uint64_t
rows_ticket(void)
{
	return rw.tickets;
}

bool
rows_reached(uint64_t ticket)
{
	const struct message *m = TAILQ_FIRST(&rw.slow);

	return m == NULL || m->ticket > ticket;
}

/* ---- new messages ---- */

static void
due(int64_t since)
{
	struct message *m;

	while ((m = TAILQ_FIRST(&rw.fresh)) != NULL && m->since <= since) {
		unfresh(m);
		rows_put(m);
	}
	if (m != NULL)
		ev_timer_set(&rw.late, ROWS_LATE_MS);
}

static void
late(void *arg)
{
	(void)arg;
	due(clock_now() - ROWS_LATE_MS + 1);
}

void
rows_fresh(struct message *m)
{
	m->since = clock_now();
	m->fresh = true;
	if (TAILQ_EMPTY(&rw.fresh))
		ev_timer_set(&rw.late, ROWS_LATE_MS);
	TAILQ_INSERT_TAIL(&rw.fresh, m, fresh_link);
}

void
rows_flush(void)
{
	due(INT64_MAX);
}

void
rows_missing(struct index_count *n)
{
	const struct message *m;
	uint32_t i;

	TAILQ_FOREACH(m, &rw.slow, fresh_link) {
		if (m->row)
			continue;
		if (m->put_to == 0) {
			n->messages++;
			n->bytes += m->len;
		}
		for (i = m->put_to; i < m->env.rcpts_n; i++) {
			n->recipients += m->rcpts[i].state != R_FINAL;
			n->held += m->rcpts[i].state == R_HELD;
			n->tried += m->rcpts[i].state != R_HELD && m->rcpts[i].state != R_FINAL && m->rcpts[i].attempts > 0;
		}
	}
}

/* ---- the end of a message ---- */

void
rows_forget(struct message *m)
{
	unfresh(m);
	unslow(m);
	rw.norow -= !m->row;
}

void
rows_delete(struct message *m)
{
	struct going *g;

	if (m->env.rcpts_n < ROWS_MANY || (!m->row && !m->slow)) {
		if (m->row)
			index_delete(rw.index, m->id);
		spool_final(rw.spool, m->loc);
		return;
	}
	g = xcalloc(1, sizeof(*g));
	g->id = m->id;
	g->loc = m->loc;
	g->n = m->env.rcpts_n;
	TAILQ_INSERT_TAIL(&rw.going, g, link);
	ev_wake();
}

bool
rows_going(uint64_t id)
{
	struct going *g;

	TAILQ_FOREACH(g, &rw.going, link)
		if (g->id == id)
			return true;
	return false;
}

/* ---- how far segments are known ---- */

static void
known(void *arg, uint32_t seg, const uint8_t rnd[16], uint64_t end)
{
	index_segment(arg, seg, rnd, end);
}

/* Only while no message lives by its record alone, or the next start would not find it; and none has news that its rows lack. */
static void
note_progress(void)
{
	if (rw.norow == 0 && TAILQ_EMPTY(&rw.slow))
		spool_progress(rw.spool, known, rw.index);
}

static void
progress(void *arg)
{
	(void)arg;
	rows_flush();
	note_progress();
	ev_timer_set(&rw.progress, PROGRESS_MS);
}

void
rows_end(void)
{
	rows_flush();
	while (slow_step())
		;
	note_progress();
}

void
rows_init(struct spool *sp, struct index *ix)
{
	rw.spool = sp;
	rw.index = ix;
	TAILQ_INIT(&rw.fresh);
	TAILQ_INIT(&rw.slow);
	TAILQ_INIT(&rw.going);
	ev_timer_init(&rw.late, late, NULL);
	ev_timer_init(&rw.progress, progress, NULL);
	ev_timer_set(&rw.progress, PROGRESS_MS);
}
