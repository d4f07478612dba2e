/*
 * route: which action takes a recipient, for mail that Postern makes itself and for mail whose action is gone.
 *
 * Used by bounce and sched. Asks lookup where the rules need it (QASK, QANSWER); the answer may come at once, from inside
 * route_ask. While lookup is not there the question waits.
 */
#ifndef ROUTE_H
#define ROUTE_H

#include "conf/match.h"

typedef void route_done(void *arg, enum match_result, const struct match *);
/* Any other question that tables answer, in the manner of match_rcpt: it is called again until it does not say MATCH_NEED. */
typedef enum match_result route_decider(void *arg, struct answers *, struct match *);

/* Facts of mail that Postern makes itself. */
struct match_facts route_own(void);
/* Facts of a message as its envelope tells them; sa is storage for the client's address. */
struct match_facts route_facts(const struct p_env *, struct sockaddr_storage *sa);
void	 route_decide(route_decider *, void *decider_arg, route_done *, void *arg);
void	 route_ask(const struct match_facts *, const char *addr, route_done *, void *arg);
void	 route_lookup(struct edge *);		/* lookup is there (NULL: gone) */
void	 route_conf(void);			/* a new generation: what is open is asked anew */

#endif
