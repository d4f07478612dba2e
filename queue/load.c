/*
 * load: from the index and the record back into memory.
 *
 * Called by sched_run and control. Owns where the next look begins: all rows due before "seen" are in memory, or were put
 * with a due time of their own since (load_due_at). So a look costs what is new, not what waits. A row whose record is gone or
 * damaged is dropped from the index and logged; the spool keeps the damaged piece.
 */
#include <errno.h>
#include <string.h>
#include "clock.h"
#include "ev.h"
#include "load.h"
#include "log.h"
#include "qid.h"
#include "ready.h"
#include "sched.h"
#include "stats.h"

#define BATCH		100		/* rows a turn */
#define ROOM		(READY_MAX / 2)	/* looks only while fewer are in memory */
#define LOOK_MS		20		/* between two looks */
#define AGAIN_MS	60000		/* after a record that could not be read for now */
#define CLOCK_SLACK	(10 * 86400 * 1000LL)

static struct {
	struct spool		*spool;
	struct index		*index;
	struct index_due	 at;		/* the look goes on behind this row */
	int64_t			 next;		/* when there is something to look for */
	bool			 looking;
	struct ev_timer		 timer, again;
} ld;

static void
arm(void)
{
	int64_t wait = ld.next - clock_now();

	if (ld.next == INT64_MAX)
		ev_timer_clear(&ld.timer);
	else
		ev_timer_set(&ld.timer, wait < LOOK_MS ? LOOK_MS : wait > 3600 * 1000 ? 3600 * 1000 : (uint64_t)wait);
}

void
load_due_at(int64_t due)
{
	if (due < ld.next) {
		ld.next = due;
		if (!ld.looking)
			arm();
	}
	if (due <= ld.at.due)		/* not behind the cursor: back to it */
		ld.at = (struct index_due){ .due = due - 1 };
}

void
load_all_again(void)
{
	ld.at = (struct index_due){ .due = INT64_MIN };
	ld.next = clock_now();
	arm();
}

static void
take_row(struct message *m, const struct index_msg *row)
{
	uint32_t i;

	m->row = true;
	for (i = 0; i < row->nrcpt; i++) {
		const struct index_rcpt *from = &row->rcpts[i];
		const char *text = from->reply;

		if (from->n >= m->env.rcpts_n)
			continue;
		m->rcpts[from->n].due = from->due;
		m->rcpts[from->n].attempts = from->attempts;
		m->rcpts[from->n].notified = from->notified;
		/* The mark may be newer than the row: then all of it is put anew. */
		m->rcpts[from->n].row = m->rcpts[from->n].state == R_FINAL || m->marks[from->n] == from->mark;
		if (*text != '\0')
			rcpt_last_at(m, from->n, from->code, "", text, from->relay, 0);
		if (strcmp(from->action, m->env.rcpts[from->n].action) != 0)	/* rerouted since */
			m->env.rcpts[from->n].action = message_strdup(m, from->action);
	}
	m->message_id = message_strdup(m, row->message_id);
}

static struct message *
load_record(const struct index_msg *row)
{
	struct spool_env se;
	struct message *m;

	if (spool_read_env(ld.spool, row->loc, &se) == -1)
		return NULL;
	if (se.env.id != row->id) {
		spool_env_free(&se);
		errno = EBADMSG;
		return NULL;
	}
	m = message_new(&se.env);
	m->loc = row->loc;
	m->body_off = se.body_off;
	m->len = se.body_len;
	message_ready(m, se.marks);
	take_row(m, row);
	spool_env_free(&se);
	return m;
}

struct message *
load_message(uint64_t id)
{
	struct message *m = ready_find(id);
	struct index_msg *row;

	if (m != NULL || ready_going(id) || (row = index_get(ld.index, id)) == NULL)
		return m;
	m = load_record(row);
	if (m != NULL) {
		ready_add(m);
		stats.loaded++;
	} else {
		log_error("%s: its record cannot be read: %s", qid_text(id).s, strerror(errno));
		if (errno == EBADMSG || errno == ENOENT)
			index_delete(ld.index, id);
		else if (ld.again.due == 0)	/* the cursor has passed it: nobody else would come back to it */
			ev_timer_set(&ld.again, AGAIN_MS);
	}
	index_msg_free(row);
	return m;
}

/* A due time beyond any back-off was written when the clock was wrong: it counts as now. */
static bool
absurd(const struct rcpt *r)
{
	return r->due > clock_now() + CLOCK_SLACK;
}

static void
load_one(uint64_t id)
{
	struct message *m;
	uint32_t i;

	if (ready_find(id) != NULL || (m = load_message(id)) == NULL)
		return;
	for (i = 0; i < m->env.rcpts_n; i++)
		if (absurd(&m->rcpts[i]))
			m->rcpts[i].due = clock_now();
	sched_queue(m);
}

/* The look is at its end: when is the next one? */
static void
rest(int64_t now)
{
	struct index_due later, end = { .due = now, .id = INT64_MAX };

	ld.looking = false;
	ld.at = end;
	ld.next = index_due(ld.index, INT64_MAX, end, &later, 1) == 1 ? later.due : INT64_MAX;
	arm();
}

void
load_run(void)
{
	struct index_due due[BATCH];
	int64_t now = clock_now();
	size_t n, i;

	if (!ld.looking || ready_count() >= ROOM || ready_rcpts() >= READY_RCPTS / 2)
		return;
	n = index_due(ld.index, now, ld.at, due, BATCH);
	for (i = 0; i < n && (i == 0 || ready_rcpts() < READY_RCPTS / 2); i++) {
		ld.at = due[i];
		load_one(due[i].id);
	}
	if (i == n && n < BATCH)
		rest(now);
	else
		ev_wake();
}

static void
timer(void *arg)
{
	(void)arg;
	ld.looking = true;
}

static void
again(void *arg)
{
	(void)arg;
	load_all_again();
}

/* Rows that a wrong clock put far into the future are due now. */
static void
load_absurd(void)
{
	struct index_due due[BATCH];
	struct index_due from = { .due = clock_now() + CLOCK_SLACK };
	size_t n = index_due(ld.index, INT64_MAX, from, due, BATCH), i;

	for (i = 0; i < n; i++)
		load_one(due[i].id);
}

void
load_init(struct spool *sp, struct index *ix)
{
	ld.spool = sp;
	ld.index = ix;
	ld.at = (struct index_due){ .due = INT64_MIN };
	ld.next = 0;
	ev_timer_init(&ld.timer, timer, NULL);
	ev_timer_init(&ld.again, again, NULL);
	ld.looking = true;
	load_absurd();
}
