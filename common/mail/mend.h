/*
 * mend: mail of local programs put right as it streams by, where a stranger's would be refused. Pure code.
 *
 * Used by the listener between the reader of message data and the queue. Lines end with CRLF here already. A header field and a line are the
 * most that is kept.
 */
#ifndef MEND_H
#define MEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

#define MEND_NUL	1		/* a NUL is dropped */
#define MEND_LONG	2		/* a line over 998 octets is broken */
#define MEND_FROM	4		/* lines in front that begin with "From " or ">From " are dropped */
#define MEND_DOMAIN	8		/* an address without a domain in From, To, Cc and their kin gets ours */

struct mend {
	unsigned	 what;
	const char	*domain;	/* the caller's */
	unsigned	 done;		/* what there was to mend */
	/* state */
	bool		 in_body, begun;	/* begun: some of the header came */
	bool		 cut, mid;		/* the field is longer than is kept; its line is not at its end */
	struct buf	 line, field;
};

void	 mend_init(struct mend *, unsigned what, const char *domain);
void	 mend_feed(struct mend *, const uint8_t *, size_t, struct buf *out);
void	 mend_end(struct mend *, struct buf *out);
void	 mend_free(struct mend *);		/* at any time, also of zeros */
/* "a NUL dropped, a long line broken": for the log; "" if there was nothing. Until the next call. */
const char *mend_words(unsigned done);

#endif
