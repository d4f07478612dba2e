/*
 * maildir_flush: files of a batch to stable storage, together.
 *
 * Used by maildir before it moves a batch into place. Owns nothing.
 */
#ifndef MAILDIR_FLUSH_H
#define MAILDIR_FLUSH_H

#include <stddef.h>

struct flush {
	int	 fd;
	int	 error;		/* after it: errno of the file, 0: it is on stable storage */
};

/* Returns when each file is durable or has its error. */
void	 maildir_flush(struct flush *, size_t n);

#endif
