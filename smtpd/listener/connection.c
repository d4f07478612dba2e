/*
 * connection: see connection.h: turns, deadlines, the end.
 *
 * Makes and frees every struct session. What a client does wrong is answered and logged; a peer process that is gone is answered with
 * a 4xx. A session ends in finish() alone, which is reached from the tails of run() and of the io callbacks.
 */
#include <sys/socket.h>
#include <stdlib.h>
#include <string.h>

#include "listener/batch.h"
#include "program/child.h"
#include "listener/cmd.h"
#include "listener/client_count.h"
#include "listener/connection.h"
#include "listener/crowd.h"
#include "listener/door.h"
#include "proc/ev.h"
#include "base/log.h"
#include "listener/message.h"
#include "listener/session_say.h"
#include "listener/tx.h"
#include "base/xmalloc.h"

#define TURN_STEPS	64		/* commands of one client in one turn */
#define OUT_HIGH	(32 * 1024)	/* io's low-water mark: out() comes when replies fall to it */
#define IN_HIGH		(64 * 1024)	/* unread commands beyond which nothing more is received */
#define IN_KEEP		4096
#define LINGER_MS	3000
#define SHED_AFTER_MS	3000		/* nobody is sent away before */
#define LINGER_MAX	(1024 * 1024)

static bool draining;

static void	settle(struct session *);
static void	set_deadline(struct session *);
static void	finish(struct session *);
static void	too_early(struct session *);
static void	greet_late(struct session *);

static void
recount(struct session *s)
{
	counts_open(s->key, s->pool);
}

void
connection_recount(void)
{
	session_each(recount);
}

/* ---- turns and waits ---- */

/* Commands and data, as far as it goes; the session may be gone then. */
static void
run(struct session *s)
{
	unsigned left = TURN_STEPS;

	session_off(s);
	while (s->wait == WAIT_NO && s->state != ST_CLOSING && io_pending(s->io) <= OUT_HIGH) {
		if (left-- == 0) {
			session_ready(s);
			break;
		}
		if (!cmd_step(s))
			break;
	}
	settle(s);
}

/* Time-outs that run are those of before. */
static void
set_anew(struct session *s)
{
	if (s->lingering || s->state == ST_CLOSING)
		return;
	s->progress = true;
	set_deadline(s);
}

void
connection_turn(void)
{
	struct session *s;

	if (crowd_changed())
		session_each(set_anew);
	session_turn_begins();
	while ((s = session_next_ready()) != NULL)
		run(s);
}

/* Neither in a message nor waiting for anybody. */
static bool
idle(const struct session *s)
{
	return s->wait == WAIT_NO && s->state <= ST_MAIL;
}

bool
connection_shed(enum pool pool)
{
	struct session *s;

	for (s = session_first(); s != NULL; s = TAILQ_NEXT(s, all)) {
		if (ev_now_ms() - s->useful < SHED_AFTER_MS || pool == POOL_SOCKET)
			return false;
		if (s->pool == pool && s->tx == NULL && idle(s) && !s->lingering) {
			session_line(s, 421, "4.3.2", true, "Too many connections, and you were idle; try again later");
			session_last(s, false);
			finish(s);
			return true;
		}
	}
	return false;
}

static void
shut_down(struct session *s)
{
	session_line(s, 421, "4.3.2", true, "Shutting down, try again later");
	session_last(s, false);
}

/* A client that sends on while it cannot be served is not read from. */
static void
hold(struct session *s)
{
	bool full = session_paused(s) || io_in(s->io)->len >= IN_HIGH;

	if (full == s->held || s->eof)
		return;
	s->held = full;
	if (full)
		io_pause(s->io);
	else
		io_resume(s->io);
}

static void
set_deadline(struct session *s)
{
	if (s->wait != WAIT_NO || s->state == ST_GREET)
		return;
	if (s->state == ST_DATA || s->state == ST_CHUNK)
		io_deadline(s->io, crowd_time(s->pool, LIM_T_DATA));
	else if (s->progress)
		io_deadline(s->io, crowd_time(s->pool, LIM_T_COMMAND));
	s->progress = false;
}

static void
lost(struct session *s)
{
	session_event(s, "lost connection");
	finish(s);
}

/* After each run: what the new state asks for. */
static void
settle(struct session *s)
{
	if (draining && s->state != ST_CLOSING && idle(s))
		shut_down(s);
	if (s->state == ST_CLOSING) {
		finish(s);
		return;
	}
	if (s->eof && s->wait == WAIT_NO && s->queue == NULL && io_pending(s->io) <= OUT_HIGH) {
		lost(s);
		return;
	}
	hold(s);
	set_deadline(s);
	if (io_in(s->io)->len == 0)
		buf_reset(io_in(s->io), IN_KEEP);
}

static void
drain_one(struct session *s)
{
	if (idle(s) && !s->lingering)
		settle(s);
}

void
connection_drain(void)
{
	draining = true;
	session_each(drain_one);
}

/* ---- the end ---- */

static void
release(struct session *s)
{
	if (draining) {	/* the program may end with its last session */
		s->flushing = true;
		io_flush(s->io);
	}
	io_close_flushed(s->io);
	session_remove(s);
	counts_close(s->key, s->pool);
	crowd_look(s->pool);
	door_release(s->door);
	free(s->name);
	free(s->helo);
	free(s);
}

/*
 * A close with unread input in the kernel would reset the connection and could cost the client our last reply: so
 * our side is shut and what comes is dropped for a while.
 */
static bool
linger(struct session *s)
{
	s->flushing = true;
	io_flush(s->io);
	s->flushing = false;
	if (s->eof || io_pending(s->io) > 0)
		return false;
	shutdown(io_fd(s->io), SHUT_WR);
	s->lingering = true;
	s->skipped = 0;
	buf_reset(io_in(s->io), 0);
	if (s->held)
		io_resume(s->io);
	io_deadline(s->io, LINGER_MS);
	return true;
}

static void
finish(struct session *s)
{
	session_off(s);
	s->wait = WAIT_NO;
	session_enter(s, ST_CLOSING);
	batch_end(s);
	message_drop(s);
	session_log(s);
	session_bye(s);
	if (io_in(s->io)->len > 0)
		s->linger = true;
	if (s->eof || !s->linger || !linger(s))
		release(s);
}

/* ---- callbacks of io ---- */

static void
on_in(void *arg)
{
	struct session *s = arg;

	if (s->state == ST_GREET) {
		too_early(s);
		return;
	}
	if (!s->lingering) {
		run(s);
		return;
	}
	s->skipped += io_in(s->io)->len;
	buf_reset(io_in(s->io), 0);
	if (s->skipped > LINGER_MAX)
		release(s);
}

static void
on_out(void *arg)
{
	struct session *s = arg;

	if (!s->lingering && !s->flushing)
		run(s);
}

static void
on_end(void *arg, int err)
{
	struct session *s = arg;

	s->eof = true;
	if (s->flushing)
		return;
	if (s->lingering) {
		release(s);
		return;
	}
	if (err != 0) {
		lost(s);
		return;
	}
	/* Half closed: what it sent is done, and its answers are tried; io has dropped the deadline. */
	io_deadline(s->io, child_conf()->limit[LIM_T_DATA]);
	run(s);
}

static void
wait_timed_out(struct session *s)
{
	log_warn("no answer from %s for %s", s->wait == WAIT_LOOKUP ? "lookup" : "the queue", session_client(s));
	if (s->wait == WAIT_LOOKUP) {
		s->wait = WAIT_NO;
		session_reply(s, 421, "4.3.0", "Internal trouble, try again later");
		settle(s);
		return;
	}
	message_gone(s);
	run(s);
}

static void
on_timeout(void *arg)
{
	struct session *s = arg;

	if (s->lingering) {
		release(s);
		return;
	}
	if (s->state == ST_GREET) {
		greet_late(s);
		return;
	}
	session_log(s);
	if (s->wait != WAIT_NO) {
		wait_timed_out(s);
		return;
	}
	if (s->queue != NULL) {		/* paused, or its answer has just come */
		set_deadline(s);
		return;
	}
	session_event(s, "timeout");
	session_reply(s, 421, "4.4.2", "Timeout, closing");
	finish(s);
}

static const struct io_ops session_ops = { NULL, on_in, on_out, on_end, on_timeout };

/* ---- the beginning ---- */

static struct session *
make(struct door *door, const struct session_peer *peer)
{
	struct session *s = xcalloc(1, sizeof(*s));

	s->door = door_hold(door);
	s->sa = peer->sa;
	s->uid = peer->uid;
	s->key = peer->key;
	s->socket = peer->socket;
	s->pool = peer->pool;
	s->exempt = peer->exempt;
	s->local = peer->local;
	s->since = s->useful = ev_now_ms();
	strlcpy(s->addr, s->socket ? "" : address_text(&s->sa).s, sizeof(s->addr));
	s->io = io_new(peer->fd, &session_ops, s);
	session_add(s);
	counts_open(s->key, s->pool);
	crowd_look(s->pool);
	return s;
}

static void
too_early(struct session *s)
{
	counts_set_greeted(s->key, false);
	session_refuse(s, &(struct refusal){ .code = 554, .dsn = "5.5.0", .about = session_client(s), .subject = "Client host",
	    .words = "you spoke before the greeting" });
	session_last(s, true);
	finish(s);
}

static void
greet(struct session *s)
{
	const struct door *door = s->door;

	session_enter(s, ST_START);
	io_printf(s->io, "220 %s %s\r\n", door->hostname, door->banner != NULL ? door->banner : "ESMTP Postern");
	s->progress = true;
	set_deadline(s);
}

/* Its time to speak too early is over. */
static void
greet_late(struct session *s)
{
	if (draining) {
		settle(s);
		return;
	}
	counts_set_greeted(s->key, true);
	greet(s);
}

struct session *
connection_new(struct door *door, const struct session_peer *peer)
{
	struct session *s = make(door, peer);
	uint64_t pause = crowd_greet_pause(peer);
	char c;

	if (recv(peer->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) > 0) {
		too_early(s);
		return NULL;
	}
	if (pause > 0)
		io_deadline(s->io, pause);
	else
		greet(s);
	return s;
}
