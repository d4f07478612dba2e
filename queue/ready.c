/*
 * ready: the table of messages in memory.
 *
 * Called by intake and bounce (new mail), load (due mail), result and control. Owns the messages in it. Rows are written late: a
 * message that is done within READY_ROW_MS never gets one. When the index refuses a row the message stays here ("stuck") and is
 * tried from memory; nothing is lost, since the record is on the disk.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "addr.h"
#include "bounce.h"
#include "clock.h"
#include "ev.h"
#include "load.h"
#include "log.h"
#include "qid.h"
#include "ready.h"
#include "sched.h"
#include "stats.h"
#include "suspect.h"
#include "xmalloc.h"

#define BUCKETS		16384
#define STUCK_MS	1000
#define PROGRESS_MS	1000		/* so much of a run is scanned again at the next start */
#define GATHER_FROM	100		/* recipients */
#define GATHER_MS	60000
#define SLOW_FROM	2000		/* recipients: their rows come and go in parts, lest other mail waits */
#define SLOW_PART	500
#define MARKS_GAP	4096		/* marks that are further apart are written apart */

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
	struct message		*bucket[BUCKETS];
	unsigned		 n, norow;	/* messages; those of them without a row */
	uint64_t		 rcpts;
	struct message_list	 fresh, stuck;
	struct message_list	 slow;		/* the first is being put */
	TAILQ_HEAD(, going)	 going;
	struct ev_timer		 row_timer, stuck_timer, progress_timer;
	struct {
		struct message	*m;		/* whose marks are gathered */
		uint32_t	 first, n;	/* those to be written; n is 0: none yet */
	} marks;
} rd;

static struct message **
slot(uint64_t id)
{
	struct message **at = &rd.bucket[(id ^ id >> 17) % BUCKETS];

	while (*at != NULL && (*at)->id != id)
		at = &(*at)->hash_next;
	return at;
}

struct message *
ready_find(uint64_t id)
{
	return *slot(id);
}

unsigned
ready_count(void)
{
	return rd.n;
}

uint64_t
ready_rcpts(void)
{
	return rd.rcpts;
}

bool
ready_full(void)
{
	return rd.n >= READY_MAX || rd.rcpts >= READY_RCPTS;
}

/* ---- rows ---- */

/* What a recipient's row is made from, in short: when that changes the row must be put again. What r->last points to does not change. */
static uint32_t
row_state(const struct message *m, uint32_t n)
{
	const struct rcpt *r = &m->rcpts[n];
	uint64_t h = (uint64_t)r->due * 0x9e3779b97f4a7c15;

	h = (h ^ (uintptr_t)r->last ^ (uint64_t)(uintptr_t)m->env.rcpts[n].action << 20) * 0xff51afd7ed558ccd;
	h = (h ^ h >> 29 ^ r->attempts ^ (r->state == R_HELD ? 1u << 30 : 0) ^ (r->notified ? 1u << 31 : 0)) * 0xc4ceb9fe1a85ec53;
	return (uint32_t)(h >> 32) | 1;
}

static struct index_rcpt
rcpt_row(const struct message *m, uint32_t n)
{
	const struct p_env_rcpt *e = &m->env.rcpts[n];
	const struct rcpt *r = &m->rcpts[n];
	const struct last none = { .text = "", .relay = "" }, *last = r->last != NULL ? r->last : &none;

	return (struct index_rcpt){ .n = n, .addr = e->addr, .domain = addr_domain(e->addr), .action = e->action,
	    .mark = r->state == R_HELD ? MARK_HELD : MARK_PENDING, .due = r->due, .attempts = r->attempts,
	    .code = last->code, .relay = last->relay, .reply = last->text, .notified = r->notified };
}

static struct index_msg
row_head(const struct message *m)
{
	return (struct index_msg){ .id = m->id, .loc = m->loc, .arrival = m->env.arrival, .sender = m->env.sender, .tag = m->env.tag,
	    .message_id = m->message_id, .size = m->len, .uid = m->env.uid };
}

struct index_msg
ready_row(const struct message *m)
{
	struct index_msg row = row_head(m);
	uint32_t i;

	row.rcpts = xcalloc(message_live(m) + 1, sizeof(*row.rcpts));
	for (i = 0; i < m->env.rcpts_n; i++)
		if (m->rcpts[i].state != R_FINAL)
			row.rcpts[row.nrcpt++] = rcpt_row(m, i);
	return row;
}

/* No part of it is to be put any more. */
static void
unslow(struct message *m)
{
	if (!m->slow)
		return;
	TAILQ_REMOVE(&rd.slow, m, fresh_link);
	m->slow = false;
	if (m->put_to > 0)
		index_hold(rd.index, false);
}

static int
put_all(struct message *m)
{
	struct index_msg row = ready_row(m);
	int rc = index_put(rd.index, &row);
	uint32_t i;

	free(row.rcpts);
	if (rc == -1)
		return -1;
	for (i = 0; i < m->env.rcpts_n; i++)
		m->rcpts[i].row = m->rcpts[i].state != R_FINAL ? row_state(m, i) : 0;
	rd.norow -= !m->row;
	m->row = true;
	unslow(m);
	return 0;
}

/* -1: an error. 1: the row is not there, all of them must be put. */
static int
put_one(struct message *m, uint32_t n)
{
	struct rcpt *r = &m->rcpts[n];
	struct index_rcpt row;
	uint32_t now = r->state == R_FINAL ? 0 : row_state(m, n);
	int rc;

	if (r->row == now)
		return 0;
	if (r->row == 0)
		return 1;
	row = rcpt_row(m, n);
	rc = now == 0 ? index_rcpt_final(rd.index, m->id, n) : index_rcpt(rd.index, m->id, &row);
	if (rc == 0)
		r->row = now;
	return rc;
}

/* Of many recipients few may have changed. */
int
ready_put_row(struct message *m)
{
	int rc = m->row ? 0 : 1;
	uint32_t i;

	for (i = 0; i < m->env.rcpts_n && rc == 0; i++)
		rc = put_one(m, i);
	return rc == 1 ? put_all(m) : rc;
}

void
ready_put_again(uint64_t id)
{
	struct message *m = ready_find(id);

	if (m != NULL && m->row)
		ready_put_row(m);
}

static int
put_part(struct message *m)
{
	struct index_rcpt part[SLOW_PART];
	struct index_msg row = row_head(m);
	uint32_t n = 0, i;

	row.nrcpt = message_live(m);
	if (m->put_to == 0 && index_put_msg(rd.index, &row) == -1)
		return -1;
	for (i = m->put_to; i < m->env.rcpts_n && n < SLOW_PART; i++)
		if (m->rcpts[i].state != R_FINAL) {
			part[n++] = rcpt_row(m, i);
			m->rcpts[i].row = row_state(m, i);
		}
	m->put_to = i;
	return index_put_rcpts(rd.index, m->id, part, n);
}

/* Its transaction stays open until all of it is there: what a start finds in the index is whole. */
static void
slow_part(struct message *m)
{
	index_hold(rd.index, true);
	if (put_part(m) == -1) {
		m->put_to = 1;		/* whatever was put of it */
		unslow(m);
		return;
	}
	if (m->put_to < m->env.rcpts_n)
		return;
	m->row = true;
	rd.norow--;
	unslow(m);
}

static void
unfresh(struct message *m)
{
	if (!m->fresh)
		return;
	TAILQ_REMOVE(&rd.fresh, m, fresh_link);
	m->fresh = false;
}

static void
rows_due(int64_t since)
{
	struct message *m;

	while ((m = TAILQ_FIRST(&rd.fresh)) != NULL && m->since <= since) {
		unfresh(m);
		if (m->env.rcpts_n < SLOW_FROM) {
			ready_put_row(m);
			continue;
		}
		m->slow = true;
		m->put_to = 0;
		TAILQ_INSERT_TAIL(&rd.slow, m, fresh_link);
		ev_wake();
	}
	if (m != NULL)
		ev_timer_set(&rd.row_timer, READY_ROW_MS);
}

static void
row_timer(void *arg)
{
	(void)arg;
	rows_due(clock_now() - READY_ROW_MS + 1);
}

static void
going_part(struct going *g)
{
	int rc;

	index_hold(rd.index, true);
	g->at += SLOW_PART;
	rc = g->at < g->n ? index_delete_rcpts(rd.index, g->id, g->at) : index_delete(rd.index, g->id);
	if (g->at < g->n && rc == 0)
		return;
	index_hold(rd.index, false);
	spool_final(rd.spool, g->loc);
	TAILQ_REMOVE(&rd.going, g, link);
	free(g);
}

/* One thing at a time, so that each is whole before the next commit. */
static bool
slow_step(void)
{
	struct message *m = TAILQ_FIRST(&rd.slow);
	struct going *g = TAILQ_FIRST(&rd.going);

	if (m != NULL && (m->put_to > 0 || g == NULL || g->at == 0))
		slow_part(m);
	else if (g != NULL)
		going_part(g);
	return m != NULL || g != NULL;
}

bool
ready_going(uint64_t id)
{
	struct going *g;

	TAILQ_FOREACH(g, &rd.going, link)
		if (g->id == id)
			return true;
	return false;
}

void
ready_run(void)
{
	if (slow_step())
		ev_wake();
}

void
ready_flush_rows(void)
{
	rows_due(INT64_MAX);
	while (slow_step())
		;
}

static void
progress(void *arg, uint32_t seg, const uint8_t rnd[16], uint64_t end)
{
	index_segment(arg, seg, rnd, end);
}

/* Only while no message lives by its record alone, or the next start would not find it. */
static void
note_progress(void)
{
	if (rd.norow == 0)
		spool_progress(rd.spool, progress, rd.index);
	ev_timer_set(&rd.progress_timer, PROGRESS_MS);
}

void
ready_progress(void)
{
	ready_flush_rows();
	note_progress();
}

static void
progress_timer(void *arg)
{
	(void)arg;
	rows_due(INT64_MAX);
	note_progress();
}

/* ---- coming ---- */

void
ready_add(struct message *m)
{
	uint32_t i;

	*slot(m->id) = m;
	rd.n++;
	rd.rcpts += m->env.rcpts_n;
	rd.norow += !m->row;
	for (i = 0; i < m->env.rcpts_n; i++)
		if (m->rcpts[i].row != 0)
			m->rcpts[i].row = row_state(m, i);
}

static void
due_now(struct message *m)
{
	uint32_t i;

	for (i = 0; i < m->env.rcpts_n; i++)
		m->rcpts[i].due = clock_now();
}

void
ready_add_fresh(struct message *m)
{
	due_now(m);
	ready_add(m);
	m->since = clock_now();
	m->fresh = true;
	if (TAILQ_EMPTY(&rd.fresh))
		ev_timer_set(&rd.row_timer, READY_ROW_MS);
	TAILQ_INSERT_TAIL(&rd.fresh, m, fresh_link);
}

/* ---- going ---- */

static void
forget(struct message *m)
{
	struct message **at = slot(m->id);

	*at = m->hash_next;
	rd.n--;
	rd.rcpts -= m->env.rcpts_n;
	rd.norow -= !m->row;
	unfresh(m);
	if (m->stuck)
		TAILQ_REMOVE(&rd.stuck, m, stuck_link);
	unslow(m);
	suspect_gone(m);
	bounce_gone(m);
	message_free(m);
}

static void
go_slowly(struct message *m)
{
	struct going *g = xcalloc(1, sizeof(*g));

	g->id = m->id;
	g->loc = m->loc;
	g->n = m->env.rcpts_n;
	TAILQ_INSERT_TAIL(&rd.going, g, link);
	ev_wake();
}

static void
finish(struct message *m)
{
	if ((m->row || m->slow) && m->env.rcpts_n >= SLOW_FROM)
		go_slowly(m);
	else {
		if (m->row)
			index_delete(rd.index, m->id);
		spool_final(rd.spool, m->loc);
	}
	log_as("qmgr", LOG_LV_INFO, "%s: removed", qid_text(m->id).s);
	stats.finished++;
	forget(m);
}

static int64_t
soonest(const struct message *m)
{
	int64_t due = INT64_MAX;
	uint32_t i;

	for (i = 0; i < m->env.rcpts_n; i++)
		if (m->rcpts[i].state == R_IDLE && m->rcpts[i].due < due)
			due = m->rcpts[i].due;
	return due;
}

/* To load a message with many recipients costs much: they come back some at a time, not each at its own moment. */
static void
gather_dues(struct message *m)
{
	int64_t now = clock_now(), step;
	struct rcpt *r;

	if (m->env.rcpts_n < GATHER_FROM)
		return;
	for (r = m->rcpts; r < m->rcpts + m->env.rcpts_n; r++) {
		if (r->state != R_IDLE || r->due <= now || r->row == row_state(m, (uint32_t)(r - m->rcpts)))
			continue;
		step = (r->due - now) / 16;
		step = step < 1000 ? 1000 : step > GATHER_MS ? GATHER_MS : step - step % 1000;
		r->due += step - 1 - (r->due + step - 1) % step;
	}
}

static void
stick(struct message *m)
{
	if (m->stuck)
		return;
	log_warn("%s: no index row can be written; it is tried from memory", qid_text(m->id).s);
	m->stuck = true;
	TAILQ_INSERT_TAIL(&rd.stuck, m, stuck_link);
	ev_timer_set(&rd.stuck_timer, STUCK_MS);
}

bool
ready_settle(struct message *m)
{
	if (message_busy(m))
		return false;
	if (message_live(m) == 0) {
		finish(m);
		return true;
	}
	if (suspect_waits(m))
		return false;
	gather_dues(m);
	if (ready_put_row(m) == -1) {
		stick(m);
		return false;
	}
	load_due_at(soonest(m));
	forget(m);
	return true;
}

void
ready_overflow(struct message *m)
{
	due_now(m);
	ready_add(m);
	ready_settle(m);
}

/* The index is asked again; what is due meanwhile goes out from here. */
static void
stuck_timer(void *arg)
{
	struct message *m, *next;

	(void)arg;
	TAILQ_FOREACH_SAFE(m, &rd.stuck, stuck_link, next) {
		if (message_busy(m))
			continue;
		if (soonest(m) <= clock_now())
			sched_queue(m);
		else
			ready_settle(m);
	}
	if (!TAILQ_EMPTY(&rd.stuck))
		ev_timer_set(&rd.stuck_timer, STUCK_MS);
}

/* Nobody but us writes marks of a message in memory: those in between are on the disk as they are here. */
static void
write_marks(void)
{
	const struct message *m = rd.marks.m;

	if (rd.marks.n > 0 && spool_marks(rd.spool, m->loc, rd.marks.first, m->marks + rd.marks.first, rd.marks.n) == -1)
		log_error("%s: the mark of <%s> cannot be written: %s", qid_text(m->id).s, m->env.rcpts[rd.marks.first].addr,
		    strerror(errno));
	rd.marks.n = 0;
}

/* n joins those that wait to be written, if it is near them. */
static bool
join_marks(uint32_t n)
{
	uint32_t end = rd.marks.first + rd.marks.n;

	if (rd.marks.n == 0 || n < rd.marks.first || n > end + MARKS_GAP)
		return false;
	if (n >= end)
		rd.marks.n = n + 1 - rd.marks.first;
	return true;
}

void
ready_marks_begin(struct message *m)
{
	rd.marks.m = m;
}

void
ready_marks_write(void)
{
	if (rd.marks.n > 0)
		write_marks();
	rd.marks.m = NULL;
}

void
ready_mark(struct message *m, uint32_t n, enum mark mark)
{
	bool gather = rd.marks.m == m;

	if (!gather && spool_mark(rd.spool, m->loc, n, mark) == -1)
		log_error("%s: the mark of <%s> cannot be written: %s", qid_text(m->id).s, m->env.rcpts[n].addr, strerror(errno));
	if (gather && !join_marks(n)) {
		write_marks();
		rd.marks.first = n;
		rd.marks.n = 1;
	}
	m->marks[n] = (uint8_t)mark;
	rcpt_set(m, n, mark == MARK_PENDING ? R_IDLE : mark == MARK_HELD ? R_HELD : R_FINAL);
}

void
ready_each(void (*cb)(struct message *, void *), void *arg)
{
	struct message *m, *next;
	size_t i;

	for (i = 0; i < BUCKETS; i++)
		for (m = rd.bucket[i]; m != NULL; m = next) {
			next = m->hash_next;
			cb(m, arg);
		}
}

void
ready_init(struct spool *sp, struct index *ix)
{
	rd.spool = sp;
	rd.index = ix;
	TAILQ_INIT(&rd.fresh);
	TAILQ_INIT(&rd.stuck);
	TAILQ_INIT(&rd.slow);
	TAILQ_INIT(&rd.going);
	ev_timer_init(&rd.row_timer, row_timer, NULL);
	ev_timer_init(&rd.stuck_timer, stuck_timer, NULL);
	ev_timer_init(&rd.progress_timer, progress_timer, NULL);
	ev_timer_set(&rd.progress_timer, PROGRESS_MS);
}
