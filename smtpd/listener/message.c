/*
 * message: see message.h.
 *
 * Called by the handlers of DATA, BDAT, and of whatever ends a transaction, by connection, and by main with the queue's answer. Owns the buffers of the
 * bytes that are under way. A queue that is gone fails its transactions with 451 4.3.0; the client keeps its connection.
 */
#include <string.h>

#include "program/child.h"
#include "base/log.h"
#include "mail/qid.h"
#include "listener/message.h"
#include "listener/received.h"
#include "listener/session_say.h"
#include "listener/to_queue.h"

#define SCRATCH_KEEP	(128 * 1024)

static struct {
	struct buf	 scratch;		/* bytes of the current call */
	struct buf	 raw;			/* the same before they are mended */
} message;

/* ---- its end, for whatever reason ---- */

void
message_drop(struct session *s)
{
	if (s->tx == NULL)
		return;
	to_queue_abort(s->tx);
	tx_free(s->tx);
	s->tx = NULL;
}

void
message_fail(struct session *s, unsigned code, const char *dsn, const char *text)
{
	struct tx *tx = s->tx;

	to_queue_abort(tx);
	if (tx->code != 0)
		return;
	tx->code = code;
	strlcpy(tx->dsn, dsn, sizeof(tx->dsn));
	tx->text = text;
}

void
message_verdict(struct session *s)
{
	struct tx *tx = s->tx;

	session_reply(s, tx->code, tx->dsn, "%s", tx->text);
	session_enter(s, ST_HELO);
	message_drop(s);
}

/* ---- its bytes ---- */

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
			message_fail(s, faults[i].code, faults[i].dsn, faults[i].text);
			return;
		}
}

/* An empty scratch buffer for message bytes; the trace header goes in front of the first. */
static void
clear_scratch(const struct session *s)
{
	buf_reset(&message.scratch, SCRATCH_KEEP);
	if (!s->tx->begun && s->tx->code == 0)
		received_header(&message.scratch, s);
}

/* The scratch buffer goes to the queue, behind the envelope if it is the first. */
static void
forward(struct session *s)
{
	struct tx *tx = s->tx;

	if (tx->code != 0)
		return;
	if (!to_queue_there()) {
		message_fail(s, 451, "4.3.0", "the mail queue is not available, try again later");
		return;
	}
	to_queue_data(s, &message.scratch);
}

void
message_mend(struct session *s)
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
		return &message.scratch;
	buf_reset(&message.raw, SCRATCH_KEEP);
	return &message.raw;
}

static void
mend(struct tx *tx)
{
	if (tx->mend.what != 0 && tx->code == 0 && message.raw.len > 0)
		mend_feed(&tx->mend, buf_data(&message.raw), message.raw.len, &message.scratch);
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
message_feed(struct session *s, const uint8_t *p, size_t n, size_t *used, bool *end)
{
	clear_scratch(s);
	*used = datard_feed(&s->tx->rd, p, n, read_into(s->tx), end);
	fault(s);
	mend(s->tx);
	if (message.scratch.len > 0)
		forward(s);
}

void
message_complete(struct session *s)
{
	struct tx *tx = s->tx;

	clear_scratch(s);
	if (tx->rd.bdat)
		datard_finish(&tx->rd, read_into(tx));
	fault(s);
	if (tx->rd.bdat)
		mend(tx);
	if (tx->mend.what != 0 && tx->code == 0)
		mend_end(&tx->mend, &message.scratch);
	forward(s);
	if (tx->code != 0) {
		message_verdict(s);
		return;
	}
	log_mended(s);
	to_queue_commit(s);
}

/* ---- the queue's answer, or none ---- */

/* The queue may also refuse before the end: then the rest is read and dropped, and that is the answer. */
void
message_done(uint32_t number, const struct p_tx_done *p)
{
	struct tx *tx = to_queue_find(number);
	struct session *s;

	if (tx == NULL)
		return;
	s = tx->session;
	to_queue_forget(tx);
	if (s->wait != WAIT_DONE) {
		message_fail(s, p->code >= 400 ? p->code : 451, p->code >= 400 ? p->dsn : "4.3.0", "the mail queue refused the message");
		return;
	}
	session_wait_over(s);
	if (p->code < 300) {
		s->errors = 0;
		session_useful(s);
	}
	session_reply(s, p->code, p->dsn, "%s", p->text);
	session_enter(s, ST_HELO);
	message_drop(s);
}

void
message_gone(struct session *s)
{
	enum wait was = s->wait;

	if (s->tx == NULL || was == WAIT_LOOKUP)
		return;
	if (was != WAIT_NO)
		session_wait_over(s);
	if (was == WAIT_ID) {
		s->tx->asked_id = true;
		s->then(s);
	} else if (s->tx->id != 0) {	/* which means nothing to the next queue */
		to_queue_forget(s->tx);
		message_fail(s, 451, "4.3.0", "the mail queue is not available, try again later");
		if (was == WAIT_DONE)
			message_verdict(s);
	}
}

void
message_queue(struct edge *e)
{
	to_queue_edge(e);
	if (e == NULL) {
		session_each(message_gone);
		session_data_resume();
	}
}
