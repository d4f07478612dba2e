/*
 * tx: see tx.h.
 *
 * Called by the handlers of MAIL, RCPT, DATA, BDAT and by the listener with the queue's messages. Owns every struct tx, the edge to
 * the queue and the leased ids. A queue that is gone fails its transactions with 451 4.3.0; the client keeps its connection.
 */
#include <stdlib.h>
#include <string.h>

#include "program/child.h"
#include "listener/listen.h"
#include "proc/ev.h"
#include "base/log.h"
#include "mail/qid.h"
#include "listener/session.h"
#include "listener/received.h"
#include "listener/tx.h"
#include "base/xmalloc.h"

MSG_SENDER(LISTENER_TO_QUEUE)

#define NUMBER_BUCKETS	4096
#define ID_WAIT_MS	30000
#define DONE_WAIT_MS	(8 * 60 * 1000)		/* the client waits 10 minutes (RFC 5321 4.5.3.2.6) */
#define LEASE_LOW	256			/* ids left at which more are asked for */
#define RCPTS_BYTES	(96 * 1024)		/* of recipients in one message to the queue */
#define RCPT_BYTES	64			/* of one, beside its strings */
#define DATA_BYTES	(64 * 1024)
#define HASH_FROM	16			/* recipients at which their addresses are hashed */

static struct {
	LIST_HEAD(, tx)	 by_number[NUMBER_BUCKETS];
	struct edge	*queue;
	bool		 low;
	uint32_t	 last_number;
	uint64_t	 next_id, ids_left;
	bool		 asked;			/* for a lease */
	struct buf	 scratch;		/* message bytes of the current call */
	struct buf	 raw;			/* the same before they are mended */
	char		**action;		/* names that were ever used */
	size_t		 naction;
} txs;

/* ---- life ---- */

struct tx *
tx_new(struct session *s)
{
	struct tx *tx = xcalloc(1, sizeof(*tx));

	tx->session = s;
	tx->body = BODY_NONE;
	return tx;
}

static void
forget(struct tx *tx)
{
	if (tx->begun)
		LIST_REMOVE(tx, by_number);
	tx->begun = false;
}

static void
abort_queue(struct tx *tx)
{
	if (tx->begun && txs.queue != NULL)
		send_TX_ABORT(txs.queue, tx->number, NULL, -1);
	forget(tx);
}

void
tx_free(struct tx *tx)
{
	size_t i;
	char *block;

	for (i = 0; i < tx->nrcpt; i++) {
		memcpy(&block, &tx->rcpt[i].addr, sizeof(block));
		free(block);
	}
	free(tx->rcpt);
	free(tx->hash);
	free(tx->envid);
	mend_free(&tx->mend);
	free(tx);
}

void
tx_end(struct session *s)
{
	if (s->tx == NULL)
		return;
	abort_queue(s->tx);
	tx_free(s->tx);
	s->tx = NULL;
}

/* ---- recipients ---- */

const char *
tx_action_name(const char *name)
{
	size_t i;

	for (i = 0; i < txs.naction; i++)
		if (strcmp(txs.action[i], name) == 0)
			return txs.action[i];
	txs.action = xreallocarray(txs.action, txs.naction + 1, sizeof(*txs.action));
	return txs.action[txs.naction++] = xstrdup(name);
}

static size_t
hash_of(const char *addr)
{
	size_t h = 5381;

	while (*addr != '\0')
		h = h * 33 ^ (unsigned char)*addr++;
	return h ^ h >> 17;
}

static void
hash_put(struct tx *tx, size_t index)
{
	size_t i = hash_of(tx->rcpt[index].addr);

	while (tx->hash[i % tx->hash_size] != 0)
		i++;
	tx->hash[i % tx->hash_size] = (uint32_t)index + 1;
}

static void
rehash(struct tx *tx)
{
	size_t i;

	free(tx->hash);
	tx->hash_size = tx->cap * 4;
	tx->hash = xcalloc(tx->hash_size, sizeof(*tx->hash));
	for (i = 0; i < tx->nrcpt; i++)
		hash_put(tx, i);
}

bool
tx_has(const struct tx *tx, const char *addr)
{
	size_t i;
	uint32_t at;

	if (tx->hash == NULL) {
		for (i = 0; i < tx->nrcpt; i++)
			if (strcmp(tx->rcpt[i].addr, addr) == 0)
				return true;
		return false;
	}
	for (i = hash_of(addr); (at = tx->hash[i % tx->hash_size]) != 0; i++)
		if (strcmp(tx->rcpt[at - 1].addr, addr) == 0)
			return true;
	return false;
}

void
tx_rcpt(struct tx *tx, const struct p_env_rcpt *rcpt)
{
	bool grow = tx->nrcpt == tx->cap;

	if (grow) {
		tx->cap = tx->cap == 0 ? 1 : tx->cap * 4;
		tx->rcpt = xreallocarray(tx->rcpt, tx->cap, sizeof(*tx->rcpt));
	}
	tx->rcpt[tx->nrcpt++] = *rcpt;
	if (tx->nrcpt < HASH_FROM)
		return;
	if (grow || tx->hash == NULL)
		rehash(tx);
	else
		hash_put(tx, tx->nrcpt - 1);
}

/* ---- ids ---- */

static void
ask_lease(void)
{
	if (txs.queue == NULL || txs.asked || txs.ids_left > LEASE_LOW)
		return;
	txs.asked = true;
	send_LEASE_ASK(txs.queue, 0, NULL, -1);
}

enum tx_id
tx_take_id(struct session *s, void (*then)(struct session *))
{
	struct tx *tx = s->tx;

	if (txs.queue == NULL)
		return ID_NONE;
	if (txs.ids_left == 0) {
		ask_lease();
		if (tx->asked_id)
			return ID_NONE;
		tx->asked_id = true;
		session_wait(s, WAIT_ID, ID_WAIT_MS, then);
		return ID_WAIT;
	}
	tx->id = txs.next_id++;
	txs.ids_left--;
	ask_lease();
	return ID_OK;
}

static void
id_came(struct session *s)
{
	if (s->wait != WAIT_ID || txs.ids_left == 0)
		return;
	s->wait = WAIT_NO;
	s->then(s);
	session_run(s);
}

void
tx_lease(const struct p_lease *p)
{
	txs.asked = false;
	txs.next_id = p->first;
	txs.ids_left = p->count;
	session_each(id_came);
}

/* ---- towards the queue ---- */

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

	tx->number = ++txs.last_number;
	tx->begun = true;
	LIST_INSERT_HEAD(&txs.by_number[tx->number % NUMBER_BUCKETS], tx, by_number);
	envelope(s, &env);
	env.rcpts = tx->rcpt;
	env.rcpts_n = some_rcpts(tx, 0);
	send_TX_BEGIN(txs.queue, tx->number, &env, -1);
	for (at = env.rcpts_n; at < tx->nrcpt; at += more.rcpts_n) {
		more.rcpts = tx->rcpt + at;
		more.rcpts_n = some_rcpts(tx, at);
		send_TX_RCPT(txs.queue, tx->number, &more, -1);
	}
	session_log(s);
	log_info("%s: client=%s%s%s", qid_text(tx->id).s, session_client(s), s->socket ? "," : "", session_uid(s));
}

static void
send_bytes(const struct tx *tx, const struct buf *b)
{
	struct p_data data;
	size_t at;

	for (at = 0; at < b->len; at += data.bytes.len) {
		data.bytes.p = buf_data(b) + at;
		data.bytes.len = b->len - at < DATA_BYTES ? b->len - at : DATA_BYTES;
		send_TX_DATA(txs.queue, tx->number, &data, -1);
	}
}

/* What is wrong with the message bytes, worst first. */
static const struct {
	unsigned	 bad, code;
	const char	*dsn, *text;
} faults[] = {
	{ DATA_BIG, 552, "5.3.4", "the message is larger than this server takes" },
	{ DATA_BARE_CR | DATA_BARE_LF | DATA_LONE_DOT, 550, "5.5.2", "lines must end with CRLF; a bare CR or LF was sent" },
	{ DATA_NUL, 550, "5.6.0", "the message has a NUL byte" },
	{ DATA_LONG, 550, "5.6.0", "the message has a line that is too long" }
};

static void
fault(struct session *s)
{
	size_t i;

	for (i = 0; s->tx->rd.bad != 0 && i < sizeof(faults) / sizeof(faults[0]); i++)
		if (s->tx->rd.bad & faults[i].bad) {
			tx_fail(s, faults[i].code, faults[i].dsn, faults[i].text);
			return;
		}
}

/* An empty scratch buffer for message bytes; the trace header goes in front of the first. */
static void
clear_scratch(const struct session *s)
{
	buf_reset(&txs.scratch, 2 * DATA_BYTES);
	if (!s->tx->begun && s->tx->code == 0)
		trace_received(&txs.scratch, s);
}

/* The scratch buffer goes to the queue, behind the envelope if it is the first. */
static void
forward(struct session *s)
{
	struct tx *tx = s->tx;

	if (tx->code != 0)
		return;
	if (txs.queue == NULL) {
		tx_fail(s, 451, "4.3.0", "the mail queue is not available, try again later");
		return;
	}
	if (!tx->begun)
		begin(s);
	send_bytes(tx, &txs.scratch);
}

void
tx_mend(struct session *s)
{
	unsigned what = s->socket ? MEND_NUL | MEND_LONG | MEND_FROM | MEND_DOMAIN : s->local ? MEND_DOMAIN : 0;

	mend_free(&s->tx->mend);
	mend_init(&s->tx->mend, what, child_conf()->domain);
}

/* What the reader gives goes straight to scratch, or through what mends it. */
static struct buf *
read_into(const struct tx *tx)
{
	if (tx->mend.what == 0)
		return &txs.scratch;
	buf_reset(&txs.raw, 2 * DATA_BYTES);
	return &txs.raw;
}

static void
mend(struct tx *tx)
{
	if (tx->mend.what != 0 && tx->code == 0 && txs.raw.len > 0)
		mend_feed(&tx->mend, buf_data(&txs.raw), txs.raw.len, &txs.scratch);
}

static void
log_mended(struct session *s)
{
	const struct tx *tx = s->tx;
	const char *words = mend_words(tx->mend.done);
	bool bare = (tx->rd.mended & (DATA_BARE_CR | DATA_BARE_LF)) != 0;

	if (bare || *words != '\0')
		log_info("%s: mended: %s%s%s", qid_text(tx->id).s, bare ? "bare line ends made CRLF" : "", bare && *words != '\0' ? ", " : "", words);
}

void
tx_feed(struct session *s, const uint8_t *p, size_t n, size_t *used, bool *end)
{
	clear_scratch(s);
	*used = datard_feed(&s->tx->rd, p, n, read_into(s->tx), end);
	fault(s);
	mend(s->tx);
	if (txs.scratch.len > 0)
		forward(s);
}

void
tx_fail(struct session *s, unsigned code, const char *dsn, const char *text)
{
	struct tx *tx = s->tx;

	abort_queue(tx);
	if (tx->code != 0)
		return;
	tx->code = code;
	strlcpy(tx->dsn, dsn, sizeof(tx->dsn));
	tx->text = text;
}

void
tx_verdict(struct session *s)
{
	struct tx *tx = s->tx;

	session_reply(s, tx->code, tx->dsn, "%s", tx->text);
	if (s->state != ST_CLOSING)
		s->state = ST_HELO;
	tx_end(s);
}

void
tx_complete(struct session *s)
{
	struct tx *tx = s->tx;

	clear_scratch(s);
	if (tx->rd.bdat)
		datard_finish(&tx->rd, read_into(tx));
	fault(s);
	if (tx->rd.bdat)
		mend(tx);
	if (tx->mend.what != 0 && tx->code == 0)
		mend_end(&tx->mend, &txs.scratch);
	forward(s);
	if (tx->code != 0) {
		tx_verdict(s);
		return;
	}
	log_mended(s);
	send_TX_COMMIT(txs.queue, tx->number, NULL, -1);
	session_wait(s, WAIT_DONE, DONE_WAIT_MS, NULL);
}

bool
tx_busy(void)
{
	return txs.queue != NULL && edge_pending(txs.queue) > EDGE_HIGH;
}

/* ---- from the queue ---- */

static struct tx *
find(uint32_t number)
{
	struct tx *tx;

	LIST_FOREACH(tx, &txs.by_number[number % NUMBER_BUCKETS], by_number)
		if (tx->number == number)
			return tx;
	return NULL;
}

/* The queue may also refuse before the end: then the rest is read and dropped, and that is the answer. */
void
tx_done(uint32_t number, const struct p_tx_done *p)
{
	struct tx *tx = find(number);
	struct session *s;

	if (tx == NULL)
		return;
	s = tx->session;
	forget(tx);
	if (s->wait != WAIT_DONE) {
		tx_fail(s, p->code >= 400 ? p->code : 451, p->code >= 400 ? p->dsn : "4.3.0", "the mail queue refused the message");
		return;
	}
	s->wait = WAIT_NO;
	s->progress = true;
	if (p->code < 300) {
		s->errors = 0;
		session_useful(s);
	}
	session_reply(s, p->code, p->dsn, "%s", p->text);
	if (s->state != ST_CLOSING)
		s->state = ST_HELO;
	tx_end(s);
	session_run(s);
}

void
tx_gone(struct session *s)
{
	enum wait was = s->wait;

	if (s->tx == NULL || was == WAIT_LOOKUP)
		return;
	s->wait = WAIT_NO;
	s->progress = true;
	if (was == WAIT_ID) {
		s->tx->asked_id = true;
		s->then(s);
	} else if (s->tx->id != 0) {	/* which means nothing to the next queue */
		forget(s->tx);
		tx_fail(s, 451, "4.3.0", "the mail queue is not available, try again later");
		if (was == WAIT_DONE)
			tx_verdict(s);
	}
}

static void
queue_lost(struct session *s)
{
	enum wait was = s->wait;

	tx_gone(s);
	if (was == WAIT_ID || was == WAIT_DONE)
		session_run(s);
}

void
tx_queue(struct edge *e)
{
	txs.queue = e;
	txs.asked = false;
	txs.ids_left = 0;
	if (e == NULL) {
		session_each(queue_lost);
		session_data_resume();
	}
	ask_lease();
}

bool
tx_queue_there(void)
{
	return txs.queue != NULL;
}

bool
tx_space_low(void)
{
	return txs.low;
}

void
tx_space(bool low)
{
	txs.low = low;
}
