/*
 * dsn: writes a delivery status notification (RFC 3461, 3464, 6522, 6533). Pure code: facts in, a message with CRLF out.
 *
 * Used by bounce.
 */
#ifndef DSN_H
#define DSN_H

#include <stdbool.h>
#include <stdint.h>
#include "buf.h"

enum dsn_action { DSN_FAILED, DSN_DELIVERED, DSN_RELAYED };

struct dsn_rcpt {
	const char	*addr, *orig, *orcpt;	/* final, as given at RCPT (or ""), ORCPT (or "") */
	enum dsn_action	 action;
	bool		 expired;
	const char	*status;		/* "5.1.1" */
	unsigned	 code;			/* of the reply; 0: no reply */
	const char	*text, *relay;		/* the reply; "host[address]:port", a mailbox, or "" */
	int64_t		 when;			/* ms */
};

struct dsn {
	const char	*hostname, *to, *id, *parent, *boundary;	/* ids as text */
	bool		 postmaster;		/* about a message without a sender */
	int64_t		 now, arrival;		/* ms */
	const char	*sender, *envid, *message_id;
	uint64_t	 size;			/* of the message */
	struct blob	 returned;		/* its beginning, or all of it */
	bool		 headers_only;		/* returned is to be cut at the end of the header */
	bool		 eightbit, utf8;	/* returned has 8-bit bytes; the DSN is one of RFC 6533 */
	const struct dsn_rcpt *rcpts;
	uint32_t	 nrcpt;
};

void	dsn_write(struct buf *, const struct dsn *);
/* "Sat, 21 Nov 2026 22:36:50 +0000" */
void	dsn_date(char *, size_t, int64_t ms);
/* Bytes up to and with the empty line (or all), whole lines. */
size_t	dsn_header_len(struct blob);
bool	dsn_is_ascii(const char *);

#endif
