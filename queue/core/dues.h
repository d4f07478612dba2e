/*
 * dues: messages in memory of which some recipient waits for its time while something else of them is under way.
 *
 * Used by sched.c (when they are due) and ready.c (when they leave). Pure code.
 */
#ifndef DUES_H
#define DUES_H

#include "core/message.h"

/* It is due at m->look (rcpt_due), if that is not before now: what is due already waits for something else, which comes by itself. */
void	 dues_set(struct message *, int64_t now);
void	 dues_gone(struct message *);
/* The next one that is due, which is not in here afterwards; NULL: none is. */
struct message *dues_next(int64_t now);
int64_t	 dues_soonest(void);			/* INT64_MAX: nothing waits */

#endif
