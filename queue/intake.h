/* intake: transactions of the listeners, from TX_BEGIN to the answer after the sync. Used by main. */
#ifndef INTAKE_H
#define INTAKE_H

#include "index.h"
#include "msg.h"

void	 intake_init(struct spool *, struct index *);
void	 intake_listener(struct edge *, unsigned instance);	/* it is there */
void	 intake_gone(struct edge *, unsigned instance);		/* its transactions are aborted */
void	 intake_commit(void);					/* a step of the main loop: the durability point */
unsigned intake_open(void);					/* transactions that are open */

/* envelope.c: what is wrong with a decoded envelope, or NULL; pure. */
const char *envelope_fault(const struct p_env *);
const char *envelope_rcpts_fault(const struct p_env_rcpt *, uint32_t n);

#endif
