/*
 * query: a selection that a control client asked for, on its walk through the index.
 *
 * Used by control_queue, control_count and control_act. It hangs at the client (c->query) and goes with it.
 */
#ifndef QUERY_H
#define QUERY_H

#include "core/act.h"
#include "control/control.h"
#include "control/idset.h"
#include "core/message.h"
#include "control/picks.h"
#include "control/select.h"
#include "control/show.h"

#define QUERY_FOUND	32
#define QUERY_PAGE	256		/* rows between two looks at the clock */

struct query {
	struct select	 s;
	struct index_walk w;
	int64_t		 now;			/* of the question: states and ages mean this time */
	struct idset	*seen;			/* messages met; NULL: not asked for */
	bool		 walked;
	uint64_t	 messages, recipients, last;
	/* control_act.c */
	enum act	 act;
	struct acting	 acting;		/* on the message that is its turn */
	uint64_t	 turn;			/* ... 0: none */
	bool		 resumed;		/* "resume domain": nothing to do is no failure */
	struct idset_at	 at;
	uint64_t	 done_messages, done_recipients, later, replaced;
	/* control_queue.c */
	struct listing	*list;
	struct picks	 picks;
	bool		 picking, picked;	/* what is met is gathered first; has been */
	uint64_t	 found[QUERY_FOUND];	/* messages of this page */
	size_t		 nfound, listed;
	bool		 listing;		/* one of them is under way */
	bool		 classic;		/* as mailq lists */
	/* control_count.c */
	struct groups	*groups;
};

/*
 * Reads the words, asks what the client may see, begins the walk. NULL: the client got its answer. must: a change, which needs
 * to be told what. keep: remember the messages that are met.
 */
struct query *query_begin(struct client *, char **argv, int argc, enum walk_need, bool must, bool keep);
void	 query_again(struct query *, enum walk_need);		/* the walk, from its beginning */
/* A page: counts what is selected, and cb (or NULL) for it. -> false: that was the last */
bool	 query_page(struct query *, unsigned rows, void (*cb)(void *, const struct index_hit *), void *);
/* All pages, as far as this turn's slice goes. -> false: there are more */
bool	 query_walk(struct query *, void (*cb)(void *, const struct index_hit *), void *);
/* Does the selection mean this recipient as it is in memory, or as it is shown? */
bool	 query_wants(const struct query *, const struct message *, uint32_t n);
bool	 query_shows(const struct query *, const struct view *, uint32_t i);

#endif
