/*
 * session: see session.h. Owns the tables of sessions, not the sessions; cannot fail.
 */
#include "proc/ev.h"
#include "base/log.h"
#include "listener/session.h"

#define ID_BUCKETS	4096

static struct {
	LIST_HEAD(, session)	 by_id[ID_BUCKETS];
	struct session_q	 all;
	struct session_q	 ready;		/* have commands left over from the last turn, or an answer */
	struct session_q	 paused;	/* bring data that the queue cannot take now */
	uint32_t		 last_id, turn;
} sessions;

/* ---- all of them ---- */

void
session_init(void)
{
	TAILQ_INIT(&sessions.all);
	TAILQ_INIT(&sessions.ready);
	TAILQ_INIT(&sessions.paused);
}

void
session_add(struct session *s)
{
	s->id = ++sessions.last_id;
	LIST_INSERT_HEAD(&sessions.by_id[s->id % ID_BUCKETS], s, by_id);
	TAILQ_INSERT_TAIL(&sessions.all, s, all);
}

void
session_remove(struct session *s)
{
	session_off(s);
	LIST_REMOVE(s, by_id);
	TAILQ_REMOVE(&sessions.all, s, all);
}

struct session *
session_find(uint32_t id)
{
	struct session *s;

	LIST_FOREACH(s, &sessions.by_id[id % ID_BUCKETS], by_id)
		if (s->id == id)
			return s;
	return NULL;
}

bool
session_none(void)
{
	return TAILQ_EMPTY(&sessions.all);
}

struct session *
session_first(void)
{
	return TAILQ_FIRST(&sessions.all);
}

void
session_each(void (*cb)(struct session *))
{
	struct session *s, *next;

	for (s = TAILQ_FIRST(&sessions.all); s != NULL; s = next) {
		next = TAILQ_NEXT(s, all);
		cb(s);
	}
}

void
session_useful(struct session *s)
{
	s->useful = ev_now_ms();
	TAILQ_REMOVE(&sessions.all, s, all);
	TAILQ_INSERT_TAIL(&sessions.all, s, all);
}

/* ---- ready, or paused ---- */

void
session_off(struct session *s)
{
	if (s->queue != NULL)
		TAILQ_REMOVE(s->queue, s, on);
	s->queue = NULL;
}

static void
queue_on(struct session *s, struct session_q *q)
{
	session_off(s);
	s->queue = q;
	TAILQ_INSERT_TAIL(q, s, on);
}

void
session_ready(struct session *s)
{
	queue_on(s, &sessions.ready);
	s->turn = sessions.turn;
	ev_wake();
}

struct session *
session_next_ready(void)
{
	struct session *s = TAILQ_FIRST(&sessions.ready);

	if (s == NULL || s->turn == sessions.turn)
		return NULL;
	session_off(s);
	return s;
}

void
session_turn_begins(void)
{
	sessions.turn++;
}

void
session_data_pause(struct session *s)
{
	queue_on(s, &sessions.paused);
	io_pause(s->io);
	s->held = true;
}

void
session_data_resume(void)
{
	struct session *s;

	while ((s = TAILQ_FIRST(&sessions.paused)) != NULL) {
		s->rate_since = ev_now_ms();
		s->rate_bytes = 0;
		session_ready(s);
	}
}

bool
session_paused(const struct session *s)
{
	return s->queue == &sessions.paused;
}

/* ---- waits ---- */

void
session_wait(struct session *s, enum wait wait, uint64_t ms, void (*then)(struct session *))
{
	s->wait = wait;
	s->then = then;
	io_deadline(s->io, ms);
}

void
session_wait_over(struct session *s)
{
	s->wait = WAIT_NO;
	s->progress = true;
	session_ready(s);
}

/* ---- its state ---- */

/* Which states may follow on each; that a session closes is allowed in all of them. */
static const unsigned follows[] = {
	[ST_GREET] =	IN(ST_START),
	[ST_START] =	IN(ST_HELO) | IN(ST_CHUNK),
	[ST_HELO] =	IN(ST_HELO) | IN(ST_MAIL) | IN(ST_CHUNK),
	[ST_MAIL] =	IN(ST_HELO) | IN(ST_DATA) | IN(ST_CHUNK),
	[ST_BDAT] =	IN(ST_HELO) | IN(ST_CHUNK),
	[ST_DATA] =	IN(ST_HELO),
	[ST_CHUNK] =	IN(ST_START) | IN(ST_HELO) | IN(ST_MAIL) | IN(ST_BDAT),
	[ST_CLOSING] =	0
};

void
session_enter(struct session *s, enum state to)
{
	if (s->state == ST_CLOSING)
		return;
	if (to != ST_CLOSING && !(follows[s->state] & IN(to)))
		fatalx("a session cannot go from state %d to %d", (int)s->state, (int)to);
	s->state = to;
}

void
session_last(struct session *s, bool linger)
{
	session_enter(s, ST_CLOSING);
	s->linger = s->linger || linger;
}
