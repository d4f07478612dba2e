/*
 * conn: see conn.h. Connecting, greeting, EHLO with HELO as its fall-back, deadlines, and the end of a connection in all its ways.
 *
 * Time-outs are those of RFC 5321 4.5.3.2 or shorter (connect). A deadline runs until the reply is complete: a server that drips
 * lines gains nothing. A refusal to one more connection, while others to the same host work, lowers the destination's number of
 * connections instead of resting the host.
 */
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "program/child.h"
#include "client/conn.h"
#include "proc/ev.h"
#include "base/log.h"
#include "base/xmalloc.h"

#define CONNS_MAX	2000
#define CONNECT_MS	(30 * 1000)
#define GREETING_MS	(5 * 60 * 1000)
#define IDLE_MS		(3 * 1000)

static struct {
	size_t			 n;
	struct conn_list	 idle;		/* of all destinations, longest idle first */
	struct conn		*inside;	/* whose replies are being taken; NULL when it was freed meanwhile */
} conns = { 0, TAILQ_HEAD_INITIALIZER(conns.idle), NULL };

static void on_connected(void *);
static void on_in(void *);
static void on_out(void *);
static void on_end(void *, int);
static void on_timeout(void *);

static const struct io_ops ops = { on_connected, on_in, on_out, on_end, on_timeout };

/* ---- idle ones, and the number of all ---- */

static void
not_idle(struct conn *c)
{
	if (!c->idle)
		return;
	c->idle = false;
	TAILQ_REMOVE(&c->dest->idle, c, idle_entry);
	TAILQ_REMOVE(&conns.idle, c, all_idle);
}

static void
take_pass(struct conn *c)
{
	c->pass = true;
	c->dest->rate->granted++;
}

bool
conn_use_pass(struct conn *c)
{
	bool had = c->pass;

	c->pass = false;
	c->dest->rate->granted -= had;
	return had;
}

static void
give_pass_back(struct conn *c)
{
	if (conn_use_pass(c))
		gate_back(c->dest->rate);
}

void
conn_idle(struct conn *c)
{
	give_pass_back(c);
	c->idle = c->was_idle = true;
	TAILQ_INSERT_TAIL(&c->dest->idle, c, idle_entry);
	TAILQ_INSERT_TAIL(&conns.idle, c, all_idle);
	io_deadline(c->io, IDLE_MS);
}

void
conn_wake(struct conn *c)
{
	not_idle(c);
	take_pass(c);
	relay_more(c);
}

void
conn_make_room(const struct gate *g)
{
	struct conn *c;

	TAILQ_FOREACH(c, &conns.idle, all_idle)
		if (c->dest->room == g) {
			conn_quit(c);
			return;
		}
}

bool
conn_room(void)
{
	struct conn *c;

	if (conns.n >= CONNS_MAX && (c = TAILQ_FIRST(&conns.idle)) != NULL)
		conn_quit(c);
	return conns.n < CONNS_MAX;
}

void
conn_quit_idle(void)
{
	struct conn *c;

	while ((c = TAILQ_FIRST(&conns.idle)) != NULL)
		conn_quit(c);
}

void
conn_quit_suspended(void)
{
	struct conn *c, *next;

	TAILQ_FOREACH_SAFE(c, &conns.idle, all_idle, next)
		if (source_suspended(c->dest->source))
			conn_quit(c);
}

size_t
conn_count(void)
{
	return conns.n;
}

/* ---- the end ---- */

/* The socket goes; the walk may go on. */
static void
hang_up(struct conn *c, bool politely)
{
	not_idle(c);
	body_close(&c->body);
	if (c->state == CONN_READY) {
		c->dest->nready--;
		c->host->ready--;
	}
	if (c->state != CONN_CONNECT)
		c->dest->nopen--;
	c->state = CONN_CONNECT;
	if (c->io == NULL)
		return;
	if (politely) {
		io_write(c->io, "QUIT\r\n", 6);
		io_close_flushed(c->io);
	} else
		io_close(c->io);
	c->io = NULL;
}

static void
release(struct conn *c, bool politely)
{
	hang_up(c, politely);
	if (conns.inside == c)
		conns.inside = NULL;
	conns.n--;
	give_pass_back(c);
	c->dest->nconn--;
	if (c->dest->nwaiting > 0) {
		dest_due(c->dest);
		ev_wake();	/* this may be the flush at the head of a turn */
	}
	dest_room(c->dest);
	free(c->failure_text);
	free(c->failure_relay);
	free(c);
}

void
conn_free(struct conn *c)
{
	release(c, false);
}

void
conn_quit(struct conn *c)
{
	release(c, true);
}

/* ---- the walk ---- */

static void
note_failure(struct conn *c, const struct verdict *v)
{
	const char *relay = v->relay != NULL ? v->relay : c->relay;
	char *text;

	c->unasked = c->unasked || (c->state != CONN_READY && v->outcome == OUT_DEFER);
	if (c->failure_text != NULL && c->failure.outcome == OUT_DEFER && v->outcome != OUT_DEFER)
		return;
	text = xstrdup(v->text);
	free(c->failure_text);
	free(c->failure_relay);
	c->failure = *v;
	c->failure.text = c->failure_text = text;
	c->failure.relay = c->failure_relay = *relay != '\0' ? xstrdup(relay) : NULL;
}

/* A host that rests is passed over; why it rests is a reason as good as any, until there is a fresh one. */
static void
note_rest(struct conn *c, uint16_t host)
{
	const struct host *h = c->dest->host[host];
	struct verdict v = verdict(OUT_DEFER, "4.4.1", h->why != NULL ? h->why : "host is at rest");
	char relay[sizeof c->relay];

	mx_relay(&c->dest->set.v[host], relay, sizeof relay);
	v.relay = relay;
	c->unasked = true;
	if (c->failure_text == NULL || c->failure.outcome != OUT_DEFER)
		note_failure(c, &v);
}

/* What never left this host is no try. */
static bool
not_from_here(struct conn *c, const char *what)
{
	struct verdict v = verdict(OUT_DEFER, "4.3.2", what);

	c->tries--;
	note_failure(c, &v);
	dest_full(c->dest);
	return false;
}

/* The source's address of that family. */
static bool
bind_source(struct conn *c, int fd, int family)
{
	struct source *s = c->dest->source;
	char text[200];

	if (s == NULL || (source_has(s, family) && source_bind(s, fd, family) == 0))
		return true;
	snprintf(text, sizeof text, "source %s has no usable %s address", s->name, family == AF_INET6 ? "IPv6" : "IPv4");
	return not_from_here(c, text);
}

static bool
open_host(struct conn *c, const struct mx_host *mx, struct host *h)
{
	const struct sockaddr *sa = (const struct sockaddr *)&mx->sa;
	char text[200];
	struct verdict v;
	int fd, on = 1;

	mx_relay(mx, c->relay, sizeof c->relay);
	c->host = h;
	fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1) {
		snprintf(text, sizeof text, "no socket for a connection: %s", strerror(errno));
		v = verdict(OUT_DEFER, "4.3.2", text);
		note_failure(c, &v);
		dest_full(c->dest);		/* or its next turn would be this one again */
		return false;
	}
	if (!bind_source(c, fd, sa->sa_family)) {
		close(fd);
		return false;
	}
	/* The end of a message is not to wait until the other side acknowledged what came before it. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	c->state = CONN_CONNECT;
	c->opened = ev_now_ms();
	c->messages = 0;
	c->peer = (struct peer){ .smarthost = c->dest->smarthost, .rcpts = c->dest->recipients, .eightbit = c->dest->eightbit };
	c->dirty = c->was_idle = c->past_greeting_line = false;
	reply_init(&c->reply);
	c->io = io_connect(fd, sa, mx->salen, &ops, c);
	io_deadline(c->io, CONNECT_MS);
	return true;
}

bool
conn_has_next(const struct conn *c)
{
	return c->at < c->norder && c->tries < CONN_HOSTS;
}

static bool
next_host(struct conn *c)
{
	struct dest *d = c->dest;
	uint16_t i;

	while (conn_has_next(c)) {
		i = c->order[c->at++];
		if (host_rest(d->host[i]) > 0) {
			note_rest(c, i);
			continue;
		}
		c->tries++;
		if (open_host(c, &d->set.v[i], d->host[i]))
			return true;
	}
	return false;
}

/* A refusal that another host might have mended stays temporary while that host cannot be asked. */
const struct verdict *
conn_last_word(const struct conn *c, const struct rcpt *r)
{
	return r->noted && (r->verdict.outcome == OUT_DEFER || !c->unasked) ? &r->verdict : &c->failure;
}

/* Where a host worked, those of whom it was not asked yet are no worse off than before. */
static void
give_up_job(struct conn *c, struct job *j)
{
	uint32_t i, n = j->nrcpt;

	for (i = 0; i < n; i++)
		if (!j->rcpts[i].done && (j->rcpts[i].noted || !c->worked))
			rcpt_settle(j, &j->rcpts[i], conn_last_word(c, &j->rcpts[i]));
	if (j->open > 0)
		dest_return(c->dest, j);
}

/* No host is left. */
static void
give_up(struct conn *c)
{
	struct job *j = c->carried;

	c->carried = NULL;
	if (c->failure_text == NULL && !c->worked)
		fatalx("a walk to %s failed without a reason", c->dest->key);
	if (j != NULL)
		give_up_job(c, j);
	if (!c->worked)
		dest_failed(c->dest, c->begun, &c->failure);
	conn_free(c);
}

bool
conn_start(struct dest *d)
{
	struct conn *c = xcalloc(1, sizeof *c);

	conns.n++;
	d->nconn++;
	c->dest = d;
	take_pass(c);
	c->begun = ev_now_ms();
	c->norder = mx_order(&d->set, d->turn++, c->order, arc4random_uniform);
	if (next_host(c))
		return true;
	give_up(c);
	return false;
}

/* Once per rest it is logged. */
void
conn_rest(struct conn *c, const char *why)
{
	if (host_rest(c->host) == 0)
		log_as("smtp", LOG_LV_INFO, "%s; no mail goes there for a while", why);
	host_failed(c->host, why, c->dest->rest_most);
	if (c->state == CONN_READY)
		dest_bad(c->dest);
	else
		dest_down(c->dest);
}

void
conn_next(struct conn *c, const struct verdict *v, const char *why)
{
	note_failure(c, v);
	if (why != NULL && c->state != CONN_READY && c->host->ready > 0)
		dest_full(c->dest);
	else if (why != NULL)
		conn_rest(c, why);
	else
		dest_bad(c->dest);
	hang_up(c, false);
	if (c->carried == NULL && c->dest->nwaiting == 0)
		conn_free(c);
	else if (!next_host(c))
		give_up(c);
}

void
conn_leave(struct conn *c)
{
	c->worked = true;
	hang_up(c, false);
	if (c->carried == NULL)
		conn_free(c);
	else if (!next_host(c))
		give_up(c);
}

/* ---- setting up ---- */

static const char *
doing(const struct conn *c)
{
	static const char *const name[] = {
		[CONN_CONNECT] = "connecting", [CONN_GREETING] = "receiving the initial server greeting",
		[CONN_EHLO] = "performing the EHLO handshake", [CONN_HELO] = "performing the HELO handshake",
	};

	return c->state == CONN_READY ? relay_doing(c) : name[c->state];
}

/* Nothing valid came, or nothing at all. In setting up the host is to blame; later the transaction decides. */
static void
broken(struct conn *c, const char *dsn, const char *text)
{
	struct verdict v = verdict(OUT_DEFER, dsn, text);

	if (c->state == CONN_READY)
		relay_lost(c, &v);
	else
		conn_next(c, &v, text);
}

static void
refused(struct conn *c, enum reply_stage stage)
{
	const struct reply *r = &c->reply;
	const struct reply_meaning *m = reply_meaning(stage, r->code, r->dsn);
	enum outcome outcome = m->deed == DEED_NEXT_MX_BOUNCE || m->deed == DEED_BOUNCE ? OUT_BOUNCE : OUT_DEFER;
	struct verdict v = verdict(outcome, r->dsn[0] != '\0' ? r->dsn : m->dsn, r->text);
	char words[REPLY_TEXT_MAX + 32], why[REPLY_TEXT_MAX + 512];

	v.dsn[0] = outcome == OUT_BOUNCE ? '5' : '4';
	strlcpy(v.given, r->dsn, sizeof v.given);
	v.code = r->code;
	v.step = stage == STAGE_CONNECT ? "initial greeting" : c->state == CONN_HELO ? "HELO command" : "EHLO command";
	reply_said(r, words, sizeof words);
	snprintf(why, sizeof why, "host %s refused to talk to us: %s", c->relay, words);
	conn_next(c, &v, why);
}

static void
ready(struct conn *c)
{
	c->state = CONN_READY;
	c->dest->nready++;
	c->host->ready++;
	c->setup = (int64_t)(ev_now_ms() - c->opened);
	relay_ready(c);
}

static void
hello(struct conn *c, const char *verb, enum conn_state state)
{
	const struct source *s = c->dest->source;

	c->state = state;
	io_printf(c->io, "%s %s\r\n", verb, s != NULL && s->helo != NULL ? s->helo : child_conf()->hostname);
	io_deadline(c->io, GREETING_MS);
}

/* Servers from before 1995, and some devices, refuse EHLO with a code of syntax or sequence. */
static bool
knows_no_ehlo(unsigned code)
{
	return (code >= 500 && code <= 504) || code == 555;
}

static void
misplaced(struct conn *c)
{
	char text[640];

	snprintf(text, sizeof text, "host %s sent a reply that cannot stand here (%u) while %s", c->relay, c->reply.code, doing(c));
	broken(c, "4.5.0", text);
}

static void
setup_reply(struct conn *c)
{
	bool ok = c->reply.code / 100 == 2;

	if (!ok && c->reply.code / 100 != 4 && c->reply.code / 100 != 5)
		misplaced(c);
	else if (c->state == CONN_GREETING && ok)
		hello(c, "EHLO", CONN_EHLO);
	else if (c->state == CONN_EHLO && !ok && knows_no_ehlo(c->reply.code))
		hello(c, "HELO", CONN_HELO);
	else if (ok)
		ready(c);
	else
		refused(c, c->state == CONN_GREETING ? STAGE_CONNECT : STAGE_EHLO);
}

/* The first line of the reply to EHLO is the server's name. */
static void
ehlo_line(void *arg, const char *text)
{
	struct conn *c = arg;

	if (c->state != CONN_EHLO)
		return;
	if (c->past_greeting_line)
		peer_extension(&c->peer, text);
	c->past_greeting_line = true;
}

/* ---- what the socket says ---- */

static void
on_connected(void *arg)
{
	struct conn *c = arg;

	c->state = CONN_GREETING;
	c->dest->nopen++;
	io_deadline(c->io, GREETING_MS);
}

static void
not_smtp(struct conn *c)
{
	char text[640];

	snprintf(text, sizeof text, "host %s sent no valid SMTP reply while %s", c->relay, doing(c));
	broken(c, "4.5.0", text);
}

/* An answer to what was not asked yet says nothing about it: somebody made it up. */
static void
too_early(struct conn *c)
{
	char text[640];

	if (c->idle) {
		conn_quit(c);
		return;
	}
	snprintf(text, sizeof text, "host %s sent a reply before its command while %s", c->relay, doing(c));
	broken(c, "4.5.0", text);
}

/*
 * Replies one by one. Any of them may free the connection, or move it to another host and so another io. What came in one piece can only
 * answer commands that were under way by then; beyond that, a 421 may come at any time.
 */
static void
take_replies(struct conn *c)
{
	struct io *io = c->io;
	enum reply_status status;
	unsigned due = c->state == CONN_READY ? relay_due(c) : 1;

	conns.inside = c;
	while (conns.inside == c && c->io == io) {
		if ((status = reply_feed(&c->reply, io_in(io), ehlo_line, c)) == REPLY_MORE) {
			if (due == 0 && (c->reply.lines > 0 || io_in(io)->len > 0))
				too_early(c);
			break;
		}
		if (status == REPLY_BAD)
			not_smtp(c);
		else if (due == 0 && c->reply.code != 421 && !c->idle)
			too_early(c);
		else if (c->state == CONN_READY)
			relay_reply(c);
		else
			setup_reply(c);
		if (conns.inside == c && c->io == io)
			reply_init(&c->reply);
		due -= due > 0;
	}
}

static void
on_in(void *arg)
{
	take_replies(arg);
}

static void
on_out(void *arg)
{
	struct conn *c = arg;

	if (c->state == CONN_READY)
		relay_writable(c);
}

/* A server that refuses and closes while we still send: its words may lie unread. -> false: they ended this connection. */
static bool
last_words(struct conn *c)
{
	struct io *io = c->io;
	ssize_t n;

	n = recv(io_fd(io), buf_reserve(io_in(io), BODY_BLOCK), BODY_BLOCK, MSG_DONTWAIT);
	if (n <= 0)
		return true;
	buf_grow(io_in(io), (size_t)n);
	take_replies(c);
	return conns.inside == c && c->io == io;
}

static void
cannot_connect(struct conn *c, int err)
{
	char text[640];

	/* What never left this host is no try: five IPv6 addresses must not hide the IPv4 one. */
	if (err == ENETUNREACH || err == EHOSTUNREACH || err == EAFNOSUPPORT || err == EADDRNOTAVAIL)
		c->tries--;
	snprintf(text, sizeof text, "connect to %s: %s", c->relay, strerror(err));
	broken(c, "4.4.1", text);
}

static void
on_end(void *arg, int err)
{
	struct conn *c = arg;
	char text[640];

	if (c->idle)
		conn_free(c);
	else if (c->state == CONN_CONNECT)
		cannot_connect(c, err);
	else if (err == 0 || last_words(c)) {
		snprintf(text, sizeof text, "lost connection with %s while %s", c->relay, doing(c));
		broken(c, "4.4.2", text);
	}
}

static void
on_timeout(void *arg)
{
	struct conn *c = arg;
	char text[640];

	if (c->idle)
		conn_quit(c);
	else if (c->state == CONN_CONNECT)
		cannot_connect(c, ETIMEDOUT);
	else {
		snprintf(text, sizeof text, "conversation with %s timed out while %s", c->relay, doing(c));
		broken(c, "4.4.2", text);
	}
}
