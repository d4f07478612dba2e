/*
 * batch: what one write appends to a segment: short pieces copied together, long ones borrowed and gathered by the system call.
 *
 * Used by commit.c. What is borrowed must stay as it is until batch_write has returned. batch_write: -1/errno, and some of the bytes may
 * be there, as with any write.
 */
#ifndef BATCH_H
#define BATCH_H

#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

#define BATCH_PIECES	500

struct batch {
	struct buf	 bytes;		/* what is copied: add to it as you like */
	size_t		 borrowed;	/* bytes that are not in it */
	size_t		 n;
	struct batch_piece {
		const uint8_t	*p;
		size_t		 len, at;	/* at: stands before that one of the copied bytes */
	}		 piece[BATCH_PIECES];
};

void	batch_reset(struct batch *);		/* empty; storage of a usual size is kept */
void	batch_add(struct batch *, const void *, size_t);	/* borrows it if it is long */
int	batch_write(const struct batch *, int fd, uint64_t off);
void	batch_free(struct batch *);

static inline uint64_t
batch_len(const struct batch *b)
{
	return b->bytes.len + b->borrowed;
}

#endif
