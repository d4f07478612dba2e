/*
 * control: accepts clients, finds out who they are, reads their one line, sends what the verbs answer.
 *
 * on_CONTROL comes from the parent with the listening socket; control_run is a step of the main loop. Owns the socket and the
 * sessions: CONTROL_CLIENTS at most, and of those some are kept for who may do everything, so that no local user can lock the
 * administrator out. Whatever a client sends or does not send ends in an answer or a closed connection.
 */
#include <sys/socket.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "program/child.h"
#include "control/control.h"
#include "spool/errand.h"
#include "proc/ev.h"
#include "base/log.h"
#include "core/rows.h"
#include "base/xmalloc.h"

MSG_PROTOTYPES(PARENT_TO_QUEUE)

#define READ_MS		(30 * 1000)
#define WRITE_MS	(60 * 1000)
#define OTHERS_MAX	(CONTROL_CLIENTS - 16)	/* clients that may not do everything */
#define PER_UID_MAX	8
#define REST_MS		1000			/* after accept failed */
#define GROUPS_MAX	256

TAILQ_HEAD(clients, client);

static struct {
	struct spool	*spool;
	struct index	*index;
	int		 fd;
	struct ev_fd	 ev;
	struct ev_timer	 again;
	struct clients	 clients;
	unsigned	 n;
	uint32_t	 number;
	gid_t		 gid;			/* may read everything; (gid_t)-1: nobody by group */
	struct timespec	 slice;			/* when this turn's began */
} ct = { .fd = -1, .gid = (gid_t)-1, .clients = TAILQ_HEAD_INITIALIZER(ct.clients) };

struct spool *
control_spool(void)
{
	return ct.spool;
}

struct index *
control_index(void)
{
	return ct.index;
}

/* ---- answers ---- */

static bool
printable(uint8_t c)
{
	return c >= 0x20 && c != 0x7f;
}

void
say_more(struct client *c, struct buf *b)
{
	uint8_t *p = buf_data(b);
	size_t i;

	for (i = 0; i < b->len; i++)
		if (!printable(p[i]))
			p[i] = '?';
	io_write(c->io, p, b->len);
}

void
say_begin(struct client *c)
{
	io_write(c->io, " ", 1);
}

void
say_end(struct client *c)
{
	io_write(c->io, "\n", 1);
}

static void
line(struct client *c, char kind, struct buf *b)
{
	io_write(c->io, &kind, 1);
	say_more(c, b);
	say_end(c);
}

static void __attribute__((format(printf, 3, 0)))
vline(struct client *c, char kind, const char *fmt, va_list ap)
{
	struct buf b = BUF_INIT;
	char *s;

	if (vasprintf(&s, fmt, ap) == -1)
		fatal("vasprintf");
	buf_adds(&b, s);
	free(s);
	line(c, kind, &b);
	buf_free(&b);
}

void
say(struct client *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vline(c, ' ', fmt, ap);
	va_end(ap);
}

void
complain(struct client *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vline(c, '!', fmt, ap);
	va_end(ap);
}

void
say_buf(struct client *c, struct buf *b)
{
	line(c, ' ', b);
	buf_reset(b, SIZE_MAX);
}

/* Message bytes as they are, but for CR at a line's end. c->count: bytes of the line that was begun. */
void
say_raw(struct client *c, const uint8_t *p, size_t n)
{
	const uint8_t *lf;
	size_t len;

	for (; n > 0; p += len, n -= len) {
		lf = memchr(p, '\n', n);
		len = lf != NULL ? (size_t)(lf - p) + 1 : n;
		if (c->count == 0)
			io_write(c->io, " ", 1);
		if (lf != NULL && len > 1 && lf[-1] == '\r') {
			io_write(c->io, p, len - 2);
			io_write(c->io, "\n", 1);
		} else
			io_write(c->io, p, len);
		c->count = lf != NULL ? 0 : c->count + len;
	}
}

static void
client_free(struct client *c)
{
	TAILQ_REMOVE(&ct.clients, c, link);
	ct.n--;
	if (c->drop != NULL)
		c->drop(c->query);
	free(c);
}

struct client *
client_find(uint32_t number)
{
	struct client *c;

	TAILQ_FOREACH(c, &ct.clients, link)
		if (c->number == number)
			return c;
	return NULL;
}

/* The session ends when all was read, or WRITE_MS from now: until then it counts. */
void
client_done(struct client *c, int code)
{
	io_lowat(c->io, 0);
	io_printf(c->io, "=%d\n", code);
	c->step = NULL;
	c->waits = false;
	c->closing = true;
	io_deadline(c->io, WRITE_MS);
	ev_wake();
}

int64_t
client_sees(const struct client *c)
{
	return c->rights == MAY_OWN ? (int64_t)c->uid : -1;
}

/* ---- sessions ---- */

static void
input(void *arg)
{
	struct client *c = arg;
	struct buf *in = io_in(c->io);
	uint8_t *lf;

	if (c->closing || c->step != NULL || c->waits) {
		buf_drain(in, in->len);
		return;
	}
	lf = memchr(buf_data(in), '\n', in->len);
	if (lf == NULL && in->len <= CONTROL_LINE)
		return;
	if (lf == NULL || (size_t)(lf - buf_data(in)) > CONTROL_LINE || memchr(buf_data(in), '\0', (size_t)(lf - buf_data(in)))) {
		complain(c, "the request is too long or no text");
		client_done(c, 64);
	} else {
		*lf = '\0';
		io_deadline(c->io, WRITE_MS);
		control_dispatch(c, (char *)buf_data(in));
	}
	buf_drain(in, in->len);
}

static void
output(void *arg)
{
	struct client *c = arg;

	if (!c->closing)
		io_deadline(c->io, WRITE_MS);
	ev_wake();
}

static void
end(void *arg, int err)
{
	struct client *c = arg;

	(void)err;
	io_close(c->io);
	client_free(c);
}

static void
timeout(void *arg)
{
	end(arg, ETIMEDOUT);
}

static const struct io_ops ops = { .in = input, .out = output, .end = end, .timeout = timeout };

/* ---- who is it? ---- */

static bool
in_group(int fd, gid_t primary)
{
	gid_t v[GROUPS_MAX];
	socklen_t len = sizeof(v);
	size_t i;

	if (ct.gid == (gid_t)-1)
		return false;
	if (primary == ct.gid)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, v, &len) == -1)
		return false;
	for (i = 0; i < len / sizeof(v[0]); i++)
		if (v[i] == ct.gid)
			return true;
	return false;
}

static enum rights
rights_of(int fd, const struct ucred *u)
{
	if (u->uid == 0 || u->uid == geteuid())
		return MAY_ALL;
	return in_group(fd, u->gid) ? MAY_READ : MAY_OWN;
}

static bool
too_many(enum rights rights, uid_t uid)
{
	unsigned others = 0, same = 0;
	struct client *c;

	if (rights == MAY_ALL)
		return ct.n >= CONTROL_CLIENTS;
	TAILQ_FOREACH(c, &ct.clients, link) {
		others += c->rights != MAY_ALL;
		same += c->uid == uid;
	}
	return others >= OTHERS_MAX || same >= PER_UID_MAX;
}

static void
client_new(int fd)
{
	static const char busy[] = "!too many requests at once, try again later\n=1\n";
	struct ucred u;
	socklen_t len = sizeof(u);
	struct client *c;
	enum rights rights;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &len) == -1) {
		close(fd);
		return;
	}
	rights = rights_of(fd, &u);
	if (too_many(rights, u.uid)) {
		(void)send(fd, busy, sizeof(busy) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		close(fd);
		return;
	}
	c = xcalloc(1, sizeof(*c));
	c->uid = u.uid;
	c->rights = rights;
	c->number = ++ct.number;
	c->io = io_new(fd, &ops, c);
	io_deadline(c->io, READ_MS);
	TAILQ_INSERT_TAIL(&ct.clients, c, link);
	ct.n++;
}

static void
accept_cb(void *arg, int what)
{
	int fd, i;

	(void)arg;
	(void)what;
	for (i = 0; i < 16; i++) {
		fd = accept4(ct.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd != -1) {
			client_new(fd);
			continue;
		}
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return;
		log_warn("control: accept: %s", strerror(errno));
		ev_fd_want(&ct.ev, 0);
		ev_timer_set(&ct.again, REST_MS);
		return;
	}
}

static void
accept_again(void *arg)
{
	(void)arg;
	ev_fd_want(&ct.ev, EV_R);
}

static void
listen_on(void)
{
	ev_fd_init(&ct.ev, ct.fd, accept_cb, NULL);
	ev_fd_want(&ct.ev, EV_R);
}

/* The frame's id is the number of the group that may read everything, 0 if the parent knows none. */
void
on_CONTROL(struct edge *e, uint32_t id, struct p_number *p, int fd)
{
	(void)e;
	(void)id;
	if (ct.fd != -1) {
		ev_fd_clear(&ct.ev);
		close(ct.fd);
	}
	ct.fd = fd;
	ct.gid = p->value != 0 ? p->value : (gid_t)-1;
	if (ct.spool != NULL)
		listen_on();
}

void
control_init(struct spool *sp, struct index *ix)
{
	ct.spool = sp;
	ct.index = ix;
	ev_timer_init(&ct.again, accept_again, NULL);
	if (ct.fd != -1)
		listen_on();
}

/* ---- the step of the main loop ---- */

bool
control_overrun(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - ct.slice.tv_sec) * 1000 + (now.tv_nsec - ct.slice.tv_nsec) / 1000000 >= CONTROL_SLICE;
}

/* What a user has not read yet, on all connections together. */
static size_t
unread(uid_t uid)
{
	const struct client *c;
	size_t n = 0;

	TAILQ_FOREACH(c, &ct.clients, link)
		if (c->uid == uid)
			n += io_pending(c->io);
	return n;
}

static bool
behind(const struct client *c)
{
	size_t own = io_pending(c->io);

	return own >= CONTROL_HIGH || (own > 0 && c->rights != MAY_ALL && unread(c->uid) >= CONTROL_USER_HIGH);
}

bool
client_pause(const struct client *c)
{
	return control_overrun() || behind(c);
}

static void
go_on(struct client *c)
{
	bool may = c->step != NULL && !behind(c) && rows_reached(c->ticket) &&
	    index_stored(control_index(), c->stored) && errand_reached(c->errand);

	if (may && !control_overrun() && c->step(c)) {
		if (!c->closing)
			client_done(c, 0);
	} else if (may)
		ev_wake();
	if (c->closing && io_pending(c->io) == 0) {
		io_close(c->io);
		client_free(c);
	}
}

void
control_run(void)
{
	struct client *c, *next, *last = TAILQ_LAST(&ct.clients, clients);

	if (last == NULL)
		return;
	clock_gettime(CLOCK_MONOTONIC, &ct.slice);
	TAILQ_FOREACH_SAFE(c, &ct.clients, link, next)
		go_on(c);
	/* Who was first this turn is last in the next. */
	if ((c = TAILQ_FIRST(&ct.clients)) != NULL) {
		TAILQ_REMOVE(&ct.clients, c, link);
		TAILQ_INSERT_TAIL(&ct.clients, c, link);
	}
}

/* The parent's word on a reload. */
void
on_RELOADED(struct edge *e, uint32_t id, struct p_text *p, int fd)
{
	struct client *c;
	const char *s = p->text, *nl;

	(void)e;
	(void)fd;
	if ((c = client_find(id)) == NULL || !c->waits)
		return;
	if (*s == '\0') {
		say(c, c->json ? "{\"reloaded\": true}" : "configuration reloaded");
		client_done(c, 0);
		return;
	}
	for (; *s != '\0'; s = *nl == '\n' ? nl + 1 : nl) {
		nl = strchrnul(s, '\n');
		complain(c, "%.*s", (int)(nl - s), s);
	}
	client_done(c, 1);
}

void
control_end(void)
{
	struct client *c;

	while ((c = TAILQ_FIRST(&ct.clients)) != NULL) {
		io_flush(c->io);
		io_close(c->io);
		client_free(c);
	}
	if (ct.fd != -1)
		close(ct.fd);
}
