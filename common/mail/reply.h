/*
 * reply: what a remote server's reply says, and what it means. Pure code.
 *
 * Used by deliver (parser, dictionary), the queue (what to tell people in bounces) and posternctl. Section 2 of the replies'
 * contract is the table in reply.c.
 */
#ifndef REPLY_H
#define REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include "base/buf.h"

#define REPLY_TEXT_MAX	2048	/* of all lines together; the rest is dropped */
#define REPLY_LINES_MAX	256	/* more lines end the connection */
#define REPLY_LINE_MAX	4096	/* a longer line ends the connection */

struct reply {
	unsigned	 code;
	char		 dsn[12];		/* "5.1.1", or "" if the server gave none that fits the class */
	char		 text[REPLY_TEXT_MAX];	/* without codes, lines joined by one blank; control bytes are '?' */
	unsigned	 lines;
	/* parser state */
	bool		 more;
};

enum reply_status { REPLY_MORE, REPLY_DONE, REPLY_BAD };
void	 reply_init(struct reply *);
/*
 * Takes lines from buf until the reply is complete. REPLY_MORE: no whole line is left in buf. REPLY_BAD: not a reply (no code,
 * codes differ, too long, too many). line_cb: each line's text, for EHLO.
 */
enum reply_status reply_feed(struct reply *, struct buf *, void (*line_cb)(void *, const char *), void *arg);

enum reply_stage { STAGE_CONNECT, STAGE_EHLO, STAGE_MAIL, STAGE_RCPT, STAGE_DATA, STAGE_END, STAGE_OTHER };
enum reply_deed {		/* what Postern does */
	DEED_OK, DEED_RETRY, DEED_NEXT_MX /* then retry */, DEED_REST_HOST /* retry; others of the set */, DEED_NEXT_TX /* 452 4.5.3 at RCPT */,
	DEED_BOUNCE, DEED_NEXT_MX_BOUNCE
};
struct reply_meaning {
	enum reply_deed	 deed;
	const char	*dsn;		/* what to use where the server gave none */
	const char	*what;		/* in plain words */
	const char	*helps;		/* what usually helps */
};
/*
 * "450 4.7.1 slow down": added to b, which is empty. The text of a server is as it said it; code 0: none spoke, and dsn comes before our own
 * words, which may begin with it already.
 */
void	 reply_whole(struct buf *b, unsigned code, const char *dsn, const char *text);
/* The same without the code, if it begins with that one. Points into it. */
const char *reply_behind_code(const char *whole, unsigned code);
/* What a server said, with the codes that it gave. */
void	 reply_said(const struct reply *, char *out, size_t size);

/* Never NULL. */
const struct reply_meaning *reply_meaning(enum reply_stage, unsigned code, const char *dsn);
/* What an enhanced code of ours means, where no server replied; deed and dsn say nothing. Never NULL. */
const struct reply_meaning *reply_own_meaning(const char *dsn);

#endif
