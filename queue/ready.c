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
#define MARKS_GAP	4096		/* marks that are further apart are written apart */

static struct {
	struct spool		*spool;
	struct index		*index;
	struct message		*bucket[BUCKETS];
	unsigned		 n, norow;	/* messages; those of them without a row */
	uint64_t		 rcpts;
	struct message_list	 fresh, stuck;
	struct ev_timer		 row_timer, stuck_timer, progress_timer;
	struct {
		struct message	*m;		/* whose marks are gathered */
		uint32_t	 first, n;	/* those to be written; n is 0: none yet */
		struct buf	 bytes;
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

struct index_msg
ready_row(const struct message *m)
{
	struct index_msg row = { .id = m->id, .loc = m->loc, .arrival = m->env.arrival, .sender = m->env.sender, .tag = m->env.tag,
	    .message_id = m->message_id, .size = m->len, .uid = m->env.uid };
	uint32_t i;

	row.rcpts = xcalloc(message_live(m) + 1, sizeof(*row.rcpts));
	for (i = 0; i < m->env.rcpts_n; i++)
		if (m->rcpts[i].state != R_FINAL)
			row.rcpts[row.nrcpt++] = rcpt_row(m, i);
	return row;
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
		ready_put_row(m);
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

void
ready_flush_rows(void)
{
	rows_due(INT64_MAX);
}

static void
progress(void *arg, uint32_t seg, const uint8_t rnd[16], uint64_t end)
{
	index_segment(arg, seg, rnd, end);
}

/* Only while no message lives by its record alone, or the next start would not find it. */
void
ready_progress(void)
{
	ready_flush_rows();
	if (rd.norow == 0)
		spool_progress(rd.spool, progress, rd.index);
	ev_timer_set(&rd.progress_timer, PROGRESS_MS);
}

static void
progress_timer(void *arg)
{
	(void)arg;
	ready_progress();
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
	suspect_gone(m);
	bounce_gone(m);
	message_free(m);
}

static void
finish(struct message *m)
{
	if (m->row)
		index_delete(rd.index, m->id);
	spool_final(rd.spool, m->loc);
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
	uint8_t *p = buf_reserve(&rd.marks.bytes, rd.marks.n);
	uint32_t i;

	for (i = 0; i < rd.marks.n; i++)
		p[i] = m->rcpts[rd.marks.first + i].mark;
	if (rd.marks.n > 0 && spool_marks(rd.spool, m->loc, rd.marks.first, p, rd.marks.n) == -1)
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
	m->rcpts[n].mark = (uint8_t)mark;
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
	ev_timer_init(&rd.row_timer, row_timer, NULL);
	ev_timer_init(&rd.stuck_timer, stuck_timer, NULL);
	ev_timer_init(&rd.progress_timer, progress_timer, NULL);
	ev_timer_set(&rd.progress_timer, PROGRESS_MS);
}
