/*
 * route: where a job goes: its action, and for relay the destination behind a domain, an address literal or smarthosts.
 *
 * Called by job for every new job. Asks the resolver (MX_ASK), keeps answers for their time, and hands the job to
 * dest or mailbox. Jobs wait here while a question is open, a minute at most.
 */
#ifndef ROUTE_H
#define ROUTE_H

#include "conf/conf.h"
#include "client/job.h"

void	 route(struct job *);
/* Its relay action's way to that domain: explain_answer comes when that is known, perhaps at once. */
struct inquiry;
void	 route_explain(struct inquiry *, const char *domain);
/* The resolver's edge, or NULL: it is gone. Open questions are asked again. */
void	 route_resolver(struct edge *);
/* Before the first job, and with each configuration: our own addresses and names; what was learnt by the old one goes. */
void	 route_conf(const struct conf *);
/* Now and then: time-outs, old answers. */
void	 route_sweep(void);
/* Hands everything that waits back to the queue. */
void	 route_drain(void);

#endif
