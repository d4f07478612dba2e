/*
 * relay: the transactions of one connection: which job is next, what is written when, what an answer leads to.
 *
 * Called by conn for a connection that is ready, and by dest through conn_wake. The order of commands is relay_step's. Towards a
 * server with PIPELINING the next message's MAIL, RCPT and DATA go in the same write as the final dot of this one; if they are lost
 * with the connection, that job goes back to its line, untried. With BDAT a small message (but the first of a connection) goes in
 * one write and needs no such thing.
 */
#include <stdio.h>
#include <string.h>
#include "client/conn.h"
#include "proc/ev.h"
#include "mail/greylist.h"
#include "base/log.h"
#include "mail/qid.h"
#include "client/relay_put.h"
#include "client/relay_step.h"
#include "client/seg.h"

#define AGE_MAX		(5 * 60 * 1000)	/* of a connection that takes another job */
#define BLOCK_MS	(3 * 60 * 1000)	/* RFC 5321 4.5.3.2.5 */
#define STALE_MAX	3

static struct buf cmd;

/* ---- which job ---- */

static bool
has_more(const struct job *j)
{
	uint32_t i;

	for (i = 0; i < j->nrcpt; i++)
		if (!j->rcpts[i].done && !j->rcpts[i].busy)
			return true;
	return false;
}

static unsigned
most_messages(const struct conn *c)
{
	unsigned most = host_most(c->host);

	return c->dest->messages > 0 && c->dest->messages < most ? c->dest->messages : most;
}

static bool
worn_out(const struct conn *c)
{
	return c->messages >= most_messages(c) || ev_now_ms() - c->opened > AGE_MAX || host_rest(c->host) > 0 ||
	    source_suspended(c->dest->source);
}

/* What was carried here from another host is not left to go back there. */
static bool
passes(struct conn *c)
{
	if (conn_use_pass(c))
		return true;
	if (c->carried == NULL || c->messages > 0)
		return dest_pass(c->dest);
	gate_force(c->dest->rate);
	return true;
}

static struct job *
next_job(struct conn *c)
{
	struct job *j = c->carried;

	if (j == NULL && (worn_out(c) || c->dest->nwaiting == 0))
		return NULL;
	c->carried = NULL;
	if (j != NULL && worn_out(c) && (c->messages > 0 || host_rest(c->host) > 0)) {
		dest_return(c->dest, j);
		return NULL;
	}
	if (passes(c))
		return j != NULL ? j : dest_take(c->dest);
	if (j != NULL)
		dest_return(c->dest, j);
	return NULL;
}

static void
taken(struct conn *c, struct job *j)
{
	job_relay(j, c->relay);
	if (j->taken != 0)
		return;
	j->taken = ev_time_ms();
	j->setup = c->messages == 0 && !c->was_idle ? c->setup : 0;
}

/* 8-bit mail for a server that takes none is read through once more: SIZE and the header are said before the body. */
static void
plan(const struct conn *c, struct job *j)
{
	if (j->plan != NULL || !put_converts(j, &c->peer))
		return;
	j->plan = body_plan(seg_fd(j->seg), j->offset, j->length, j->sender[0] == '\0');
	if (j->plan != NULL && !j->plan->possible)
		log_as("smtp", LOG_LV_INFO, "%s: goes to %s with 8-bit bytes, which it does not offer to take: they are in a signed part, or have no other form",
		    qid_text(j->id).s, c->relay);
}

/* False: no job waits. One whose recipients this server cannot serve at all is settled on the way. */
static bool
begin(struct conn *c, struct tx *t)
{
	struct job *j;

	while ((j = next_job(c)) != NULL) {
		taken(c, j);
		plan(c, j);
		if (tx_begin(t, &c->peer, j, c->dirty, c->messages > 0 && !c->was_idle)) {
			job_hold(j);
			return true;
		}
		gate_back(c->dest->rate);
	}
	return false;
}

/* A transaction keeps its job until it is over: recipients may all be settled before, and the result acknowledged. */
static void
let_go(struct tx *t)
{
	job_drop(t->job);
	t->job = NULL;
}

/* The next message behind the final dot of this one. */
static bool
prefetch(struct conn *c, const struct tx *t, struct tx *next)
{
	/* Or what is left of this message would go back to its line, and once more when this transaction is over. */
	if (worn_out(c))
		return false;
	if (!(c->peer.ext & EXT_PIPELINING) || t->bdat || c->messages + 1 >= most_messages(c) || !(c->pass || dest_open(c->dest)))
		return false;
	if (c->carried == NULL && !t->next_host && has_more(t->job))
		c->carried = t->job;
	return begin(c, next);
}

/* Whose turn it is to send; NULL: nobody's. */
static struct tx *
sender(struct conn *c)
{
	struct tx *t = &c->tx[c->head], *next = &c->tx[!c->head];

	if (t->job == NULL)
		return begin(c, t) ? t : NULL;
	if (c->streaming)
		return NULL;
	if (!t->body_done)
		return t;
	return next->job != NULL || prefetch(c, t, next) ? next : NULL;
}

/* ---- sending ---- */

static void
write_commands(struct conn *c)
{
	if (cmd.len > 0)
		io_write(c->io, buf_data(&cmd), cmd.len);
	buf_reset(&cmd, BODY_BLOCK);
}

/* Our own copy is at fault. The connection ends without an end of data, so nothing half arrives. */
static void
spoiled(struct conn *c, enum body_status status)
{
	struct job *j = c->tx[c->head].job;
	struct verdict v = verdict(OUT_DEFER, "4.3.0", "message file cannot be read");

	if (status == BODY_UNFIT)
		v = verdict(OUT_BOUNCE, "5.6.0", "the message has a bare CR, a bare LF or a NUL and cannot be sent");
	else if (status == BODY_DAMAGED)
		v = verdict_damaged();
	tx_undo(&c->tx[c->head]);
	job_settle(j, &v);
	let_go(&c->tx[c->head]);
	conn_free(c);
}

/* False: the connection is gone. */
static bool
stream(struct conn *c)
{
	const uint8_t *p;
	size_t n;
	enum body_status status;

	while (c->streaming && io_pending(c->io) < BODY_BLOCK) {
		status = body_next(&c->body, &p, &n);
		if (status != BODY_MORE && status != BODY_END) {
			spoiled(c, status);
			return false;
		}
		io_write(c->io, p, n);
		if (status == BODY_END) {
			c->streaming = false;
			body_close(&c->body);
			c->tx[c->head].body_done = true;
		}
	}
	return true;
}

static bool
send_body(struct conn *c, struct tx *t)
{
	const struct job *j = t->job;

	write_commands(c);
	if (t->lone_dot) {
		io_write(c->io, ".\r\n", 3);
		t->body_done = true;
		return true;
	}
	body_close(&c->body);
	body_open(&c->body, seg_fd(j->seg), j->offset, j->length, j->crc, !t->bdat, t->plan);
	c->streaming = true;
	return stream(c);
}

/* Nothing is under way. */
static void
nothing_to_do(struct conn *c)
{
	if (worn_out(c))
		conn_quit(c);
	else
		conn_idle(c);
}

/* Sends what may be sent now; then the next answer has its time. */
static void
pump(struct conn *c)
{
	struct tx *t;
	enum step s;

	while ((t = sender(c)) != NULL && (s = tx_next(t, &c->peer)) < STEP_WAIT) {
		tx_put(t, &c->peer, s, &cmd);
		if ((s == STEP_BODY || s == STEP_BDAT) && !send_body(c, t))
			return;
	}
	write_commands(c);
	t = &c->tx[c->head];
	if (t->job == NULL)
		nothing_to_do(c);
	else
		io_deadline(c->io, c->streaming ? BLOCK_MS : tx_wait_ms(t));
}

/* ---- ends ---- */

/* Untried: back to its line. */
static void
give_back(struct conn *c, struct tx *t)
{
	struct job *j = t->job;

	tx_undo(t);
	gate_back(c->dest->rate);
	if (j->open > 0)
		dest_return(c->dest, j);
	let_go(t);
}

/* One job at a time is carried to another host; a further one waits for any. */
static void
carry(struct conn *c, struct job *j)
{
	if (c->carried != NULL && c->carried != j)
		dest_return(c->dest, c->carried);
	c->carried = j;
}

/* The message behind it can be sent anew. */
static void
undo_prefetched(struct conn *c)
{
	struct tx *next = &c->tx[!c->head];

	if (next->job == NULL)
		return;
	if (next->job == c->tx[c->head].job) {
		tx_undo(next);
		gate_back(c->dest->rate);
		let_go(next);
	} else
		give_back(c, next);
}

/* Perhaps it was the message behind that the server could not take: the next ones wait for their turn. */
static void
drop_prefetched(struct conn *c)
{
	if (c->tx[!c->head].job != NULL)
		host_takes(c->host, 1);
	undo_prefetched(c);
}

/* A kept connection that had ended before it did anything for this job. */
static bool
was_stale(const struct conn *c, const struct tx *t)
{
	return c->messages > 0 && t->answered <= (t->rset ? 1U : 0U) && t->job->stale < STALE_MAX;
}

static void
end_stale(struct conn *c, struct tx *t)
{
	if (!c->was_idle)
		host_takes(c->host, c->messages);
	t->job->stale++;
	if (c->carried != NULL && c->carried != t->job)
		dest_return(c->dest, c->carried);
	give_back(c, t);
	c->carried = NULL;
	conn_free(c);
}

/* What another host should take, where there is none: what was said of it is the end, and concerns no other mail. */
static void
settle_leaving(struct conn *c, struct tx *t)
{
	struct rcpt *r;
	unsigned i;

	if (!t->next_host || conn_has_next(c))
		return;
	for (i = 0; i < t->n; i++)
		if (t->leaves[i]) {
			r = &t->job->rcpts[t->rcpt[i]];
			rcpt_settle(t->job, r, conn_last_word(c, r));
		}
	t->next_host = false;
	c->worked = true;
}

/* What is open in the job goes on at another host. */
static void
move_on(struct conn *c, struct job *j, const struct verdict *v, const char *why)
{
	c->streaming = false;
	if (j->open > 0 && has_more(j))
		carry(c, j);
	let_go(&c->tx[c->head]);
	conn_next(c, v, why);
}

void
relay_lost(struct conn *c, const struct verdict *v)
{
	struct tx *t = &c->tx[c->head];
	struct job *j = t->job;

	if (j == NULL) {
		conn_free(c);
		return;
	}
	drop_prefetched(c);
	if (was_stale(c, t)) {
		end_stale(c, t);
		return;
	}
	tx_lost(t, v);
	settle_leaving(c, t);
	move_on(c, j, v, NULL);
}

/* 421. On a connection that carried mail before, and before this one got anywhere, it is only the end of the connection. */
static void
closing(struct conn *c, struct tx *t)
{
	struct verdict v = verdict(OUT_DEFER, "4.3.2", c->reply.text);
	char words[REPLY_TEXT_MAX + 32], why[REPLY_TEXT_MAX + 512];

	drop_prefetched(c);
	if (was_stale(c, t)) {
		end_stale(c, t);
		return;
	}
	settle_leaving(c, t);
	v.code = c->reply.code;
	strlcpy(v.given, c->reply.dsn, sizeof v.given);
	v.step = tx_step_name(t);
	reply_said(&c->reply, words, sizeof words);
	snprintf(why, sizeof why, "host %s said: %s", c->relay, words);
	move_on(c, t->job, &v, why);
}

/* In a transaction, at that step. */
static const char *
doing(const struct conn *c, const char *step)
{
	static char text[128];
	const struct tx *t = &c->tx[c->head];

	if (c->streaming)
		return "sending message body";
	snprintf(text, sizeof text, "sending %s%s", step,
	    t->body_done && t->naccepted > 0 ? " -- message may be sent more than once" : "");
	return text;
}

static void
bad(struct conn *c, const char *doing)
{
	char text[640];
	struct verdict v;

	snprintf(text, sizeof text, "host %s sent a reply that cannot stand here (%u) while %s", c->relay, c->reply.code, doing);
	v = verdict(OUT_DEFER, "4.5.0", text);
	relay_lost(c, &v);
}

/* The transaction is over. If its body was not, this connection is of no use any more. */
static void
done(struct conn *c, struct tx *t)
{
	struct job *j = t->job;
	bool more, elsewhere;

	settle_leaving(c, t);
	more = j->open > 0 && has_more(j);
	if (t->body_done) {
		c->messages++;
		if (c->reply.code / 100 == 2 && t->naccepted > 0) {
			host_worked(c->host);
			dest_good(c->dest);
		}
	}
	c->dirty = t->dirty;
	c->was_idle = false;
	elsewhere = c->streaming || (t->next_host && more);
	if (elsewhere)
		undo_prefetched(c);
	if (more)
		carry(c, j);
	let_go(t);
	if (elsewhere) {
		c->streaming = false;
		conn_leave(c);
		return;
	}
	c->head = !c->head;
	pump(c);
}

/* ---- what conn calls ---- */

/* 4.7.x is about us, not about this message, unless it is greylisting; 454 is about TLS and passwords. */
static void
look_for_policy(struct conn *c)
{
	const struct reply *r = &c->reply;
	char words[REPLY_TEXT_MAX + 32], why[REPLY_TEXT_MAX + 512];

	if (r->code / 100 != 4 || r->code == 421 || r->code == 454 || strncmp(r->dsn, "4.7.", 4) != 0 ||
	    greylisted(r->code, r->dsn, r->text))
		return;
	reply_said(r, words, sizeof words);
	snprintf(why, sizeof why, "host %s said: %s", c->relay, words);
	conn_rest(c, why);
}

void
relay_reply(struct conn *c)
{
	struct tx *t = &c->tx[c->head];
	const char *step;

	if (t->job == NULL) {			/* unasked: it is about to close */
		conn_quit(c);
		return;
	}
	look_for_policy(c);
	step = tx_step_name(t);			/* the reply moves on to the next */
	switch (tx_reply(t, &c->peer, &c->reply)) {
	case TX_GO:
		pump(c);
		break;
	case TX_DONE:
		done(c, t);
		break;
	case TX_CLOSING:
		closing(c, t);
		break;
	case TX_BAD:
		bad(c, doing(c, step));
		break;
	}
}

unsigned
relay_due(const struct conn *c)
{
	unsigned i, n = 0;

	for (i = 0; i < 2; i++)
		if (c->tx[i].job != NULL)
			n += c->tx[i].sent - c->tx[i].answered;
	return n;
}

void
relay_ready(struct conn *c)
{
	memset(c->tx, 0, sizeof c->tx);
	c->streaming = false;
	c->head = 0;
	pump(c);
}

void
relay_more(struct conn *c)
{
	pump(c);
}

void
relay_writable(struct conn *c)
{
	if (c->streaming && stream(c))
		pump(c);
}

const char *
relay_doing(const struct conn *c)
{
	return c->tx[c->head].job == NULL ? "idle" : doing(c, tx_step_name(&c->tx[c->head]));
}
