/*
 * mailbox: delivery into mailboxes of this host, through an agent per action and account.
 *
 * Called by route for local actions. An agent runs with the recipient's rights and is treated as hostile: it gets the message as a
 * sealed memory file and may answer with one result per recipient, nothing else.
 */
#ifndef MAILBOX_H
#define MAILBOX_H

#include "conf/conf.h"
#include "client/job.h"

/* At deliver's start. */
void	 mailbox_init(void);
/* Takes over a job: each recipient goes to the agent of its account. */
void	 mailbox(const struct conf *, struct job *);
/* Now and then: agents that are idle, or silent for too long. */
void	 mailbox_sweep(void);
/* Hands back what no agent has yet. */
void	 mailbox_drain(void);

#endif
