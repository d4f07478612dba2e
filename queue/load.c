/*
 * load: from the index and the record back into memory.
 *
 * Called by sched_run and control. Owns where the next look begins: all rows due before that are in memory, or were put
 * with a due time of their own since (load_due_at). So a look costs what is new, not what waits. Owns the message that is under way:
 * of many recipients a part is read in each turn, and only then it is one of those in memory. A row whose record is gone or
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
#include "reply.h"
#include "rows.h"
#include "sched.h"
#include "stats.h"

#define BATCH		100		/* rows a turn */
#define PART		500		/* recipients a turn */
#define LOOK_MS		20		/* between two looks */
#define AGAIN_MS	60000		/* after a record that could not be read for now */
#define CLOCK_SLACK	(10 * 86400 * 1000LL)

/* A message on its way in. */
struct part {
	struct message	*m;		/* NULL: none */
	uint32_t	 at;		/* recipients from this one on are still to be read; UINT32_MAX: none */
	bool		 hurry;		/* they are due, whatever their rows say */
	bool		 pin;		/* somebody waits for it */
};

static struct {
	struct spool		*spool;
	struct index		*index;
	struct index_due	 at;		/* the look goes on behind this row */
	int64_t			 next;		/* when there is something to look for */
	bool			 looking;
	struct ev_timer		 timer, again;
	struct part		 part;		/* the one that is under way */
	struct {
		bool		 on;
		uint64_t	 after, last;	/* ids */
	} all;					/* "retry all" */
	unsigned		 turns;
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

static void
look_from_start(void)
{
	ld.at = (struct index_due){ .due = INT64_MIN };
	ld.next = clock_now();
	arm();
}

void
load_retry_all(void)
{
	ld.all.after = 0;
	ld.all.last = index_last_id(ld.index);
	ld.all.on = true;
	ev_wake();
}

/* A kill may have come between the mark and the index's commit. */
static bool
same_mark(const struct rcpt *r, const struct index_rcpt *row)
{
	return r->state != R_FINAL && (r->state == R_HELD) == (row->mark == MARK_HELD);
}

/* -> the number behind the last recipient that was read */
static uint32_t
take_rcpts(struct message *m, const struct index_msg *row)
{
	uint32_t i, end = 0;

	for (i = 0; i < row->nrcpt; i++) {
		const struct index_rcpt *from = &row->rcpts[i];
		const char *text = reply_behind_code(from->reply, from->code);

		end = from->n + 1;
		if (from->n >= m->env.rcpts_n)
			continue;
		rcpt_due(m, from->n, from->due);
		m->rcpts[from->n].attempts = from->attempts;
		m->rcpts[from->n].notified = from->notified;
		m->rcpts[from->n].row = same_mark(&m->rcpts[from->n], from) ? ROW_SAME : ROW_OTHER;
		if (*text != '\0')
			rcpt_last_at(m, from->n, from->code, "", text, from->relay, 0);
		if (strcmp(from->action, m->env.rcpts[from->n].action) != 0)	/* rerouted since */
			m->env.rcpts[from->n].action = message_strdup(m, from->action);
	}
	return end;
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
	m->row = m->old = true;
	m->message_id = message_strdup(m, row->message_id);
	message_ready(m, se.marks);
	spool_env_free(&se);
	return m;
}

static void
unreadable(uint64_t id)
{
	log_error("%s: its record cannot be read: %s", qid_text(id).s, strerror(errno));
	if (errno == EBADMSG || errno == ENOENT)
		index_delete(ld.index, id);
	else if (ld.again.due == 0)	/* the cursor has passed it: nobody else would come back to it */
		ev_timer_set(&ld.again, AGAIN_MS);
}

static void
take_part(struct part *p, const struct index_msg *row, uint32_t max)
{
	uint32_t end = row != NULL ? take_rcpts(p->m, row) : 0;

	p->at = row != NULL && row->nrcpt == max ? end : UINT32_MAX;
}

/* Its record and up to max of its recipients. false: there is no such message, or it cannot be read. */
static bool
part_begin(struct part *p, uint64_t id, uint32_t max)
{
	struct index_msg *row = index_part(ld.index, id, 0, max);

	if (row == NULL)
		return false;
	if ((p->m = load_record(row)) != NULL)
		take_part(p, row, max);
	else
		unreadable(id);
	index_msg_free(row);
	return p->m != NULL;
}

static void
part_more(struct part *p, uint32_t max)
{
	struct index_msg *row = index_part(ld.index, p->m->id, p->at, max);

	take_part(p, row, max);
	index_msg_free(row);
}

static struct message *
part_end(struct part *p)
{
	struct message *m = p->m;

	p->m = NULL;
	m->awaited = p->pin;
	p->pin = false;
	ready_add(m);
	stats.loaded++;
	return m;
}

bool
load_under_way(uint64_t id)
{
	return ld.part.m != NULL && ld.part.m->id == id;
}

struct message *
load_message(uint64_t id)
{
	struct message *m = ready_find(id);
	struct part all = { .m = NULL };

	if (m != NULL || rows_going(id))
		return m;
	if (load_under_way(id)) {
		if (ld.part.at != UINT32_MAX)
			part_more(&ld.part, UINT32_MAX);
		return part_end(&ld.part);
	}
	return part_begin(&all, id, UINT32_MAX) ? part_end(&all) : NULL;
}

/* A due time beyond any back-off was written when the clock was wrong: it counts as now. */
static bool
absurd(const struct rcpt *r)
{
	return r->due > clock_now() + CLOCK_SLACK;
}

static void
make_due(struct message *m, bool hurry)
{
	uint32_t i;

	for (i = 0; i < m->env.rcpts_n; i++)
		if (m->rcpts[i].state == R_IDLE && (hurry || absurd(&m->rcpts[i])))
			rcpt_due(m, i, clock_now());
	sched_queue(m);
}

static void
part_step(void)
{
	struct message *m;

	if (ld.part.at != UINT32_MAX)
		part_more(&ld.part, PART);
	if (ld.part.at == UINT32_MAX) {
		m = part_end(&ld.part);
		make_due(m, ld.part.hurry);
	}
}

enum load
load_slowly(uint64_t id, struct message **m)
{
	if ((*m = ready_find(id)) == NULL && ld.part.m == NULL) {
		if (rows_going(id) || !part_begin(&ld.part, id, PART))
			return LOAD_NONE;
		ld.part.hurry = false;
		ld.part.pin = true;
		if (ld.part.at == UINT32_MAX)
			*m = part_end(&ld.part);
	}
	if (*m == NULL)
		return LOAD_WAIT;
	(*m)->awaited = false;
	(*m)->pins++;
	return LOAD_DONE;
}

void
load_let_go(uint64_t id)
{
	struct message *m = ready_find(id);

	if (load_under_way(id))
		ld.part.pin = false;
	if (m == NULL || !m->awaited)
		return;
	m->awaited = false;
	sched_queue(m);
}

/* It is in line afterwards, or under way. */
static void
load_one(uint64_t id, bool hurry)
{
	struct message *m = ready_find(id);

	ld.part.hurry = hurry;
	if (m != NULL && hurry)
		make_due(m, true);
	else if (m == NULL && !rows_going(id) && part_begin(&ld.part, id, PART) && ld.part.at == UINT32_MAX)
		part_step();
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

static bool
may_go_on(void)
{
	return ld.part.m == NULL && ready_may_load();
}

static void
look(void)
{
	struct index_due due[BATCH];
	int64_t now = clock_now();
	size_t n = index_due(ld.index, now, ld.at, due, BATCH), i;

	for (i = 0; i < n && may_go_on(); i++) {
		ld.at = due[i];
		load_one(due[i].id, false);
	}
	if (i == n && n < BATCH && ld.part.m == NULL)
		rest(now);
}

static void
look_at_all(void)
{
	uint64_t id[BATCH];
	size_t n = index_ids(ld.index, ld.all.after, id, BATCH), i;

	for (i = 0; i < n && id[i] <= ld.all.last && may_go_on(); i++) {
		ld.all.after = id[i];
		load_one(id[i], true);
	}
	if (n == 0 || (i < n && id[i] > ld.all.last))
		ld.all.on = false;
}

/* Both get their turns, so that neither waits for the other to come to its end. */
void
load_run(void)
{
	if (ld.part.m != NULL)
		part_step();
	else if (!may_go_on() || (!ld.looking && !ld.all.on))
		return;
	else if (ld.all.on && (!ld.looking || ld.turns++ % 2 == 0))
		look_at_all();
	else
		look();
	if (ld.looking || ld.all.on || ld.part.m != NULL)
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
	look_from_start();
}

/* Rows that a wrong clock put far into the future are due now. */
static void
load_absurd(void)
{
	struct index_due due[BATCH];
	struct index_due from = { .due = clock_now() + CLOCK_SLACK };
	size_t n = index_due(ld.index, INT64_MAX, from, due, BATCH), i;

	for (i = 0; i < n; i++) {
		load_one(due[i].id, false);
		while (ld.part.m != NULL)
			part_step();
	}
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
