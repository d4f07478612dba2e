/*
 * dest_priv: what the destinations' own files share; nobody else includes it.
 *
 * dest.c has the table and where each stands, dest_line.c the parcels, dest_rest.c the rests and what is read from the index.
 */
#ifndef DEST_PRIV_H
#define DEST_PRIV_H

#include "core/nexthop.h"

#define DEST_BUCKETS	16384

TAILQ_HEAD(dest_list, dest);
RB_HEAD(dest_clock, dest);

extern struct dests {
	struct dest	*bucket[DEST_BUCKETS];
	struct dest_list idle, resting, wants, aging;
	struct dest_clock clock;
	unsigned	 n_idle, n_work;
	uint64_t	 untried;
	int64_t		 now;			/* of the last dest_wake */
	uint32_t	 generation;
	void		(*policy)(struct dest *);
} dests;

void	 dest_place(struct dest *);		/* puts it where it belongs, after anything changed */
void	 dest_idle(struct dest *);		/* nothing of it is in memory; d itself stays */
void	 dest_set_clock(struct dest *);		/* the like, for what is in the index alone */
void	 dest_rest_over(struct dest *);
void	 dest_refresh(struct dest *);		/* takes the configuration's values anew if they are of an older one */
bool	 dest_same_domain(const struct dest *, const char *domain);
RB_PROTOTYPE(dest_clock, dest, entry, )

#endif
