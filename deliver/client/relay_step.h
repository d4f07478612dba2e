/*
 * relay_step: an SMTP transaction from the client's side, as a table of steps with two cursors: sent and answered. Pure code.
 *
 * The driver (relay.c) asks tx_next what may be sent now, lets tx_put write it, and gives each reply to tx_reply. Pipelining falls
 * out of the cursors: towards a server that offers it, sent runs ahead of answered. Recipients are settled as their
 * fate is known; a transaction borrows its job, and what is open in it at the end is for the driver to carry on.
 */
#ifndef RELAY_STEP_H
#define RELAY_STEP_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "conf/conf.h"
#include "client/job.h"
#include "mail/reply.h"

#define EXT_PIPELINING	1
#define EXT_8BITMIME	2
#define EXT_SIZE	4
#define EXT_DSN		8
#define EXT_CHUNKING	16
#define EXT_SMTPUTF8	32

struct peer {			/* what the server offers */
	unsigned	 ext;
	uint64_t	 size_max;	/* 0: it did not say */
	unsigned	 rcpts;		/* in one transaction, by our policy; 0: TX_RCPTS */
	bool		 smarthost;
	enum eightbit	 eightbit;	/* our policy where it does not offer 8BITMIME */
};
/* A line of its EHLO reply (not the first). */
void	 peer_extension(struct peer *, const char *line);

#define TX_RCPTS	100		/* in one transaction: every server takes so many (RFC 5321 4.5.3.1.8) */
#define TX_SMALL	(64 * 1024)	/* a message that goes with BDAT before its recipients were accepted */

enum step { STEP_RSET, STEP_MAIL, STEP_RCPT, STEP_DATA, STEP_BODY, STEP_BDAT, STEP_WAIT /* for an answer */, STEP_OVER };

struct tx {
	struct job	*job;			/* NULL: not in use */
	uint32_t	 rcpt[TX_RCPTS];	/* of job->rcpts */
	bool		 mine[TX_RCPTS];	/* not settled, and not left to another transaction */
	bool		 accepted[TX_RCPTS];
	bool		 leaves[TX_RCPTS];	/* noted: another host may still take it */
	unsigned	 n, naccepted;
	unsigned	 sent, answered;	/* the two cursors */
	bool		 rset;			/* begins with RSET */
	bool		 bdat, early;		/* BDAT instead of DATA; before the recipients' answers */
	bool		 utf8;
	struct convert_plan *plan;		/* the message is converted so; NULL: it goes as it is */
	bool		 mail_failed;
	bool		 postponed;		/* 452 4.5.3: some go in a transaction of their own */
	bool		 next_host;		/* some leave */
	bool		 lone_dot;		/* DATA was accepted with no recipient */
	bool		 body_done;		/* the end of data is on its way */
	bool		 dirty;			/* the server needs RSET before the next MAIL */
};

/*
 * Takes up to peer's rcpts of the open recipients of the job; those this server cannot serve are settled. False: none is left. eager: the server just answered the last message, so that BDAT may go early.
 */
bool	 tx_begin(struct tx *, const struct peer *, struct job *, bool rset, bool eager);
enum step tx_next(const struct tx *, const struct peer *);
/* Writes the command (nothing for STEP_BODY) and moves the cursor. */
void	 tx_put(struct tx *, const struct peer *, enum step, struct buf *);

enum tx_state {
	TX_GO,			/* more to send, or to be answered */
	TX_DONE,		/* over; recipients that are still open are not busy any more */
	TX_CLOSING,		/* 421: what is open has its note; the connection ends */
	TX_BAD			/* not a reply that can stand here */
};
enum tx_state tx_reply(struct tx *, const struct peer *, const struct reply *);
/* The connection ended: those whose message may have arrived are deferred, the rest gets the note and is not busy any more. */
void	 tx_lost(struct tx *, const struct verdict *);
/* Nothing of it was tried: recipients are as before. */
void	 tx_undo(struct tx *);

/* What the answer that is awaited now belongs to, for logs ("RCPT TO"), and how long it may take. */
const char *tx_step_name(const struct tx *);
uint64_t tx_wait_ms(const struct tx *);

#endif
