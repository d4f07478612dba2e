/*
 * edge: one end of a socketpair between two processes (declared in msg.h), in imsg-style frames.
 *
 * A frame is type u16, flags u16, length u32, id u32, payload; the flag says that a descriptor goes with it. Frames of a turn
 * leave in one sendmsg, except that each descriptor begins a send of its own (the kernel keeps it in front of its bytes), so that
 * received descriptors pair with flagged frames in order. Whatever does not fit the receiver's rows ends the edge with a loud line:
 * the peer is broken or captured. Owned by child.c and the parent; freed by edge_close or after closed().
 */
#include <sys/socket.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "proc/ev.h"
#include "base/log.h"
#include "proc/msg.h"
#include "base/xmalloc.h"

#define HEADER		12
#define FLAG_FD		1
#define RECV_SIZE	(256 * 1024)
#define FDS_MAX		64		/* received and not yet claimed by a frame */
#define CMSG_FDS	8
#define KEEP		(1024 * 1024)	/* buffers of up to this size are used again */
#define UNREAD_MAX	((size_t)512 * 1024 * 1024)	/* a peer that lets more than this wait does not read at all */

struct fd_at {
	size_t	at;			/* offset in out where its frame begins */
	int	fd;
};

struct edge {
	struct ev_fd		 ev;
	struct ev_defer		 flush, cut;
	enum prog		 peer;
	unsigned		 instance;
	const struct msg_row	*row[MSG__MAX];
	const struct edge_ops	*ops;
	void			*arg;
	struct buf		 in, out;
	size_t			 begun;		/* offset of the frame that is being written */
	struct fd_at		*outfd;		/* in order of at */
	size_t			 outfd_n, outfd_cap;
	int			 infd[FDS_MAX];
	size_t			 infd_n;
	bool			 high, blocked, dead, broken;
	int			 busy;
};

/* ---- life ---- */

static void
release(struct edge *e)
{
	size_t i;

	ev_fd_clear(&e->ev);
	ev_defer_clear(&e->flush);
	ev_defer_clear(&e->cut);
	close(e->ev.fd);
	for (i = 0; i < e->outfd_n; i++)
		close(e->outfd[i].fd);
	for (i = 0; i < e->infd_n; i++)
		close(e->infd[i]);
	free(e->outfd);
	buf_free(&e->in);
	buf_free(&e->out);
	free(e);
}

static bool
leave(struct edge *e)
{
	if (--e->busy == 0 && e->dead) {
		release(e);
		return false;
	}
	return !e->dead;
}

void
edge_close(struct edge *e)
{
	e->dead = true;
	if (e->busy == 0)
		release(e);
}

/* The owner is told from the loop, never from inside a send. */
static void
cut_cb(void *arg)
{
	struct edge *e = arg;

	if (e->dead)
		return;
	e->busy++;
	e->ops->closed(e, e->arg);
	e->dead = true;
	leave(e);
}

static void
cut(struct edge *e)
{
	if (e->broken)
		return;
	e->broken = true;
	ev_fd_want(&e->ev, 0);
	buf_reset(&e->out, 0);
	ev_defer(&e->cut);
	ev_wake();
}

void
edge_cut(struct edge *e)
{
	cut(e);
}

static void
offence(struct edge *e, const char *what, unsigned type)
{
	log_error("%s %u sent %s (%s): connection to it ends", prog_name(e->peer), e->instance, what, msg_name(type));
	cut(e);
}

/* ---- sending ---- */

static void
want(struct edge *e)
{
	if (!e->broken)
		ev_fd_want(&e->ev, EV_R | (e->blocked ? EV_W : 0));
}

/* How many bytes may leave in the next send, and the descriptor that goes in front of them. */
static size_t
next_piece(const struct edge *e, int *fd)
{
	size_t i = 0;

	*fd = -1;
	if (e->outfd_n > 0 && e->outfd[0].at == 0) {
		*fd = e->outfd[0].fd;
		i = 1;
	}
	return i < e->outfd_n ? e->outfd[i].at : e->out.len;
}

static ssize_t
send_piece(struct edge *e, size_t n, int fd)
{
	struct iovec iov = { buf_data(&e->out), n };
	union { struct cmsghdr h; char space[CMSG_SPACE(sizeof(int))]; } c;
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd != -1) {
		memset(&c, 0, sizeof c);
		m.msg_control = &c;
		m.msg_controllen = sizeof c;
		c.h.cmsg_level = SOL_SOCKET;
		c.h.cmsg_type = SCM_RIGHTS;
		c.h.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&c.h), &fd, sizeof fd);
	}
	return sendmsg(e->ev.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
sent(struct edge *e, size_t n, bool with_fd)
{
	size_t i;

	if (with_fd) {
		close(e->outfd[0].fd);
		memmove(e->outfd, e->outfd + 1, --e->outfd_n * sizeof *e->outfd);
	}
	for (i = 0; i < e->outfd_n; i++)
		e->outfd[i].at -= n;
	buf_drain(&e->out, n);
}

static void
send_out(struct edge *e)
{
	ssize_t n;
	size_t piece;
	int fd;

	e->blocked = false;
	while (e->out.len > 0 && !e->blocked) {
		piece = next_piece(e, &fd);
		n = send_piece(e, piece, fd);
		if (n == -1 && errno == EINTR)
			continue;
		/* ETOOMANYREFS: too many descriptors in flight; they drain. */
		if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ETOOMANYREFS || errno == ENOBUFS))
			e->blocked = true;
		else if (n == -1) {
			cut(e);
			return;
		} else {
			sent(e, (size_t)n, fd != -1);
			e->blocked = (size_t)n < piece;
		}
	}
	if (e->out.len == 0)
		buf_reset(&e->out, KEEP);
	want(e);
	if (e->high && e->out.len <= EDGE_LOW) {
		e->high = false;
		if (e->ops->drained != NULL)
			e->ops->drained(e, e->arg);
	}
}

static void
flush_cb(void *arg)
{
	struct edge *e = arg;

	e->busy++;
	if (!e->broken && !e->blocked)
		send_out(e);
	leave(e);
}

void
edge_flush(struct edge *e)
{
	ev_defer_clear(&e->flush);
	flush_cb(e);
}

struct buf *
edge_begin(struct edge *e, unsigned type, uint32_t id)
{
	e->begun = e->out.len;
	put_u16(&e->out, (uint16_t)type);
	put_u16(&e->out, 0);
	put_u32(&e->out, 0);
	put_u32(&e->out, id);
	return &e->out;
}

static void
note_fd(struct edge *e, int fd)
{
	if (e->outfd_n == e->outfd_cap) {
		e->outfd_cap = e->outfd_cap * 2 + 4;
		e->outfd = xreallocarray(e->outfd, e->outfd_cap, sizeof *e->outfd);
	}
	e->outfd[e->outfd_n++] = (struct fd_at){ e->begun, fd };
}

void
edge_end(struct edge *e, int fd)
{
	size_t len = e->out.len - e->begun - HEADER;
	uint8_t *h = buf_data(&e->out) + e->begun;

	if (len > MSG_MAX)
		fatalx("frame %s of %zu bytes", msg_name(h[0] | (unsigned)h[1] << 8), len);
	h[2] = fd == -1 ? 0 : FLAG_FD;
	h[4] = len & 0xff;
	h[5] = len >> 8 & 0xff;
	h[6] = len >> 16 & 0xff;
	h[7] = len >> 24 & 0xff;
	if (e->broken) {		/* nobody is there: closed() is on its way */
		buf_reset(&e->out, 0);
		if (fd != -1)
			close(fd);
		return;
	}
	if (fd != -1)
		note_fd(e, fd);
	if (e->out.len > EDGE_HIGH)
		e->high = true;
	if (!e->blocked)
		ev_defer(&e->flush);
	else if (e->out.len > UNREAD_MAX) {
		log_error("%s %u does not read what it is sent: connection to it ends", prog_name(e->peer), e->instance);
		cut(e);
	}
}

/* ---- receiving ---- */

static bool
keep_fds(struct edge *e, struct msghdr *m)
{
	struct cmsghdr *c;
	size_t n, i;
	int fd;

	for (c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof fd;
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (e->infd_n < FDS_MAX)
				e->infd[e->infd_n++] = fd;
			else {
				close(fd);
				e->broken = true;
			}
		}
	}
	if (m->msg_flags & MSG_CTRUNC || e->broken) {
		e->broken = false;
		offence(e, "more descriptors than can be", MSG__MAX);
		return false;
	}
	return true;
}

static int
claim_fd(struct edge *e)
{
	int fd = e->infd[0];

	memmove(e->infd, e->infd + 1, --e->infd_n * sizeof *e->infd);
	return fd;
}

/* One whole frame at p. False: the edge is cut. */
static bool
frame(struct edge *e, const uint8_t *p, size_t len)
{
	struct rd rd = { p, HEADER, false };
	unsigned type = get_u16(&rd), flags = get_u16(&rd);
	uint32_t id;
	const struct msg_row *row = type < MSG__MAX ? e->row[type] : NULL;
	int fd = -1;

	get_u32(&rd);
	id = get_u32(&rd);
	if (row == NULL) {
		offence(e, "a message it may not send", type);
		return false;
	}
	if (flags != (row->has_fd ? FLAG_FD : 0) || (row->has_fd && e->infd_n == 0)) {
		offence(e, row->has_fd ? "a message without its descriptor" : "an unexpected descriptor", type);
		return false;
	}
	if (row->has_fd)
		fd = claim_fd(e);
	rd = (struct rd){ p + HEADER, len, false };
	if (!row->dispatch(e, id, &rd, fd)) {
		if (fd != -1)
			close(fd);
		offence(e, "a malformed message", type);
		return false;
	}
	return !e->dead && !e->broken;
}

static void
frames(struct edge *e)
{
	struct rd rd;
	uint32_t len;

	while (e->in.len >= HEADER) {
		rd = (struct rd){ buf_data(&e->in) + 4, 4, false };
		len = get_u32(&rd);
		if (len > MSG_MAX) {
			offence(e, "an oversized frame", MSG__MAX);
			return;
		}
		if (e->in.len < HEADER + (size_t)len)
			break;
		if (!frame(e, buf_data(&e->in), len))
			return;
		buf_drain(&e->in, HEADER + (size_t)len);
	}
	/* The head of its frame may be here already, cut where our buffer ended. */
	if (e->in.len == 0 && e->infd_n > 0)
		offence(e, "a descriptor without a message", MSG__MAX);
}

static void
receive(struct edge *e)
{
	union { struct cmsghdr h; char space[CMSG_SPACE(sizeof(int) * CMSG_FDS)]; } c;
	struct iovec iov = { buf_reserve(&e->in, RECV_SIZE), RECV_SIZE };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c };
	ssize_t n = recvmsg(e->ev.fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (n <= 0) {
		cut(e);
		return;
	}
	buf_grow(&e->in, (size_t)n);
	if (keep_fds(e, &m))
		frames(e);
}

static void
ready(void *arg, int what)
{
	struct edge *e = arg;

	e->busy++;
	if (what & EV_W)
		send_out(e);
	if ((what & EV_R) && !e->dead && !e->broken)
		receive(e);
	leave(e);
}

/* ---- making and asking ---- */

struct edge *
edge_new(int fd, enum prog peer, unsigned instance, const struct msg_row *rows, size_t n, const struct edge_ops *ops, void *arg)
{
	struct edge *e = xcalloc(1, sizeof *e);
	size_t i;

	ev_fd_init(&e->ev, fd, ready, e);
	ev_defer_init(&e->flush, flush_cb, e);
	ev_defer_init(&e->cut, cut_cb, e);
	e->peer = peer;
	e->instance = instance;
	e->ops = ops;
	e->arg = arg;
	for (i = 0; i < n; i++)
		e->row[rows[i].type] = &rows[i];
	want(e);
	return e;
}

enum prog
edge_peer(const struct edge *e)
{
	return e->peer;
}

unsigned
edge_instance(const struct edge *e)
{
	return e->instance;
}

void *
edge_arg(const struct edge *e)
{
	return e->arg;
}

size_t
edge_pending(const struct edge *e)
{
	return e->out.len;
}
