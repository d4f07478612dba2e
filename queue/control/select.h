/*
 * select: which recipients a verb means: from= to= domain= id= age> age< size> size< state= reason~ tag=, an id alone, or all. Pure code.
 *
 * Used by the control verbs. All conditions must hold; of several ids any. What is selected is recipients: of a message to two domains, domain=
 * selects those of its own.
 */
#ifndef SELECT_H
#define SELECT_H

#include "index/walk.h"

enum select_state { STATE_ANY, STATE_ACTIVE, STATE_DEFERRED, STATE_HELD };

struct select {
	bool		 any;			/* something was said, were it "all" */
	bool		 whole;			/* no condition */
	bool		 dry;			/* --dry-run */
	unsigned	 given;			/* conditions that were said, by their place in the table */
	uint64_t	*ids;			/* any of these */
	size_t		 nids;			/* 0: of any id */
	char		*from, *to, *domain, *tag, *reason;	/* NULL: any */
	int64_t		 older, younger;	/* ms; -1: any */
	int64_t		 larger, smaller;	/* bytes; -1: any */
	enum select_state state;
	int64_t		 uid;			/* of this submitter only; -1: any */
};

/* NULL, or what is wrong with which word. Free it in both cases. */
char	*select_parse(struct select *, char **argv, int argc);
void	 select_free(struct select *);
bool	 select_by_rcpt(const struct select *);		/* it asks for more than the message's own values */
bool	 select_match(const struct select *, const struct index_hit *, int64_t now);
/* The narrowest walk for it; need is what else is wanted of the rows. */
struct index_walk select_walk(const struct select *, enum walk_need, int64_t now);
bool	 select_ordered(const struct index_walk *);	/* a message's rows come one behind the other */

#endif
