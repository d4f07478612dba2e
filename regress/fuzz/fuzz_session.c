/* links: smtpd/listener/connection.c smtpd/listener/session.c smtpd/listener/session_say.c smtpd/listener/cmd.c smtpd/listener/cmd_ehlo.c smtpd/listener/cmd_mail.c smtpd/listener/cmd_rcpt.c smtpd/listener/cmd_data.c smtpd/listener/cmd_misc.c smtpd/listener/batch.c smtpd/listener/tx.c smtpd/listener/to_queue.c smtpd/listener/message.c smtpd/listener/verb.c smtpd/listener/door.c smtpd/listener/received.c smtpd/listener/path.c smtpd/listener/params.c smtpd/listener/client_count.c smtpd/listener/crowd.c smtpd/listener/quiet.c smtpd/listener/listen.c */
/*
 * fuzz_session: a whole SMTP session over a socketpair, with a queue and a lookup of straw.
 *
 * The input is what the client sends; a byte 0xff and the one behind it are something else: a pause, an answer, the end of a peer,
 * of the client. What holds for whatever comes: the queue hears of a transaction in order, with a recipient, and nothing of it has
 * a NUL or a bare CR or LF; a client that is gone leaves no session behind.
 */
#include <sys/socket.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "listener/batch.h"
#include "program/child.h"
#include "listener/connection.h"
#include "listener/door.h"
#include "listener/message.h"
#include "proc/ev.h"
#include "base/log.h"
#include "listener/session.h"
#include "listener/to_queue.h"

#define TXS	64		/* numbers are taken modulo */
#define INPUT	65536

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct edge {
	struct buf	out;
	unsigned	type;
	uint32_t	id;
};

static struct {
	struct conf	*conf;
	struct door	 door;
	struct edge	 queue, lookup;
	bool		 busy, queue_gone, lookup_gone;
	struct straw {
		bool	 open, done;
		uint8_t	 last;
	} tx[TXS];
	struct {
		uint32_t id;
		unsigned questions;	/* 0: a transaction */
	} pending[256];
	size_t		 npending;
	int		 client;
} fz;

static void
check(bool ok)
{
	if (!ok)
		abort();
}

const struct conf *
child_conf(void)
{
	return fz.conf;
}

/* ---- edges ---- */

struct buf *
edge_begin(struct edge *e, unsigned type, uint32_t id)
{
	buf_reset(&e->out, MSG_MAX);
	e->type = type;
	e->id = id;
	return &e->out;
}

size_t
edge_pending(const struct edge *e)
{
	(void)e;
	return fz.busy ? EDGE_HIGH + 1 : 0;
}

static void
later(uint32_t id, unsigned questions)
{
	check(fz.npending < 256);
	fz.pending[fz.npending].id = id;
	fz.pending[fz.npending++].questions = questions;
}

static void
heard_begin(struct straw *tx, struct rd *rd)
{
	struct p_env env;

	check(!tx->open);
	p_env_get(rd, &env);
	check(!rd->bad && env.rcpts_n > 0 && env.id != 0);
	p_env_free(&env);
	*tx = (struct straw){ .open = true, .last = '\n' };
}

static void
heard_data(struct straw *tx, struct rd *rd)
{
	struct p_data d;
	size_t i;

	check(tx->open && !tx->done);
	p_data_get(rd, &d);
	check(!rd->bad);
	for (i = 0; i < d.bytes.len; i++) {
		check(d.bytes.p[i] != '\0');
		check((tx->last == '\r') == (d.bytes.p[i] == '\n'));
		tx->last = d.bytes.p[i];
	}
}

static void
heard(const struct edge *e)
{
	struct rd rd = { buf_data(&e->out), e->out.len, false };
	struct straw *tx = &fz.tx[e->id % TXS];

	switch (e->type) {
	case MSG_TX_BEGIN:
		heard_begin(tx, &rd);
		break;
	case MSG_TX_RCPT:
		check(tx->open && !tx->done);
		break;
	case MSG_TX_DATA:
		heard_data(tx, &rd);
		break;
	case MSG_TX_COMMIT:
		check(tx->open && !tx->done && tx->last != '\r');
		tx->done = true;
		later(e->id, 0);
		break;
	case MSG_TX_ABORT:
		check(tx->open);
		tx->open = false;
		break;
	case MSG_LEASE_ASK:
		break;
	default:
		abort();
	}
}

void
edge_end(struct edge *e, int fd)
{
	struct rd rd = { buf_data(&e->out), e->out.len, false };
	struct p_ask ask;

	check(fd == -1 && e->out.len <= MSG_MAX);
	if (e == &fz.queue) {
		heard(e);
		return;
	}
	check(e->type == MSG_ASK);
	p_ask_get(&rd, &ask);
	check(!rd.bad && ask.questions_n > 0);
	later(e->id, ask.questions_n);
	p_ask_free(&ask);
}

/* ---- what the peers do ---- */

static void
answer_lookup(uint32_t id, unsigned n)
{
	struct session *s = session_find(id);
	struct p_answer a = { calloc(n, sizeof(struct p_value)), n };
	unsigned i;

	for (i = 0; i < n; i++)
		a.values[i] = (struct p_value){ (uint8_t)((id + i) % 8 == 0 ? ANSWER_TEMPFAIL : ANSWER_YES), "" };
	if (s != NULL)
		batch_answer(s, &a);
	free(a.values);
}

static void
answer_one(void)
{
	uint32_t id = fz.pending[0].id;
	unsigned questions = fz.pending[0].questions;

	memmove(fz.pending, fz.pending + 1, --fz.npending * sizeof(fz.pending[0]));
	if (questions > 0) {
		answer_lookup(id, questions);
		return;
	}
	fz.tx[id % TXS].open = false;
	message_done(id, &(struct p_tx_done){ id % 4 == 0 ? 451 : 250, id % 4 == 0 ? "4.3.0" : "2.0.0", "so it is" });
}

static void
forget(bool transactions)
{
	size_t i, n = 0;

	for (i = 0; i < fz.npending; i++)
		if ((fz.pending[i].questions == 0) != transactions)
			fz.pending[n++] = fz.pending[i];
	fz.npending = n;
}

static void
turn_queue(void)
{
	fz.queue_gone = !fz.queue_gone;
	if (fz.queue_gone) {
		forget(true);
		memset(fz.tx, 0, sizeof(fz.tx));
	}
	message_queue(fz.queue_gone ? NULL : &fz.queue);
	if (!fz.queue_gone)
		to_queue_lease(&(struct p_lease){ 1000, 1000000 });
}

static void
turn_lookup(void)
{
	fz.lookup_gone = !fz.lookup_gone;
	if (fz.lookup_gone)
		forget(false);
	batch_lookup(fz.lookup_gone ? NULL : &fz.lookup);
}

static void
turn_busy(void)
{
	fz.busy = !fz.busy;
	if (!fz.busy)
		session_data_resume();
}

/* ---- the client ---- */

static void
pump(unsigned turns)
{
	char drop[16384];

	while (turns-- > 0) {
		ev_wake();
		ev_turn();
		connection_turn();
		while (fz.client != -1 && recv(fz.client, drop, sizeof(drop), MSG_DONTWAIT) > 0)
			;
	}
}

static void
say(const uint8_t *p, size_t n)
{
	ssize_t sent;

	while (n > 0 && fz.client != -1 && (sent = send(fz.client, p, n, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0) {
		p += sent;
		n -= (size_t)sent;
		pump(1);
	}
}

static void
hang_up(void)
{
	if (fz.client != -1)
		close(fz.client);
	fz.client = -1;
}

static void
deed(uint8_t what)
{
	switch (what % 8) {
	case 0:
	case 1:
		pump(2);
		break;
	case 2:
	case 3:
		if (fz.npending > 0)
			answer_one();
		break;
	case 4:
		turn_queue();
		break;
	case 5:
		turn_lookup();
		break;
	case 6:
		turn_busy();
		break;
	default:
		if (fz.client != -1)
			shutdown(fz.client, SHUT_WR);
		break;
	}
}

static void
script(const uint8_t *p, size_t n)
{
	const uint8_t *mark;

	while (n > 0) {
		mark = memchr(p, 0xff, n);
		say(p, mark == NULL ? n : (size_t)(mark - p));
		if (mark == NULL || mark + 1 == p + n)
			return;
		deed(mark[1]);
		n -= (size_t)(mark + 2 - p);
		p = mark + 2;
	}
}

/* ---- one input ---- */

static void
once(void)
{
	static const char text[] = "hostname mx.test\ndomain example.test\nspool \"/nowhere\"\nruntime \"/nowhere\"\nlisteners 1\n"
	    "listen on 127.0.0.1 port 25\nlimit message-size 4096\nlimit recipients 8\nlimit errors 1000\nlimit commands 5000\n"
	    "table users { a }\naction box maildir \"/nowhere/%{user}\" user nobody users <users>\naction nowhere discard\n"
	    "match from any for domain <users> action nowhere\nmatch from any for local action box\n";
	struct conf_errors errors = { NULL, 0, 0 };

	fz.conf = conf_parse(text, sizeof(text) - 1, 1, &errors);
	check(fz.conf != NULL);
	log_init("fuzz");
	log_level(LOG_LV_ERROR);
	ev_init();
	session_init();
	fz.door = (struct door){ .ev.fd = -1, .refs = 1000000000, .hostname = fz.conf->hostname, .tag = fz.conf->domain };
	fz.queue_gone = fz.lookup_gone = true;
}

static void
begin(uint8_t kind)
{
	struct session_peer peer = { .socket = kind & 1, .exempt = kind & 2, .local = kind & 4 };
	int sv[2];

	if (fz.queue_gone)
		turn_queue();
	if (fz.lookup_gone)
		turn_lookup();
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv) == 0);
	fz.client = sv[0];
	fz.door.normalise = kind & 8;
	peer.fd = sv[1];
	peer.sa.ss_family = peer.socket ? AF_UNIX : AF_INET;
	connection_new(&fz.door, &peer);
	pump(1);
}

static void
end(void)
{
	unsigned i;

	pump(2);
	hang_up();
	for (i = 0; i < 100 && !session_none(); i++) {
		if (fz.busy)
			turn_busy();
		while (fz.npending > 0)
			answer_one();
		pump(2);
	}
	check(session_none());
	while (fz.npending > 0)
		answer_one();
	for (i = 0; i < TXS; i++)
		check(!fz.tx[i].open);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (fz.conf == NULL)
		once();
	if (n < 2 || n > INPUT)
		return 0;
	begin(p[0]);
	script(p + 1, n - 1);
	end();
	return 0;
}
