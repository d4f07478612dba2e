/*
 * batch: see batch.h. A copy of a short piece costs less than its place in the list that the kernel walks.
 *
 * Owns the copied bytes; nothing of what it borrows.
 */
#include <sys/uio.h>
#include <errno.h>
#include "spool/batch.h"

#define LONG		(16 * 1024)	/* a piece of that length is borrowed */
#define KEEP		(4 * 1024 * 1024)

void
batch_reset(struct batch *b)
{
	buf_reset(&b->bytes, KEEP);
	b->borrowed = b->n = 0;
}

void
batch_add(struct batch *b, const void *p, size_t n)
{
	if (n < LONG || b->n == BATCH_PIECES) {
		buf_add(&b->bytes, p, n);
		return;
	}
	b->piece[b->n++] = (struct batch_piece){ p, n, b->bytes.len };
	b->borrowed += n;
}

/* -> how many there are */
static int
list(const struct batch *b, struct iovec iov[2 * BATCH_PIECES + 1])
{
	const struct batch_piece *p;
	size_t at = 0;
	int n = 0;

	for (p = b->piece; p < b->piece + b->n; p++) {
		if (p->at > at)
			iov[n++] = (struct iovec){ buf_data(&b->bytes) + at, p->at - at };
		iov[n++] = (struct iovec){ (void *)(uintptr_t)p->p, p->len };
		at = p->at;
	}
	if (b->bytes.len > at)
		iov[n++] = (struct iovec){ buf_data(&b->bytes) + at, b->bytes.len - at };
	return n;
}

int
batch_write(const struct batch *b, int fd, uint64_t off)
{
	struct iovec iov[2 * BATCH_PIECES + 1], *at = iov;
	int n = list(b, iov);
	ssize_t k;

	while (n > 0) {
		if ((k = pwritev(fd, at, n, (off_t)off)) == -1 && errno == EINTR)
			continue;
		if (k <= 0) {
			errno = k == 0 ? ENOSPC : errno;
			return -1;
		}
		off += (uint64_t)k;
		for (; n > 0 && (size_t)k >= at->iov_len; at++, n--)
			k -= (ssize_t)at->iov_len;
		if (n > 0)
			*at = (struct iovec){ (char *)at->iov_base + k, at->iov_len - (size_t)k };
	}
	return 0;
}

void
batch_free(struct batch *b)
{
	buf_free(&b->bytes);
}
