/*
 * to_queue: see to_queue.h.
 *
 * Owns the edge, the leased ids and the numbers of the transactions that the queue knows of.
 */
#include <string.h>

#include "listener/door.h"
#include "proc/ev.h"
#include "base/log.h"
#include "mail/qid.h"
#include "listener/session_say.h"
#include "listener/to_queue.h"

MSG_SENDER(LISTENER_TO_QUEUE)

#define NUMBER_BUCKETS	4096
#define ID_WAIT_MS	30000
#define DONE_WAIT_MS	(8 * 60 * 1000)		/* the client waits 10 minutes (RFC 5321 4.5.3.2.6) */
#define LEASE_LOW	256			/* ids left at which more are asked for */
#define RCPTS_BYTES	(96 * 1024)		/* of recipients in one message to the queue */
#define RCPT_BYTES	64			/* of one, beside its strings */
#define DATA_BYTES	(64 * 1024)

static struct {
	LIST_HEAD(, tx)	 by_number[NUMBER_BUCKETS];
	struct edge	*queue;
	bool		 low;
	uint32_t	 last_number;
	uint64_t	 next_id, ids_left;
	bool		 asked;			/* for a lease */
} to_queue;

/* ---- ids ---- */

static void
ask_lease(void)
{
	if (to_queue.queue == NULL || to_queue.asked || to_queue.ids_left > LEASE_LOW)
		return;
	to_queue.asked = true;
	send_LEASE_ASK(to_queue.queue, 0, NULL, -1);
}

enum tx_id
to_queue_id(struct session *s, void (*then)(struct session *))
{
	struct tx *tx = s->tx;

	if (to_queue.queue == NULL)
		return ID_NONE;
	if (to_queue.ids_left == 0) {
		ask_lease();
		if (tx->asked_id)
			return ID_NONE;
		tx->asked_id = true;
		session_wait(s, WAIT_ID, ID_WAIT_MS, then);
		return ID_WAIT;
	}
	tx->id = to_queue.next_id++;
	to_queue.ids_left--;
	ask_lease();
	return ID_OK;
}

static void
id_came(struct session *s)
{
	if (s->wait != WAIT_ID || to_queue.ids_left == 0)
		return;
	session_wait_over(s);
	s->then(s);
}

void
to_queue_lease(const struct p_lease *p)
{
	to_queue.asked = false;
	to_queue.next_id = p->first;
	to_queue.ids_left = p->count;
	session_each(id_came);
}

/* ---- transactions ---- */

void
to_queue_forget(struct tx *tx)
{
	if (tx->begun)
		LIST_REMOVE(tx, by_number);
	tx->begun = false;
}

void
to_queue_abort(struct tx *tx)
{
	if (tx->begun && to_queue.queue != NULL)
		send_TX_ABORT(to_queue.queue, tx->number, NULL, -1);
	to_queue_forget(tx);
}

static size_t
rcpt_size(const struct p_env_rcpt *r)
{
	return RCPT_BYTES + strlen(r->addr) * 2 + strlen(r->orcpt) + strlen(r->action);
}

/* How many recipients from at on fit in one message. */
static uint32_t
some_rcpts(const struct tx *tx, size_t at)
{
	size_t bytes = 0, n = 0;

	while (at + n < tx->nrcpt && (n == 0 || bytes < RCPTS_BYTES))
		bytes += rcpt_size(&tx->rcpt[at + n++]);
	return (uint32_t)n;
}

static void
envelope(const struct session *s, struct p_env *env)
{
	const struct tx *tx = s->tx;

	*env = (struct p_env){
		.version = 1, .id = tx->id, .arrival = ev_time_ms(), .sender = tx->sender.text, .ret = tx->ret,
		.envid = tx->envid != NULL ? tx->envid : "", .body = tx->body, .smtputf8 = tx->smtputf8, .client_addr = s->addr,
		.client_name = s->name != NULL ? s->name : (s->socket ? "" : "unknown"), .helo = s->helo != NULL ? s->helo : "",
		.proto = session_proto(s), .user = "", .uid = s->socket ? (int64_t)s->uid : -1, .tag = s->door->tag
	};
}

static void
begin(struct session *s)
{
	struct tx *tx = s->tx;
	struct p_env env;
	struct p_rcpts more;
	size_t at;

	tx->number = ++to_queue.last_number;
	tx->begun = true;
	LIST_INSERT_HEAD(&to_queue.by_number[tx->number % NUMBER_BUCKETS], tx, by_number);
	envelope(s, &env);
	env.rcpts = tx->rcpt;
	env.rcpts_n = some_rcpts(tx, 0);
	send_TX_BEGIN(to_queue.queue, tx->number, &env, -1);
	for (at = env.rcpts_n; at < tx->nrcpt; at += more.rcpts_n) {
		more.rcpts = tx->rcpt + at;
		more.rcpts_n = some_rcpts(tx, at);
		send_TX_RCPT(to_queue.queue, tx->number, &more, -1);
	}
	session_log(s);
	log_info("%s: client=%s%s%s", qid_text(tx->id).s, session_client(s), s->socket ? "," : "", session_uid(s));
}

void
to_queue_data(struct session *s, const struct buf *b)
{
	struct tx *tx = s->tx;
	struct p_data data;
	size_t at;

	if (!tx->begun)
		begin(s);
	for (at = 0; at < b->len; at += data.bytes.len) {
		data.bytes.p = buf_data(b) + at;
		data.bytes.len = b->len - at < DATA_BYTES ? b->len - at : DATA_BYTES;
		send_TX_DATA(to_queue.queue, tx->number, &data, -1);
	}
}

void
to_queue_commit(struct session *s)
{
	send_TX_COMMIT(to_queue.queue, s->tx->number, NULL, -1);
	session_wait(s, WAIT_DONE, DONE_WAIT_MS, NULL);
}

struct tx *
to_queue_find(uint32_t number)
{
	struct tx *tx;

	LIST_FOREACH(tx, &to_queue.by_number[number % NUMBER_BUCKETS], by_number)
		if (tx->number == number)
			return tx;
	return NULL;
}

bool
to_queue_busy(void)
{
	return to_queue.queue != NULL && edge_pending(to_queue.queue) > EDGE_HIGH;
}

/* ---- the queue itself ---- */

void
to_queue_edge(struct edge *e)
{
	to_queue.queue = e;
	to_queue.asked = false;
	to_queue.ids_left = 0;
	ask_lease();
}

bool
to_queue_there(void)
{
	return to_queue.queue != NULL;
}

bool
to_queue_space_low(void)
{
	return to_queue.low;
}

void
to_queue_space(bool low)
{
	to_queue.low = low;
}
