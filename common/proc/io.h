/*
 * io: a non-blocking stream with buffers, deadline and a layer for what is on the wire (plain here; TLS is a layer).
 *
 * Used by listener sessions, deliver's connections and the control socket. Output is gathered and sent once at the
 * end of the turn (or by io_flush); input: one receive per readiness event. The owner's callbacks run from the loop,
 * never from inside io_write or io_new. io_close is safe inside any callback of the same io.
 * An io owns its descriptor. Idle ios hold no buffers.
 */
#ifndef IO_H
#define IO_H

#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

struct io;

struct io_ops {
	void	(*connected)(void *arg);	/* io_connect succeeded; may be NULL for accepted sockets */
	void	(*in)(void *arg);		/* new bytes in io_in(); consume with buf_drain */
	void	(*out)(void *arg);		/* pending output fell below the low-water mark; may be NULL */
	void	(*end)(void *arg, int err);	/* peer closed (0) or errno; the owner closes; unread input is still there */
	void	(*timeout)(void *arg);		/* the deadline passed; the owner decides */
};

/* What is on the wire. recv/send as in recv(2): bytes, 0 for EOF, -1 with errno (EAGAIN: later). */
struct io_layer {
	ssize_t	(*recv)(void *state, int fd, void *, size_t);
	ssize_t	(*send)(void *state, int fd, const void *, size_t);
	void	(*free)(void *state);
};

struct io *io_new(int fd, const struct io_ops *, void *arg);
/* Starts connect(2) on a non-blocking socket; completion comes as connected() or end(errno). */
struct sockaddr;
struct io *io_connect(int fd, const struct sockaddr *, unsigned salen, const struct io_ops *, void *arg);
void	 io_layer(struct io *, const struct io_layer *, void *state);	/* buffers must be empty: STARTTLS rule */
void	 io_close(struct io *);				/* discards what is unsent, frees */
void	 io_close_flushed(struct io *);			/* no more callbacks; sends what is there (30 s at most), then closes */
int	 io_fd(const struct io *);

struct buf *io_in(struct io *);
void	 io_write(struct io *, const void *, size_t);
void	 io_printf(struct io *, const char *, ...) __attribute__((format(printf, 2, 3)));
void	 io_flush(struct io *);
size_t	 io_pending(const struct io *);
void	 io_lowat(struct io *, size_t);			/* out() comes when pending falls to this; default 32 KiB */
void	 io_pause(struct io *);				/* no more receives until io_resume */
void	 io_resume(struct io *);			/* in() is called again in the next turn if input is left */
void	 io_deadline(struct io *, uint64_t ms);		/* from now; 0: none */

#endif
