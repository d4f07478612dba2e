/*
 * cmd: the table of verbs, the gate in front of their handlers, and the reader of command lines.
 *
 * A handler gets the argument without leading and trailing blanks; it answers with session_reply, or waits. That the verb is
 * allowed in this state, and has no argument where none may be, is the gate's business.
 */
#ifndef CMD_H
#define CMD_H

#include <stdbool.h>
#include "listener/session.h"

/* One step of a session: a command line, or the message bytes that are there. False: more input is needed. */
bool	 cmd_step(struct session *);

void	 cmd_helo(struct session *, char *);
void	 cmd_ehlo(struct session *, char *);
void	 cmd_mail(struct session *, char *);
void	 cmd_rcpt(struct session *, char *);
void	 cmd_data(struct session *, char *);
void	 cmd_bdat(struct session *, char *);
void	 cmd_rset(struct session *, char *);
void	 cmd_noop(struct session *, char *);
void	 cmd_quit(struct session *, char *);
void	 cmd_vrfy(struct session *, char *);
void	 cmd_expn(struct session *, char *);

/* Message bytes, in ST_DATA and ST_CHUNK. */
bool	 data_step(struct session *);
bool	 chunk_step(struct session *);

#endif
