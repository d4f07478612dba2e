/*
 * bodyscan: what the queue must know about a message, learned while its bytes stream by. The other half of line.h.
 *
 * Used by the queue's intake, and by whoever makes a message of our own. Any bytes are survived; owns nothing, cannot fail.
 */
#ifndef BODYSCAN_H
#define BODYSCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Facts the queue learns from the bytes (p_env.flags, p_job.flags). */
#define MAIL_8BIT	1	/* a byte over 0x7f */
#define MAIL_LONG	2	/* a line over 998 octets */
#define MAIL_DOT	4	/* a line begins with a dot */
#define MAIL_UTF8HDR	8	/* a header has bytes over 0x7f */
#define MAIL_NO_EOL	16	/* does not end with CRLF (BDAT) */
#define MAIL_BULK	32	/* its header says that it is one of many: Precedence, List-Id, List-Unsubscribe, Feedback-ID */

/* Facts about a message as it streams by (CRLF line ends expected, whatever comes is survived). */
struct bodyscan {
	unsigned	 flags;		/* MAIL_* */
	bool		 nul;
	bool		 bare;		/* a bare CR or LF */
	unsigned	 hops;		/* Received: lines in the header */
	char		 message_id[256];	/* with its brackets; "" if none */
	size_t		 header_len;	/* bytes up to and with the empty line; 0 until seen */
	/* state */
	uint64_t	 total;
	size_t		 line_len;
	bool		 in_body;
	bool		 garbled;	/* the header has a line that is no field: from there on it may be text */
	int		 last;
	size_t		 head_len;
	char		 head[320];	/* beginning of the current header field, unfolded */
};
void	bodyscan_init(struct bodyscan *);
void	bodyscan_feed(struct bodyscan *, const uint8_t *, size_t);
void	bodyscan_end(struct bodyscan *);

#endif
