/*
 * session: one SMTP client, from the banner to its last reply.
 *
 * Made by door for each accepted connection; driven by its io, by the answers of other processes, and by the main
 * loop (session_turn) where a client has more commands than one turn allows. Handlers never free a session: they answer
 * and set its state; session_run does what follows.
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

struct batch;
struct door;
struct tx;

#define VERBS_MAX	24

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

	unsigned		 verb;		/* of the command that is being answered */
	unsigned		 done[VERBS_MAX], failed[VERBS_MAX];
};
TAILQ_HEAD(session_q, session);

struct session_peer {		/* what door knows of a new client */
	int			 fd;
	struct sockaddr_storage	 sa;
	socklen_t		 salen;
	uid_t			 uid;
	uint64_t		 key;
	enum pool		 pool;
	bool			 socket, exempt, local;
};

void	 session_init(void);
void	 session_new(struct door *, const struct session_peer *);
struct session *session_find(uint32_t id);
void	 session_turn(void);			/* a step of the main loop */
void	 session_run(struct session *);		/* commands and data, as far as it goes; the session may be gone then */
bool	 session_shed(enum pool);		/* the one that has been idle the longest is told to go; false: none */
void	 session_useful(struct session *);	/* it brought a message */
void	 session_recount(void);			/* all, into a new table of counts */
void	 session_drain(void);			/* 421 to the idle, and to the others after their message */
bool	 session_none(void);
void	 session_each(void (*)(struct session *));	/* which may free it */
void	 session_named(struct session *, const char *name);	/* the client's, by PTR */
void	 session_data_pause(struct session *);
void	 session_data_resume(void);		/* all that were paused */

struct address_text { char s[INET6_ADDRSTRLEN]; };
struct address_text address_text(const struct sockaddr_storage *);	/* without a port; "" for a socket */

/* For the handlers of commands. */
void	 session_reply(struct session *, unsigned code, const char *dsn, const char *, ...) __attribute__((format(printf, 4, 5)));
void	 session_line(struct session *, unsigned code, const char *dsn, bool last, const char *text);
void	 session_last(struct session *, bool linger);	/* that was the last reply */
void	 session_wait(struct session *, enum wait, uint64_t ms, void (*then)(struct session *));
/*
 * A refusal: "CODE DSN <about>: SUBJECT rejected: words" to the client, and its line in the log. Any reply from 400 on has such a line; this says more.
 * All but code, dsn and words may be NULL.
 */
struct refusal {
	unsigned	 code;
	const char	*dsn, *words;
	const char	*about;			/* what is refused: an address, the client */
	const char	*subject;		/* and its kind: "Sender address", which is "rejected: words" */
	const char	*reply;			/* what the client is told in place of all that */
	const char	*from, *to;		/* where the session has no such transaction (yet) */
};
void	 session_refuse(struct session *, const struct refusal *);
void	 session_log(struct session *);		/* its "connect from" comes before its first other line */
void	 session_event(struct session *, const char *what);	/* "WHAT after VERB from CLIENT" */
void	 session_bye(struct session *);		/* "disconnect from" */
const char *session_client(const struct session *);	/* "name[addr]"; "localhost[127.0.0.1]" at the socket; until the next call */
const char *session_uid(const struct session *);	/* " uid=N", or "" for a client from the network; until the next call */
const char *session_proto(const struct session *);	/* "ESMTP" */

#endif
