/*
 * session_say: what a session says, to its client and in the log.
 */
#ifndef SESSION_SAY_H
#define SESSION_SAY_H

#include "listener/session.h"

struct address_text { char s[INET6_ADDRSTRLEN]; };
struct address_text address_text(const struct sockaddr_storage *);	/* without a port; "" for a socket */

/* ---- replies, for the handlers of commands ---- */

void	 session_reply(struct session *, unsigned code, const char *dsn, const char *, ...) __attribute__((format(printf, 4, 5)));
void	 session_line(struct session *, unsigned code, const char *dsn, bool last, const char *text);
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
void	 session_idle(struct session *);	/* one more command that moves no mail; over the limit the session ends */

/* ---- log lines ---- */

void	 session_named(struct session *, const char *name);	/* the client's, by PTR */
void	 session_log(struct session *);		/* its "connect from" comes before its first other line */
void	 session_event(struct session *, const char *what);	/* "WHAT after VERB from CLIENT" */
void	 session_bye(struct session *);		/* "disconnect from" */
const char *session_client(const struct session *);	/* "name[addr]"; "localhost[127.0.0.1]" at the socket; until the next call */
const char *session_uid(const struct session *);	/* " uid=N", or "" for a client from the network; until the next call */
const char *session_proto(const struct session *);	/* "ESMTP" */

#endif
