/*
 * dsn: writes a delivery status notification (RFC 3461, 3464, 6522, 6533). Pure code: facts in, a message with CRLF out.
 *
 * Used by bounce.
 */
#ifndef DSN_H
#define DSN_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"

enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED, DSN_RELAYED, DSN_EXPANDED };

struct dsn_rcpt {
	const char	*addr, *orig, *orcpt;	/* final, as given at RCPT (or ""), ORCPT without xtext (or "") */
	enum dsn_action	 action;
	bool		 expired, tried;	/* given up for its age; there was an attempt */
	bool		 discarded;		/* DSN_DELIVERED: to nowhere */
	bool		 told;			/* DSN_DELAYED: its sender hears of a failure too */
	const char	*status;		/* "5.1.1" */
	unsigned	 code;			/* of the reply; 0: no reply */
	const char	*text, *relay;		/* the reply; "host[address]:port", a mailbox, or "" */
	int64_t		 when;			/* ms; 0: not known */
	int64_t		 until;			/* DSN_DELAYED: it is given up then; 0: not known */
};

struct dsn {
	const char	*hostname, *to, *id, *parent, *boundary;	/* ids as text */
	bool		 postmaster;		/* about a message without a sender */
	bool		 archive;		/* ... which was a copy for the archive */
	bool		 damaged;		/* to the postmaster: its bytes on the disk are wrong, it is held */
	int64_t		 now, arrival;		/* ms */
	const char	*envid, *message_id;	/* ENVID without xtext (or "") */
	uint64_t	 size;			/* of the message */
	struct blob	 returned;		/* its beginning, or all of it */
	bool		 headers_only;		/* returned is to be cut at the end of the header */
	bool		 eightbit, utf8;	/* returned has 8-bit bytes; the DSN is one of RFC 6533 */
	const struct dsn_rcpt *rcpts;
	uint32_t	 nrcpt;
	uint32_t	 more;			/* recipients of whom the same is to be told, and who are not listed */
};

void	dsn_write(struct buf *, const struct dsn *);
/* "Sat, 21 Nov 2026 22:36:50 +0000" */
void	dsn_date(char *, size_t, int64_t ms);
/* Bytes up to and with the empty line (or all), whole lines. */
size_t	dsn_header_len(struct blob);
bool	dsn_is_ascii(const char *);
/* dsn_words.c: the part for people. */
void	dsn_words(struct buf *, const struct dsn *);
const char *dsn_subject(const struct dsn *);

#endif
