/*
 * intake: mail comes in from the listeners, goes to the disk in groups, and is answered after the sync.
 *
 * The handlers of LISTENER_TO_QUEUE are called by the listeners' edges; intake_commit by the main loop. Owns the open transactions,
 * by (listener, number). A transaction that goes wrong keeps its reply until TX_COMMIT asks for it. What a listener may not send
 * is logged and answered 451. When a listener goes its open transactions are aborted; those that are being
 * synced stay in the queue, with nobody to answer.
 */
#include <sys/tree.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/archive.h"
#include "program/child.h"
#include "proc/clock.h"
#include "core/id.h"
#include "core/intake.h"
#include "spool/envelope.h"
#include "base/log.h"
#include "core/message.h"
#include "mail/qid.h"
#include "core/ready.h"
#include "core/sched.h"
#include "core/stats.h"
#include "base/xmalloc.h"

MSG_PROTOTYPES(LISTENER_TO_QUEUE)
MSG_SENDER(QUEUE_TO_LISTENER)

#define TRACE_MAX	4096		/* what the listener's trace header may add to a message of the largest size */
#define OPEN_MAX	20000		/* transactions of one listener */

struct listener;

struct tx {
	RB_ENTRY(tx)	 tree;
	uint32_t	 number;
	struct listener	*listener;
	uint64_t	 serial;		/* of the listener's edge */
	struct message	*m;
	struct body	*body;
	uint64_t	 copy;			/* archive.h */
	unsigned	 code;			/* it went wrong: the reply; 0: fine so far */
	const char	*dsn, *text;
};
RB_HEAD(txs, tx);

struct listener {
	struct edge	*edge;
	uint64_t	 serial;
	struct txs	 open;
	unsigned	 n;
};

static struct {
	struct spool	*spool;
	struct index	*index;
	struct listener	**listener;		/* by instance */
	unsigned	 n;
	uint64_t	 serial;
	bool		 low;
} in;

static int
tx_cmp(const struct tx *a, const struct tx *b)
{
	return a->number < b->number ? -1 : a->number > b->number;
}
RB_GENERATE_INTERNAL(txs, tx, tree, tx_cmp, static __attribute__((unused)))

static struct listener *
listener_of(const struct edge *e)
{
	return in.listener[edge_instance(e)];
}

static struct tx *
tx_find(struct edge *e, uint32_t number)
{
	struct tx key = { .number = number };

	return RB_FIND(txs, &listener_of(e)->open, &key);
}

/* ---- the end of a transaction ---- */

static void
close_tx(struct tx *tx)
{
	RB_REMOVE(txs, &tx->listener->open, tx);
	tx->listener->n--;
}

static void
answer(struct tx *tx, unsigned code, const char *dsn, const char *text)
{
	struct p_tx_done p = { .code = (uint16_t)code, .dsn = dsn, .text = text };

	if (tx->listener->edge != NULL && tx->listener->serial == tx->serial)
		send_TX_DONE(tx->listener->edge, tx->number, &p, -1);
	if (code >= 500)
		stats.refused++;
	else if (code >= 400)
		stats.failed++;
	free(tx);
}

static void
fail(struct tx *tx, unsigned code, const char *dsn, const char *text)
{
	if (tx->code != 0)
		return;
	tx->code = code;
	tx->dsn = dsn;
	tx->text = text;
	body_free(tx->body);
	tx->body = NULL;
	message_free(tx->m);
	tx->m = NULL;
}

static void
abort_tx(struct tx *tx)
{
	close_tx(tx);
	body_free(tx->body);
	message_free(tx->m);
	free(tx);
	stats.aborted++;
}

static void
answer_error(struct tx *tx, int error)
{
	if (error == ENOSPC || error == EDQUOT)
		answer(tx, 452, "4.3.1", "the mail system's disk is full, try again later");
	else
		answer(tx, 451, "4.3.0", "the message could not be stored, try again later");
}

static void
log_queued(const struct message *m)
{
	struct qid_text id = qid_text(m->id);

	if (*m->message_id != '\0')
		log_as("cleanup", LOG_LV_INFO, "%s: message-id=%s", id.s, m->message_id);
	else
		log_as("cleanup", LOG_LV_INFO, "%s: message-id=<>", id.s);
	log_as("qmgr", LOG_LV_INFO, "%s: from=<%s>, size=%llu, nrcpt=%u (queue active)", id.s, m->env.sender,
	    (unsigned long long)m->len, m->env.rcpts_n);
}

/* It is on the disk, or cannot be. */
static void
stored(void *arg, int error, struct loc loc, uint64_t body_off)
{
	struct tx *tx = arg;
	struct message *m = tx->m;
	char text[64];

	if (error != 0) {
		log_warn("%s: cannot be stored: %s", qid_text(m->id).s, strerror(error));
		archive_undo(tx->copy);
		answer_error(tx, error);
		message_free(m);
		return;
	}
	archive_keep(tx->copy);
	m->loc = loc;
	m->body_off = body_off;
	log_queued(m);
	stats.accepted++;
	stats.accepted_bytes += m->len;
	snprintf(text, sizeof(text), "queued as %s", qid_text(m->id).s);
	answer(tx, 250, "2.0.0", text);
	sched_fresh(m);
}

/* The copies that must be made of it are on the disk: now itself. */
static void
archived(void *arg, int error, uint64_t copy)
{
	struct tx *tx = arg;

	if (error != 0) {
		body_free(tx->body);
		message_free(tx->m);
		answer_error(tx, error);
		return;
	}
	tx->copy = copy;
	spool_commit(in.spool, tx->body, &tx->m->env, stored, tx);
}

/* ---- from the listeners ---- */

static void
check_begin(struct tx *tx, const struct p_env *env)
{
	const char *what = envelope_fault(env);

	if (what != NULL) {
		log_error("listener %u sent an envelope that cannot be: %s", edge_instance(tx->listener->edge), what);
		fail(tx, 451, "4.3.0", "internal error, try again later");
	} else if (!id_use(env->id)) {
		log_error("listener %u used the queue id %s, which is not its own or was used before",
		    edge_instance(tx->listener->edge), qid_text(env->id).s);
		fail(tx, 451, "4.3.0", "internal error, try again later");
	} else if (index_broken(in.index)) {
		fail(tx, 451, "4.3.0", "the queue is being repaired, try again later");
	} else if (env->rcpts_n > child_conf()->limit[LIM_RECIPIENTS]) {
		fail(tx, 452, "4.5.3", "too many recipients");
	} else if (tx->listener->n > OPEN_MAX) {
		fail(tx, 451, "4.3.2", "too many messages at once, try again later");
	}
}

void
on_TX_BEGIN(struct edge *e, uint32_t id, struct p_env *p, int fd)
{
	struct tx *tx = xcalloc(1, sizeof(*tx));

	(void)fd;
	tx->number = id;
	tx->listener = listener_of(e);
	tx->serial = tx->listener->serial;
	if (RB_INSERT(txs, &tx->listener->open, tx) != NULL) {
		log_error("listener %u began transaction %u twice", edge_instance(e), id);
		free(tx);
		return;
	}
	tx->listener->n++;
	if (tx->listener->n > 2 * OPEN_MAX) {	/* it does not hear what it is told */
		log_error("listener %u has %u transactions open: connection to it ends", edge_instance(e), tx->listener->n);
		edge_cut(e);
		return;
	}
	check_begin(tx, p);
	if (tx->code != 0)
		return;
	p->flags = 0;
	p->birth_attempt = 0;
	tx->m = message_new(p);
}

void
on_TX_RCPT(struct edge *e, uint32_t id, struct p_rcpts *p, int fd)
{
	struct tx *tx = tx_find(e, id);
	const char *what;

	(void)fd;
	if (tx == NULL || tx->code != 0)
		return;
	if ((what = envelope_rcpts_fault(p->rcpts, p->rcpts_n)) != NULL || tx->body != NULL) {
		log_error("listener %u sent recipients that cannot be: %s", edge_instance(e), what != NULL ? what : "too late");
		fail(tx, 451, "4.3.0", "internal error, try again later");
		return;
	}
	if (tx->m->env.rcpts_n + p->rcpts_n > child_conf()->limit[LIM_RECIPIENTS])
		fail(tx, 452, "4.5.3", "too many recipients");
	else
		message_add(tx->m, p->rcpts, p->rcpts_n);
}

void
on_TX_DATA(struct edge *e, uint32_t id, struct p_data *p, int fd)
{
	struct tx *tx = tx_find(e, id);

	(void)fd;
	if (tx == NULL || tx->code != 0)
		return;
	if (tx->body == NULL)
		tx->body = body_new(in.spool, &tx->m->env);
	body_add(tx->body, p->bytes.p, p->bytes.len);
	if (tx->body->len > child_conf()->limit[LIM_MESSAGE_SIZE] + TRACE_MAX)
		fail(tx, 552, "5.3.4", "the message is larger than this server takes");
}

/* What the queue itself finds in the bytes; the listener refuses most of it before. */
static void
check_end(struct tx *tx)
{
	const struct bodyscan *scan;

	if (tx->code != 0)
		return;
	if (tx->body == NULL || tx->m->env.rcpts_n == 0) {
		fail(tx, 451, "4.3.0", "internal error, try again later");
		return;
	}
	scan = &tx->body->scan;
	bodyscan_end(&tx->body->scan);
	if (scan->nul)
		fail(tx, 550, "5.6.0", "the message has a NUL byte");
	else if (scan->bare)
		fail(tx, 550, "5.5.2", "lines must end with CRLF; a bare CR or LF was sent");
	else if (scan->hops > child_conf()->limit[LIM_HOPS])
		fail(tx, 554, "5.4.6", "too many hops, this message is looping");
}

void
on_TX_COMMIT(struct edge *e, uint32_t id, struct p_none *p, int fd)
{
	struct tx *tx = tx_find(e, id);
	struct message *m;

	(void)p;
	(void)fd;
	if (tx == NULL)
		return;
	check_end(tx);
	close_tx(tx);
	if (tx->code != 0) {
		answer(tx, tx->code, tx->dsn, tx->text);
		return;
	}
	m = tx->m;
	ready_text(m, tx->body);
	message_ready(m, NULL);
	archive_begin(m, tx->body, archived, tx);
}

void
on_TX_ABORT(struct edge *e, uint32_t id, struct p_none *p, int fd)
{
	struct tx *tx = tx_find(e, id);

	(void)p;
	(void)fd;
	if (tx != NULL)
		abort_tx(tx);
}

void
on_LEASE_ASK(struct edge *e, uint32_t id, struct p_none *p, int fd)
{
	struct p_lease lease = { .first = id_lease(ID_LEASE), .count = ID_LEASE };

	(void)p;
	(void)fd;
	send_LEASE(e, id, &lease, -1);
}

/* ---- listeners, and the steps of the main loop ---- */

static void
tell_space(struct edge *e)
{
	struct p_space p = { .low = in.low };

	send_SPACE(e, 0, &p, -1);
}

void
intake_listener(struct edge *e, unsigned instance)
{
	unsigned i;

	if (instance >= in.n) {
		in.listener = xreallocarray(in.listener, instance + 1, sizeof(struct listener *));
		for (i = in.n; i <= instance; i++)
			in.listener[i] = xcalloc(1, sizeof(struct listener));
		in.n = instance + 1;
	}
	in.listener[instance]->edge = e;
	in.listener[instance]->serial = ++in.serial;
	tell_space(e);		/* it goes by what the last queue said */
}

void
intake_gone(struct edge *e, unsigned instance)
{
	struct listener *l = in.listener[instance];
	struct tx *tx;

	(void)e;
	while ((tx = RB_MIN(txs, &l->open)) != NULL)
		abort_tx(tx);
	l->edge = NULL;
}

void
intake_commit(void)
{
	unsigned i;

	spool_turn(in.spool);
	if (spool_low(in.spool) == in.low)
		return;
	in.low = !in.low;
	log_warn("spool: space is %s", in.low ? "low: new mail is put off with 452 4.3.1" : "enough again");
	for (i = 0; i < in.n; i++)
		if (in.listener[i]->edge != NULL)
			tell_space(in.listener[i]->edge);
}

void
intake_init(struct spool *sp, struct index *ix)
{
	in.spool = sp;
	in.index = ix;
	in.low = spool_low(sp);
}
