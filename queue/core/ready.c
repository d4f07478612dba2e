/*
 * ready: the table of messages in memory.
 *
 * Called by intake and bounce (new mail), load (due mail), result and control. Owns the messages in it; their
 * index rows are rows.c's. When the index refuses a row the message stays here ("stuck") and is tried from memory; nothing is lost, since
 * the record is on the disk.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "mail/addr.h"
#include "notice/bounce.h"
#include "proc/clock.h"
#include "core/dues.h"
#include "proc/ev.h"
#include "core/load.h"
#include "base/log.h"
#include "mail/qid.h"
#include "core/ready.h"
#include "core/rows.h"
#include "core/sched.h"
#include "core/stats.h"
#include "core/suspect.h"
#include "base/xmalloc.h"

#define BUCKETS		16384
#define STUCK_MS	1000
#define GATHER_FROM	100		/* recipients */
#define GATHER_MS	60000
#define MARKS_GAP	4096		/* marks that are further apart are written apart */

static struct {
	struct spool		*spool;
	struct index		*index;
	struct message		*bucket[BUCKETS];
	unsigned		 n[LINE__N];
	uint64_t		 rcpts[LINE__N];
	struct message_list	 stuck;
	struct ev_timer		 stuck_timer;
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
	return rd.n[LINE_NEW] + rd.n[LINE_OLD];
}

static uint64_t
rcpts(void)
{
	return rd.rcpts[LINE_NEW] + rd.rcpts[LINE_OLD];
}

unsigned
ready_room(enum line line)
{
	return rd.n[line] < READY_MAX / LINE__N ? READY_MAX / LINE__N - rd.n[line] : 0;
}

bool
ready_may_load(void)
{
	return ready_room(LINE_OLD) > 0 && rd.rcpts[LINE_OLD] < READY_RCPTS / LINE__N;
}

bool
ready_full(void)
{
	return ready_count() >= READY_MAX || rcpts() >= READY_RCPTS;
}

/* ---- coming ---- */

void
ready_add(struct message *m)
{
	*slot(m->id) = m;
	rd.n[message_line(m)]++;
	rd.rcpts[message_line(m)] += m->env.rcpts_n;
	rows_added(m);
}

static void
due_now(struct message *m)
{
	uint32_t i;

	for (i = 0; i < m->env.rcpts_n; i++)
		rcpt_due(m, i, clock_now());
}

void
ready_add_fresh(struct message *m)
{
	due_now(m);
	ready_add(m);
	rows_fresh(m);
}

/* ---- going ---- */

static void
forget(struct message *m)
{
	struct message **at = slot(m->id);

	*at = m->hash_next;
	rd.n[message_line(m)]--;
	rd.rcpts[message_line(m)] -= m->env.rcpts_n;
	if (m->stuck)
		TAILQ_REMOVE(&rd.stuck, m, stuck_link);
	rows_forget(m);
	suspect_gone(m);
	bounce_gone(m);
	dues_gone(m);
	message_free(m);
}

static void
finish(struct message *m)
{
	rows_delete(m);
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
		if (r->state != R_IDLE || r->due <= now || rows_has(m, (uint32_t)(r - m->rcpts)))
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
	int rc;

	if (message_busy(m))
		return false;
	if (message_live(m) == 0) {
		finish(m);
		return true;
	}
	if (suspect_waits(m))
		return false;
	if (!m->slow)
		gather_dues(m);
	if ((rc = rows_put(m)) == -1)
		stick(m);
	if (rc != 0)
		return false;
	sched_stored(m);
	forget(m);
	return true;
}

void
ready_overflow(struct message *m)
{
	due_now(m);
	m->overflow = true;
	ready_add(m);
	if (!ready_settle(m) && m->slow)
		rows_finish(m);
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
ready_note(struct message *m, uint32_t n, enum mark mark)
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
}

void
ready_mark(struct message *m, uint32_t n, enum mark mark)
{
	ready_note(m, n, mark);
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
	TAILQ_INIT(&rd.stuck);
	ev_timer_init(&rd.stuck_timer, stuck_timer, NULL);
	rows_init(sp, ix);
}

void
ready_text(struct message *m, const struct body *b)
{
	m->env.flags = b->scan.flags;
	m->message_id = message_strdup(m, b->scan.message_id);
	m->len = b->len;
	m->crc = body_crc(b);
}
