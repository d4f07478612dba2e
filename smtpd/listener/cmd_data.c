/*
 * cmd_data: DATA (RFC 5321 4.1.1.4) and BDAT (RFC 3030), and the reading of the message in both.
 *
 *	data = "DATA" CRLF
 *	bdat = "BDAT" SP 1*DIGIT [SP "LAST"] CRLF
 *
 * Called through cmd's table, and by cmd for the bytes. Nothing of a message stays here: what one receive brought goes to the
 * queue; when that has enough, the client is not read from. A message that is refused is read to its end first, within bounds.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "program/child.h"
#include "listener/cmd.h"
#include "listener/crowd.h"
#include "listener/door.h"
#include "listener/message.h"
#include "listener/session_say.h"
#include "listener/to_queue.h"
#include "listener/tx.h"
#include "proc/ev.h"
#include "base/log.h"

#define EXCESS		(64 * 1024 * 1024)	/* beyond twice the limit nothing is read any more */
#define SMALL_CHUNK	64			/* counts as a command that moves no mail */
#define RATE_WINDOW_MS	60000
#define STRESS_WINDOW_MS	10000

static uint64_t
most(void)
{
	return child_conf()->limit[LIM_MESSAGE_SIZE] * 2 + EXCESS;
}

/* What is no error of this client: programs of this host write all kinds of line ends, and nobody would tell them of a refusal. */
static unsigned
mended(const struct session *s)
{
	if (s->socket)
		return DATA_BARE_CR | DATA_BARE_LF | DATA_LONE_DOT | DATA_NUL | DATA_LONG;
	return (s->door->normalise ? DATA_BARE_CR | DATA_BARE_LF | DATA_LONE_DOT : 0) | (s->exempt ? DATA_BARE_LF : 0);
}

static void
begin(struct session *s, bool bdat)
{
	const struct conf *conf = child_conf();

	datard_init(&s->tx->rd, conf->limit[LIM_MESSAGE_SIZE], conf->limit[LIM_LINE_LENGTH], mended(s), bdat);
	message_mend(s);
	s->rate_since = ev_now_ms();
	s->rate_bytes = 0;
}

/* The least rate, over each minute that ends with some bytes. */
static bool
too_slow(struct session *s, size_t n)
{
	uint64_t now = ev_now_ms(), window = crowd_stress(s->pool) ? STRESS_WINDOW_MS : RATE_WINDOW_MS;

	s->rate_bytes += n;
	if (now - s->rate_since < window)
		return false;
	if (s->rate_bytes >= crowd_data_rate(s->pool) * (window / 1000)) {
		s->rate_since = now;
		s->rate_bytes = 0;
		return false;
	}
	session_log(s);
	log_info("data-rate: too slow in DATA from %s", session_client(s));
	session_reply(s, 421, "4.4.2", "The message comes too slowly, closing");
	return true;
}

/* ---- DATA ---- */

static void
data_go(struct session *s)
{
	enum tx_id id;

	if (io_in(s->io)->len > 0) {
		session_last(s, true);
		session_reply(s, 554, "5.5.0", "You sent data before the go-ahead, closing");
		return;
	}
	id = s->tx->id != 0 ? ID_OK : to_queue_id(s, data_go);
	if (id == ID_WAIT)
		return;
	if (id == ID_NONE) {
		message_fail(s, 451, "4.3.0", "the mail queue is not available, try again later");
		message_verdict(s);
		return;
	}
	begin(s, false);
	session_enter(s, ST_DATA);
	session_reply(s, 354, NULL, "End data with <CR><LF>.<CR><LF>");
}

void
cmd_data(struct session *s, char *arg)
{
	(void)arg;
	if (s->tx->nrcpt == 0)
		session_reply(s, 554, "5.5.1", "no valid recipients");
	else
		data_go(s);
}

/* False: it is refused, and has gone on for so long that the session ends. */
static bool
within_bounds(struct session *s)
{
	if (s->tx->rd.total <= most())
		return true;
	message_verdict(s);
	session_last(s, true);
	return false;
}

bool
data_step(struct session *s)
{
	struct buf *in = io_in(s->io);
	size_t used, before = in->len;
	bool end = false;

	if (in->len == 0)
		return false;
	if (s->tx->code == 0 && to_queue_busy()) {
		session_data_pause(s);
		return false;
	}
	message_feed(s, buf_data(in), in->len, &used, &end);
	buf_drain(in, used);
	if (end) {
		message_complete(s);
		return true;
	}
	if (within_bounds(s))
		too_slow(s, before);
	return false;
}

/* ---- BDAT ---- */

/* size is decimal digits and nothing else; no sign, no blank, no overflow. */
static bool
parse(char *arg, uint64_t *size, bool *last)
{
	size_t n = strspn(arg, "0123456789");
	char *rest = arg + n;

	if (n == 0 || n > 18 || (*rest != '\0' && *rest != ' '))
		return false;
	rest += strspn(rest, " ");
	*last = *rest != '\0';
	if (*last && strcasecmp(rest, "LAST") != 0)
		return false;
	*size = strtoull(arg, NULL, 10);
	return true;
}

static void
chunk_go(struct session *s)
{
	enum tx_id id = s->tx->id != 0 ? ID_OK : to_queue_id(s, chunk_go);

	if (id == ID_WAIT)
		return;
	begin(s, true);
	session_enter(s, ST_CHUNK);
	if (id == ID_NONE)
		message_fail(s, 451, "4.3.0", "the mail queue is not available, try again later");
}

void
cmd_bdat(struct session *s, char *arg)
{
	if (!parse(arg, &s->chunk_size, &s->chunk_last)) {
		session_last(s, true);
		session_reply(s, 501, "5.5.4", "BDAT needs a size in decimal, and perhaps LAST; closing");
		return;
	}
	if (s->chunk_size > most()) {
		session_last(s, true);
		session_reply(s, 552, "5.3.4", "the chunk is larger than any message here may be, closing");
		return;
	}
	if (s->chunk_size < SMALL_CHUNK && !s->chunk_last)
		session_idle(s);
	if (s->state == ST_CLOSING)
		return;
	s->chunk_left = s->chunk_size;
	s->chunk_back = s->state;
	s->chunk_drop = s->state != ST_BDAT && (s->state != ST_MAIL || s->tx->nrcpt == 0);
	if (s->chunk_drop || s->state == ST_BDAT) {
		session_enter(s, ST_CHUNK);
		s->rate_since = ev_now_ms();
		s->rate_bytes = 0;
	} else
		chunk_go(s);
}

static void
chunk_end(struct session *s)
{
	if (s->chunk_drop) {
		session_enter(s, s->chunk_back);
		session_reply(s, 503, "5.5.1", "BDAT needs MAIL and an accepted RCPT before it");
		session_idle(s);
	} else if (s->chunk_last)
		message_complete(s);
	else if (s->tx->code != 0)
		message_verdict(s);
	else {
		session_enter(s, ST_BDAT);
		session_reply(s, 250, "2.0.0", "%" PRIu64 " octets received", s->chunk_size);
	}
}

bool
chunk_step(struct session *s)
{
	struct buf *in = io_in(s->io);
	size_t n = in->len < s->chunk_left ? in->len : (size_t)s->chunk_left, used = 0;
	bool end;

	if (n == 0 && s->chunk_left > 0)
		return false;
	if (!s->chunk_drop && s->tx->code == 0 && n > 0 && to_queue_busy()) {
		session_data_pause(s);
		return false;
	}
	if (!s->chunk_drop && n > 0)
		message_feed(s, buf_data(in), n, &used, &end);
	buf_drain(in, n);
	s->chunk_left -= n;
	if (s->chunk_left > 0)
		return !too_slow(s, n) && in->len > 0;
	chunk_end(s);
	return true;
}
