/*
 * dest: a destination: a set of hosts that take the same mail, the jobs that wait for it, the connections to it.
 *
 * Routes lead to it (route.c); connections take jobs from it (relay.c). Domains with the same MX set share one, so a connection
 * serves all of them; each source has its own. How many connections it has is bounded by its policy, and by what it proved to take.
 */
#ifndef DEST_H
#define DEST_H

#include <sys/queue.h>
#include <sys/tree.h>
#include <stdbool.h>
#include <stdint.h>
#include "conf/conf.h"
#include "client/limit.h"
#include "client/host.h"
#include "client/job.h"
#include "client/mx.h"
#include "client/source.h"
#include "mail/lanes.h"
#include "client/window.h"

struct conn;
TAILQ_HEAD(conn_list, conn);

struct dest {
	RB_ENTRY(dest)	 entry;
	TAILQ_ENTRY(dest) run;			/* in the line of those to look at, or of those that wait for room */
	char		*key;
	unsigned	 routes;		/* that lead here */
	struct mx_set	 set;
	unsigned	 turn;			/* of its hosts' addresses: walks that began */
	struct host	**host;			/* of set.v */
	struct source	*source;		/* where its connections come from; NULL: the system chooses */
	bool		 smarthost;
	bool		 due, starved;
	struct job_list	 waiting[LINE__N];
	struct turns	 turns;
	unsigned	 nwaiting;		/* of both lines */
	struct conn_list idle;			/* connections that could take a job at once */
	unsigned	 nconn, nopen, nready;	/* all, those that reached a server, those through EHLO */
	struct gate	*rate, *room;		/* bounds, perhaps shared: of messages, of connections */
	struct gate_place at_rate, at_room;
	unsigned	 messages, recipients;	/* on a connection (0: any number), in a transaction */
	enum eightbit	 eightbit;
	uint64_t	 rest_most;		/* ms that a host rests, by its policy */
	struct window	 window;		/* connections it proved to take */
};

/* The set goes over to it. source: NULL = none in particular. */
struct dest *dest_get(struct mx_set *, const struct dest_policy *, bool smarthost, struct source *);
void	 dest_hold(struct dest *);
void	 dest_drop(struct dest *);
void	 dest_add(struct dest *, struct job *);
void	 dest_return(struct dest *, struct job *);	/* to the head of the line: no attempt was made */
struct job *dest_take(struct dest *);			/* NULL: none waits */
/* A transaction begins. False: not now, by its rate; idle connections are woken when it is time. */
bool	 dest_pass(struct dest *);
bool	 dest_open(const struct dest *);		/* would it pass? */
void	 dest_due(struct dest *);			/* look at it in this turn */
void	 dest_look(struct dest *);			/* now */
/* No connection can be made: settles the jobs that waited since then or longer, unless another connection serves or may soon serve them. */
void	 dest_failed(struct dest *, uint64_t since, const struct verdict *);
/* What a host of it did: took a message; asked us to slow down, or broke off; refused one connection more than it has; let no one in. */
void	 dest_good(struct dest *);
void	 dest_bad(struct dest *);
void	 dest_full(struct dest *);
void	 dest_down(struct dest *);
/* One of its connections is gone: there may be room for it, or for a starved destination. */
void	 dest_room(struct dest *);

/* The main loop's step: gives waiting jobs to idle connections, or makes new ones. */
void	 dest_turn(void);
void	 dest_sweep(void);
/* Hands everything that waits back to the queue (the end is near). */
void	 dest_drain(void);

#endif
