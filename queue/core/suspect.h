/*
 * suspect: messages that were in flight when deliver crashed.
 *
 * A first crash: tried one at a time among the others. A second one: tried with nothing else in flight. Three crashes alone: held.
 * Any result clears it. Used by job (lost, result), sched (who may go), ready (what must stay in memory), main (died).
 */
#ifndef SUSPECT_H
#define SUSPECT_H

#include "core/message.h"

#define SUSPECT_KILLS	3

void	 suspect_lost(struct message *);		/* it was in flight when deliver's edge closed */
void	 suspect_closed(void);				/* ... and all of them were told */
void	 suspect_crashed(void);				/* deliver died of a crash; may come before or after that */
void	 suspect_edge(void);				/* there is a new deliver: what was lost before is settled */
void	 suspect_result(struct message *);
void	 suspect_gone(struct message *);		/* it leaves memory */
bool	 suspect_waits(const struct message *);		/* it stays in memory until it is cleared */
bool	 suspect_may_go(const struct message *);
struct message *suspect_alone(void);			/* nothing but this may be sent now; NULL: no such */
void	 suspect_run(void);				/* chooses the next to be tried */

#endif
