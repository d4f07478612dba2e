/*
 * explain: what an administrator is told of the way that mail would go: hosts, their rests, sources.
 *
 * Used by route, which holds the inquiries while a question to the resolver is open, and by main (the queue's edge).
 */
#ifndef EXPLAIN_H
#define EXPLAIN_H

#include <sys/queue.h>
#include <stdint.h>
#include "proc/msg.h"
#include "client/mx.h"

struct inquiry {
	TAILQ_ENTRY(inquiry) wait;
	uint32_t	 id;			/* the queue's */
	uint32_t	 generation;
	uint16_t	 action;		/* a relay action of that generation */
};
TAILQ_HEAD(inquiry_list, inquiry);

struct finding {
	const struct mx_set *set;		/* empty: trouble says why */
	const char	*mx, *trouble;		/* as in P_explained */
	int		 pool;			/* index; -1: none */
};

void	 explain_queue(struct edge *);		/* NULL: it is gone */
void	 explain_answer(struct inquiry *, const struct finding *);	/* frees it */

#endif
