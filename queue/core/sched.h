/*
 * sched: what is sent next. A step of the main loop.
 *
 * Used by main, intake and bounce (new messages), load (due ones), result, control.
 */
#ifndef SCHED_H
#define SCHED_H

#include "index/index.h"
#include "core/nexthop.h"
#include "core/message.h"

#define SCHED_WINDOW	2000		/* jobs in flight, of which each group of destinations has its share (round.h) */
#define SCHED_LOCAL	1200		/* ... and for mailboxes on this host */

void	 sched_init(struct spool *, struct index *);
void	 sched_conf(void);		/* a new configuration */
void	 sched_run(void);
/* A durable message that is new. It belongs to ready.c from now on, and may be gone at once. */
void	 sched_fresh(struct message *);
/* Recipients that are idle and due stand in line; then ready_settle: m may be gone afterwards. */
void	 sched_queue(struct message *);
void	 sched_reroute(struct message *, uint32_t n);	/* an idle recipient's action is looked for anew; then sched_queue */
void	 sched_wake_all(void);		/* every destination's rest is over, but for the suspended ones */
void	 sched_suspend(const char *domain, bool on);	/* suspend_set has taken it */
bool	 sched_asks_hosts(const struct dest *);	/* deliver is to tell whither it leads */
void	 sched_stored(const struct message *);		/* it leaves memory: its rows are there */
void	 sched_pause(bool);		/* suspend_set has taken it */
bool	 sched_paused(void);

#endif
