/*
 * buf: a growable byte buffer that is filled at its end and drained at its front; rd: a bounded reader.
 *
 * Used by io, imsg, the payload codec and the spool. A buf owns its storage; a rd borrows.
 * The encoding of integers is little-endian; a str is u32 length, bytes, one NUL (so that a reader may use it in
 * place); a blob is u32 length and bytes. A rd that runs out, or meets a str with a NUL inside, sets bad and
 * returns zero / "" from then on: check bad once at the end.
 */
#ifndef BUF_H
#define BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t	*base;		/* storage, or NULL */
	size_t	 off;		/* first byte in use */
	size_t	 len;		/* bytes in use */
	size_t	 cap;		/* storage size */
};

struct blob {
	const uint8_t	*p;
	size_t		 len;
};

#define BUF_INIT { NULL, 0, 0, 0 }

static inline uint8_t *
buf_data(const struct buf *b)
{
	return b->base == NULL ? NULL : b->base + b->off;
}

void	 buf_add(struct buf *, const void *, size_t);
void	 buf_adds(struct buf *, const char *);
void	 buf_addf(struct buf *, const char *, ...) __attribute__((format(printf, 2, 3)));
/* Room for n more bytes at the end; the caller writes there and then calls buf_grow(n). */
uint8_t	*buf_reserve(struct buf *, size_t n);
void	 buf_grow(struct buf *, size_t n);
void	 buf_drain(struct buf *, size_t n);
/* Empty; storage is kept if it is at most keep bytes. */
void	 buf_reset(struct buf *, size_t keep);
void	 buf_free(struct buf *);
/* A NUL is put behind the content (not counted) and the content returned. */
const char *buf_str(struct buf *);

void	 put_u8(struct buf *, uint8_t);
void	 put_u16(struct buf *, uint16_t);
void	 put_u32(struct buf *, uint32_t);
void	 put_u64(struct buf *, uint64_t);
void	 put_i64(struct buf *, int64_t);
void	 put_str(struct buf *, const char *);		/* NULL is written as "" */
void	 put_blob(struct buf *, struct blob);

struct rd {
	const uint8_t	*p;
	size_t		 left;
	bool		 bad;
};

uint8_t	 get_u8(struct rd *);
uint16_t get_u16(struct rd *);
uint32_t get_u32(struct rd *);
uint64_t get_u64(struct rd *);
int64_t	 get_i64(struct rd *);
const char *get_str(struct rd *);			/* points into the reader's bytes */
struct blob get_blob(struct rd *);			/* likewise */

#endif
