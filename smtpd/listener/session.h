/*
 * session: what is kept of one SMTP client, the table of all of them, its state, and what it waits for.
 *
 * Everything of the listener that has to do with a client sees this; who makes, runs and frees a session is connection.c alone. Handlers of commands and
 * of other processes' answers only set its state, begin or end a wait, and answer (session_say.h).
 */
#ifndef SESSION_H
#define SESSION_H

#include <netinet/in.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "proc/client_limits.h"
#include "proc/io.h"
#include "listener/verb.h"

struct batch;
struct door;
struct tx;

/*
 * Where a session may go from where (session.c has the table); from each to ST_CLOSING.
 *
 *	GREET -> START -> HELO -> MAIL -> DATA -> HELO	the message ended by a dot, or was not taken
 *	                   HELO <- MAIL, BDAT		RSET, EHLO, HELO
 *	      MAIL, BDAT -> CHUNK -> BDAT, HELO		a chunk, and the last one
 *	     START, HELO, MAIL -> CHUNK -> the same	octets that nobody wants are read away
 */
enum state {
	ST_GREET,		/* its banner waits for what it may say too early */
	ST_START,		/* no HELO or EHLO yet */
	ST_HELO,		/* no transaction */
	ST_MAIL,		/* MAIL was accepted, and perhaps RCPTs */
	ST_BDAT,		/* between the chunks of a message */
	ST_DATA,		/* the message is coming in (or its verdict is waited for) */
	ST_CHUNK,		/* the octets of a BDAT are */
	ST_CLOSING		/* the last reply was given */
};
#define IN(state)	(1u << (state))

/* What another process is to tell before this client's next command runs. */
enum wait { WAIT_NO, WAIT_LOOKUP, WAIT_ID, WAIT_DONE };

struct session {
	LIST_ENTRY(session)	 by_id;
	TAILQ_ENTRY(session)	 all;
	TAILQ_ENTRY(session)	 on;		/* on queue, if it is not NULL */
	struct session_q	*queue;
	uint32_t		 turn;		/* in which it became ready */
	uint32_t		 id;
	struct io		*io;
	struct door		*door;
	enum state		 state;
	enum wait		 wait;
	void			(*then)(struct session *);	/* what goes on when the wait is over */

	struct sockaddr_storage	 sa;
	char			 addr[INET6_ADDRSTRLEN];	/* "" at the socket */
	char			*name;		/* by PTR, or NULL */
	char			*helo;		/* or NULL */
	uint64_t		 key;		/* in counts */
	uid_t			 uid;		/* at the socket */
	enum pool		 pool;
	bool			 socket;	/* the submission socket */
	bool			 exempt;	/* from limits per client */
	bool			 local;		/* `from local` */
	bool			 esmtp;
	bool			 logged;	/* "connect from" was written */

	bool			 eof;		/* the client sends no more */
	bool			 linger;	/* its unread bytes must not cost it the last reply */
	bool			 lingering, flushing;
	bool			 held;		/* not read from for now */
	bool			 progress;	/* a command was done: the deadline moves */
	uint64_t		 since;		/* ms, of the connection */
	uint64_t		 useful;	/* when it began, or last brought a message; all is in that order */
	uint64_t		 rate_since, rate_bytes;	/* of message data */
	size_t			 skipped;	/* of a command line that is too long */
	unsigned		 errors, idle_commands;

	struct tx		*tx;		/* from MAIL on */
	struct batch		*batch;		/* recipients that are being looked up */
	uint64_t		 chunk_size, chunk_left;
	bool			 chunk_last, chunk_drop;
	enum state		 chunk_back;	/* after octets that were dropped */

	enum verb		 verb;		/* of the command that is being answered */
	unsigned		 done[VERB__MAX], failed[VERB__MAX];
};
TAILQ_HEAD(session_q, session);

struct session_peer {		/* what is known of a new client */
	int			 fd;
	struct sockaddr_storage	 sa;
	socklen_t		 salen;
	uid_t			 uid;
	uint64_t		 key;
	enum pool		 pool;
	bool			 socket, exempt, local;
};

/* ---- all of them ---- */

void	 session_init(void);
void	 session_add(struct session *);			/* as the newest; gives its id */
void	 session_remove(struct session *);
struct session *session_find(uint32_t id);
bool	 session_none(void);
struct session *session_first(void);			/* the least useful; the next by `all` */
void	 session_each(void (*)(struct session *));	/* in the order of `useful`; which may free it */
void	 session_useful(struct session *);		/* it brought a message */

/* ---- one that waits ---- */

/* Until the answer is there; then is called by whoever has it, if it needs to go on where it was. */
void	 session_wait(struct session *, enum wait, uint64_t ms, void (*then)(struct session *));
void	 session_wait_over(struct session *);		/* the answer came, or never will: it is ready */
void	 session_ready(struct session *);		/* its commands and data go on with the next connection_turn */
void	 session_data_pause(struct session *);		/* the queue has enough */
void	 session_data_resume(void);			/* all that were paused */
bool	 session_paused(const struct session *);
void	 session_off(struct session *);			/* neither ready nor paused */
void	 session_turn_begins(void);
struct session *session_next_ready(void);		/* off the list; NULL: who became ready in this turn waits for the next */

/* ---- its state ---- */

void	 session_enter(struct session *, enum state);	/* a closing one stays so; fatalx if it cannot follow on the one before */
void	 session_last(struct session *, bool linger);	/* that was the last reply */

#endif
