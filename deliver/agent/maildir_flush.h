/*
 * maildir_flush: files or directories of a batch to stable storage, together.
 *
 * Used by maildir before it moves a batch into place, and behind that. Owns nothing.
 */
#ifndef MAILDIR_FLUSH_H
#define MAILDIR_FLUSH_H

#include <stddef.h>

struct flush {
	int	 fd;
	int	 error;		/* after it: its errno, 0: it is on stable storage */
};

/* Each returns when all are durable or have their error. */
void	 maildir_flush_files(struct flush *, size_t n);
void	 maildir_flush_dirs(struct flush *, size_t n);

#endif
