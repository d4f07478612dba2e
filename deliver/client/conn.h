/*
 * conn: one walk through the hosts of a destination with at most one SMTP connection at a time, from connect to the end of EHLO.
 *
 * dest starts it; relay does the transactions once it is ready. A job that failed at one host in a way that another might mend is
 * carried along to the next. When no host is left, what it carries gets the reason; so does what waits for the destination, unless a
 * host answered: then it has its own chance there.
 */
#ifndef CONN_H
#define CONN_H

#include <sys/queue.h>
#include <stdbool.h>
#include <stdint.h>
#include "client/body.h"
#include "client/hostset.h"
#include "proc/io.h"
#include "client/mx.h"
#include "client/relay_step.h"
#include "mail/reply.h"

#define CONN_HOSTS	5		/* tried in one walk */

enum conn_state { CONN_CONNECT, CONN_GREETING, CONN_EHLO, CONN_HELO, CONN_READY };

struct conn {
	TAILQ_ENTRY(conn) idle_entry, all_idle;
	struct dest	*dest;
	struct io	*io;			/* NULL between hosts */
	enum conn_state	 state;
	bool		 idle, was_idle;	/* in the lines of idle ones; it has been since its last message */
	bool		 pass;			/* its next message may begin: the rate counts it already */
	/* the walk */
	uint16_t	 order[MX_MAX];
	size_t		 norder, at;
	unsigned	 tries;
	uint64_t	 begun;			/* ev_now_ms() */
	struct host	*host;			/* the current one */
	char		 relay[384];		/* "name[address]:port" of it */
	struct job	*carried;
	struct verdict	 failure;		/* what went wrong, for those who have no note of their own */
	bool		 unasked;		/* a host could not be asked: it might have taken what others refused */
	bool		 worked;		/* a host answered: its end is none of the destination */
	char		*failure_text;
	char		*failure_relay;
	/* the connection */
	uint64_t	 opened;		/* ev_now_ms() */
	int64_t		 setup;			/* ms from connect to ready */
	unsigned	 messages;		/* whose end of data was answered */
	struct peer	 peer;
	bool		 past_greeting_line;
	struct reply	 reply;
	/* transactions: the one that is being answered, and the one behind it */
	struct tx	 tx[2];
	unsigned	 head;
	bool		 dirty;			/* RSET comes before the next MAIL */
	struct body	 body;
	bool		 streaming;		/* body is that of tx[head] */
};

/* EHLO name and our bounds come from the configuration. */
bool	 conn_room(void);
/* With a pass. False: no host could be tried at all (the jobs got the reason). */
bool	 conn_start(struct dest *);
void	 conn_wake(struct conn *);		/* it is idle, a job waits, and there is a pass for it */
bool	 conn_use_pass(struct conn *);		/* false: it has none */
void	 conn_make_room(const struct gate *);	/* one idle connection of another destination at that gate ends */
/* Nothing to do for now: kept for a while. */
void	 conn_idle(struct conn *);
void	 conn_quit(struct conn *);		/* politely; frees it. No transaction is open. */
void	 conn_free(struct conn *);		/* abruptly; what it carries and transacts must have been taken care of */
/* Its host wants no more mail for now; a connection that is ready ends with what it has begun. */
void	 conn_rest(struct conn *, const char *why);
/* This host is done with: the next one, or the end. text is kept with v. rest: why the host rests, or NULL. */
void	 conn_next(struct conn *, const struct verdict *, const char *rest);
/* This host has done what it could for what is carried: the next one, or the end. */
void	 conn_leave(struct conn *);
bool	 conn_has_next(const struct conn *);	/* the walk could go on */
/* What becomes of a recipient for which no host is left. */
const struct verdict *conn_last_word(const struct conn *, const struct rcpt *);
void	 conn_quit_idle(void);			/* all idle ones */
void	 conn_quit_suspended(void);		/* the idle ones from a suspended source */
size_t	 conn_count(void);

/* relay.c */
void	 relay_ready(struct conn *);		/* EHLO is done */
void	 relay_more(struct conn *);		/* a job waits */
void	 relay_reply(struct conn *);		/* c->reply is complete */
unsigned relay_due(const struct conn *);		/* replies to commands that are under way */
void	 relay_writable(struct conn *);
void	 relay_lost(struct conn *, const struct verdict *);	/* in state CONN_READY */
/* What conn was doing, for "... while sending X". */
const char *relay_doing(const struct conn *);

#endif
