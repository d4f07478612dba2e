/*
 * line: what a client sends, as lines and as message data. Pure code, fed in pieces of any size.
 *
 * Used by the listener for commands and for DATA/BDAT, by the submission side of sendmail for its input, and by the queue
 * (bodyscan) for the facts it must learn itself. Only CRLF ends a line, only CRLF.CRLF ends DATA (RFC 5321 2.3.8, 4.1.1.4).
 */
#ifndef LINE_H
#define LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

/*
 * A command line in buf, ended by CRLF: its length without CRLF and *next = bytes to drain; -1: not complete yet.
 * A line ended by a bare LF counts as a line with *bare set.
 */
long	line_command(const struct buf *, size_t *next, bool *bare);

#define DATA_BARE_CR	1
#define DATA_BARE_LF	2
#define DATA_NUL	4
#define DATA_LONG	8	/* a line over the limit */
#define DATA_LONE_DOT	32	/* a dot alone on a line that a bare LF bounds: no text has that by mistake */
#define DATA_BIG	16	/* over max bytes: the rest is read and dropped */

struct datard {
	uint64_t	 max;		/* most bytes of message */
	size_t		 line_max;	/* longest line without CRLF */
	unsigned	 mend;		/* DATA_* that are no error: a bare CR or LF becomes CRLF (DATA_LONE_DOT never ends DATA), the rest stays */
	bool		 bdat;		/* no dot: bytes are counted by the caller */
	/* state */
	uint64_t	 total;		/* bytes of message so far (after un-stuffing) */
	size_t		 line_len;
	unsigned	 bad, mended;	/* DATA_* seen */
	int		 state;
};

void	datard_init(struct datard *, uint64_t max, size_t line_max, unsigned mend, bool bdat);
/*
 * Takes from in, adds message bytes (dot-unstuffed, CRLF line ends) to out; returns bytes consumed. *end is set when the
 * final CRLF.CRLF was consumed; what follows belongs to the next command. Once bad is set nothing more is added.
 * The CRLF in front of the final dot belongs to the message.
 */
size_t	datard_feed(struct datard *, const uint8_t *in, size_t n, struct buf *out, bool *end);
/* BDAT: the message is complete. A pending CR becomes DATA_BARE_CR (or CRLF when normalising). */
void	datard_finish(struct datard *, struct buf *out);

#endif
