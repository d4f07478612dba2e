/*
 * io: see io.h.
 *
 * All input of a process is received into one scratch area and appended to the io's own buffer, which is given back when
 * it is empty: an idle connection costs its struct. Output waits for the end of the turn (ev_defer); writability is asked for
 * only after a send came up short. Deadlines re-arm their timer lazily: moving one forward costs no timer operation.
 */
#include <sys/socket.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "proc/ev.h"
#include "proc/io.h"
#include "base/log.h"
#include "base/xmalloc.h"

#define SCRATCH		(64 * 1024)
#define KEEP		4096		/* an input buffer of up to this size is kept */
#define LINGER_MS	30000

struct io {
	struct ev_fd		 ev;
	struct ev_timer		 timer;
	struct ev_defer		 flush, again;
	const struct io_ops	*ops;
	void			*arg;
	const struct io_layer	*layer;
	void			*state;
	struct buf		 in, out;
	size_t			 lowat;
	uint64_t		 deadline;	/* ev_now_ms() time, 0: none */
	int			 err;		/* of a connect that failed at once */
	bool			 connecting, paused, blocked, above, closing, dead;
	bool			 eof, broken;	/* no more input; nothing goes either way */
	int			 busy;		/* inside callbacks */
};

static uint8_t scratch[SCRATCH];

static ssize_t
plain_recv(void *state, int fd, void *p, size_t n)
{
	(void)state;
	return recv(fd, p, n, 0);
}

static ssize_t
plain_send(void *state, int fd, const void *p, size_t n)
{
	(void)state;
	return send(fd, p, n, MSG_NOSIGNAL);
}

static const struct io_layer plain = { plain_recv, plain_send, NULL };

/* ---- life ---- */

static void
release(struct io *io)
{
	ev_fd_clear(&io->ev);
	ev_timer_clear(&io->timer);
	ev_defer_clear(&io->flush);
	ev_defer_clear(&io->again);
	if (io->layer->free != NULL)
		io->layer->free(io->state);
	close(io->ev.fd);
	buf_free(&io->in);
	buf_free(&io->out);
	free(io);
}

static void
enter(struct io *io)
{
	io->busy++;
}

/* False: the io is gone. */
static bool
leave(struct io *io)
{
	if (--io->busy == 0 && io->dead) {
		release(io);
		return false;
	}
	return !io->dead;
}

void
io_close(struct io *io)
{
	io->dead = true;
	if (io->busy == 0)
		release(io);
}

static void
want(struct io *io)
{
	int what = 0;

	if (io->connecting || io->blocked)
		what |= EV_W;
	if (!io->connecting && !io->paused && !io->closing && !io->eof)
		what |= EV_R;
	ev_fd_want(&io->ev, io->broken ? 0 : what);
}

/* Once per io. After an end of file (0) the owner may still write; after an error nothing moves any more. */
static void
end(struct io *io, int err)
{
	io->eof = true;
	io->broken = err != 0;
	if (io->broken)
		buf_reset(&io->out, 0);
	want(io);
	if (io->closing) {
		io_close(io);
		return;
	}
	ev_timer_clear(&io->timer);
	io->deadline = 0;
	io->ops->end(io->arg, err);
}

/* ---- output ---- */

static void
send_out(struct io *io)
{
	ssize_t n;

	while (io->out.len > 0) {
		n = io->layer->send(io->state, io->ev.fd, buf_data(&io->out), io->out.len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			io->blocked = true;
			break;
		}
		if (n == -1) {
			io->blocked = false;
			if (io->eof) {		/* the owner knows already that this peer is gone */
				io->broken = true;
				buf_reset(&io->out, 0);
				break;
			}
			end(io, errno);
			return;
		}
		io->blocked = (size_t)n < io->out.len;
		buf_drain(&io->out, (size_t)n);
		if (io->blocked)
			break;
	}
	if (io->out.len == 0) {
		io->blocked = false;
		buf_reset(&io->out, KEEP);
	}
	want(io);
	if (io->closing && io->out.len == 0) {
		io_close(io);
		return;
	}
	if (io->above && io->out.len <= io->lowat) {
		io->above = false;
		if (io->ops->out != NULL)
			io->ops->out(io->arg);
	}
}

static void
flush_cb(void *arg)
{
	struct io *io = arg;

	enter(io);
	if (!io->connecting && !io->blocked && !io->broken)
		send_out(io);
	leave(io);
}

void
io_flush(struct io *io)
{
	ev_defer_clear(&io->flush);
	flush_cb(io);
}

static void
written(struct io *io)
{
	if (io->out.len > io->lowat)
		io->above = true;
	if (!io->blocked && !io->connecting)
		ev_defer(&io->flush);
}

void
io_write(struct io *io, const void *p, size_t n)
{
	if (io->broken)
		return;
	buf_add(&io->out, p, n);
	written(io);
}

void
io_printf(struct io *io, const char *fmt, ...)
{
	char line[4096];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof line)
		fatalx("io_printf: line too long");
	io_write(io, line, (size_t)n);
}

/* ---- input ---- */

static void
receive(struct io *io)
{
	ssize_t n = io->layer->recv(io->state, io->ev.fd, scratch, sizeof scratch);

	if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (n <= 0) {
		end(io, n == 0 ? 0 : errno);
		return;
	}
	buf_add(&io->in, scratch, (size_t)n);
	io->ops->in(io->arg);
}

static void
connect_done(struct io *io)
{
	int err = 0;
	socklen_t len = sizeof err;

	io->connecting = false;
	if (getsockopt(io->ev.fd, SOL_SOCKET, SO_ERROR, &err, &len) == -1)
		err = errno;
	if (err != 0) {
		end(io, err);
		return;
	}
	want(io);
	if (io->ops->connected != NULL)
		io->ops->connected(io->arg);
	if (!io->dead && io->out.len > 0)
		ev_defer(&io->flush);
}

static void
ready(void *arg, int what)
{
	struct io *io = arg;

	enter(io);
	if (io->connecting)
		connect_done(io);
	else {
		if (what & EV_W) {
			io->blocked = false;
			send_out(io);
		}
		if ((what & EV_R) && !io->dead && !io->paused && !io->closing)
			receive(io);
	}
	if (leave(io) && io->in.len == 0)
		buf_reset(&io->in, KEEP);
}

static void
again_cb(void *arg)
{
	struct io *io = arg;

	enter(io);
	if (!io->paused && !io->closing && io->in.len > 0)
		io->ops->in(io->arg);
	leave(io);
}

void
io_pause(struct io *io)
{
	io->paused = true;
	want(io);
}

void
io_resume(struct io *io)
{
	io->paused = false;
	want(io);
	if (io->in.len > 0) {
		ev_defer(&io->again);
		ev_wake();
	}
}

/* ---- deadlines ---- */

static void
timer_cb(void *arg)
{
	struct io *io = arg;

	if (io->deadline == 0)
		return;
	if (io->deadline > ev_now_ms()) {
		ev_timer_set(&io->timer, io->deadline - ev_now_ms());
		return;
	}
	io->deadline = 0;
	enter(io);
	if (io->closing)
		io_close(io);
	else
		io->ops->timeout(io->arg);
	leave(io);
}

void
io_deadline(struct io *io, uint64_t ms)
{
	io->deadline = ms == 0 ? 0 : ev_now_ms() + ms;
	if (ms != 0 && (io->timer.due == 0 || io->timer.due > io->deadline))
		ev_timer_set(&io->timer, ms);
}

/* ---- making ---- */

static struct io *
make(int fd, const struct io_ops *ops, void *arg, bool connecting)
{
	struct io *io = xcalloc(1, sizeof *io);

	ev_fd_init(&io->ev, fd, ready, io);
	ev_timer_init(&io->timer, timer_cb, io);
	ev_defer_init(&io->flush, flush_cb, io);
	ev_defer_init(&io->again, again_cb, io);
	io->ops = ops;
	io->arg = arg;
	io->layer = &plain;
	io->lowat = 32 * 1024;
	io->connecting = connecting;
	want(io);
	return io;
}

struct io *
io_new(int fd, const struct io_ops *ops, void *arg)
{
	return make(fd, ops, arg, false);
}

static void
connect_failed(void *arg)
{
	struct io *io = arg;

	enter(io);
	end(io, io->err);
	leave(io);
}

struct io *
io_connect(int fd, const struct sockaddr *sa, unsigned salen, const struct io_ops *ops, void *arg)
{
	int r = connect(fd, sa, salen), err = errno;
	struct io *io = make(fd, ops, arg, true);

	if (r == -1 && err != EINPROGRESS) {
		/* The owner must not be called from inside: the failure comes as the next turn's event. */
		ev_fd_want(&io->ev, 0);
		io->err = err;
		ev_defer_init(&io->again, connect_failed, io);
		ev_defer(&io->again);
		ev_wake();
	}
	return io;
}

void
io_layer(struct io *io, const struct io_layer *layer, void *state)
{
	if (io->in.len > 0 || io->out.len > 0)
		fatalx("io_layer with bytes in a buffer");
	io->layer = layer;
	io->state = state;
}

void
io_close_flushed(struct io *io)
{
	if (io->out.len == 0) {
		io_close(io);
		return;
	}
	io->closing = true;
	io_deadline(io, LINGER_MS);
	want(io);
	if (!io->blocked)
		ev_defer(&io->flush);
}

int
io_fd(const struct io *io)
{
	return io->ev.fd;
}

struct buf *
io_in(struct io *io)
{
	return &io->in;
}

size_t
io_pending(const struct io *io)
{
	return io->out.len;
}

void
io_lowat(struct io *io, size_t n)
{
	io->lowat = n;
}
