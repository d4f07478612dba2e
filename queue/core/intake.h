/* intake: transactions of the listeners, from TX_BEGIN to the answer after the sync. Used by main. */
#ifndef INTAKE_H
#define INTAKE_H

#include "index/index.h"
#include "proc/msg.h"

void	 intake_init(struct spool *, struct index *);
void	 intake_listener(struct edge *, unsigned instance);	/* it is there */
void	 intake_gone(struct edge *, unsigned instance);		/* its transactions are aborted */
void	 intake_commit(void);					/* a step of the main loop: the durability point */

#endif
