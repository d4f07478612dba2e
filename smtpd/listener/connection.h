/*
 * connection: one SMTP client's connection, from the banner to its last reply.
 *
 * Made by listen for each accepted client; driven by its io, by the answers of other processes (session_ready), and by the main
 * loop where a client has more commands than one turn allows. Handlers never free a session: they answer and set its state; what
 * follows is done here.
 */
#ifndef CONNECTION_H
#define CONNECTION_H

#include <stdbool.h>
#include "proc/client_limits.h"

struct door;
struct session;
struct session_peer;

struct session *connection_new(struct door *, const struct session_peer *);	/* NULL: it was sent away at once */
void	 connection_turn(void);			/* a step of the main loop: those that are ready */
bool	 connection_shed(enum pool);		/* the one that has been idle the longest is told to go; false: none */
void	 connection_recount(void);		/* all, into a new table of counts */
void	 connection_drain(void);		/* 421 to the idle, and to the others after their message */

#endif
