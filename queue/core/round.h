/*
 * round: whose turn it is. Pure code.
 *
 * Used by dest.c. Destinations that lead to the same hosts are a group: one smarthost, one set of MX hosts as deliver told it, what one rate
 * is for, or a way of local delivery. A group has a window (jobs in flight), and of the window over all groups a share that shrinks as it
 * fills, flying < SCHED_WINDOW - all that fly, so that one that is mute leaves places for the others; local delivery has a window of its own.
 * Groups that may send stand in one round, those with new mail first (turns.h). Within a group senders take turns, across its destinations:
 * they are spread over a few lanes by a hash, so that a letter does not stand behind a newsletter's thousand domains.
 */
#ifndef ROUND_H
#define ROUND_H

#include <sys/queue.h>
#include <stdbool.h>
#include <stdint.h>
#include "mail/lanes.h"

#define ROUND_LANES	8
#define ROUND_UNKNOWN	0		/* the key of destinations whose hosts deliver has not told yet */

struct dest;
struct parcel;
TAILQ_HEAD(parcel_list, parcel);

/* What some senders have for one destination. */
struct flow {
	TAILQ_ENTRY(flow) link;			/* in its lane */
	struct group	*group;			/* in whose lane it stands; NULL: in none */
	struct dest	*d;
	struct parcel_list parcels;
	unsigned	 n;
	uint8_t		 line, lane;
};
TAILQ_HEAD(lane, flow);

struct group {
	uint64_t	 key;
	LIST_HEAD(, dest) dests;
	bool		 local;
	bool		 down;			/* some of its destinations had trouble to reach a host */
	unsigned	 window, flying;	/* jobs */
	unsigned	 credit;		/* ... that deliver kept, when it sent others back for their rate */
	int64_t		 rest;			/* for its rate nothing is sent before; 0: it may go */
	struct lane	 lane[LINE__N][ROUND_LANES];
	unsigned	 stand[LINE__N];	/* flows */
	unsigned	 turn[LINE__N];		/* the lane that gives next, if it has any */
	struct turns	 turns;
	bool		 ready;			/* it stands in the round */
	enum line	 in;			/* ... among those that have new mail, or the others */
	TAILQ_ENTRY(group) link;
	struct group	*hash_next;
};

void	 round_init(unsigned window, unsigned local);	/* jobs in flight over all groups */
struct group *round_group(uint64_t key);	/* made if it is not there */
void	 round_drop(struct group *);		/* gone with its last destination */
void	 round_window(struct group *, unsigned window, bool local);
void	 round_stand(struct flow *, struct group *);
void	 round_leave(struct flow *);
struct flow *round_next(void);			/* NULL: nobody may send */
void	 round_took(struct flow *);		/* it gave a job */
void	 round_fly(struct group *, int jobs);	/* so many more are in flight */
bool	 round_room(const struct group *);	/* one more may be */
/* Deliver sent a job back for its rate: nothing before that time, and no more in flight than it kept. */
void	 round_slow(struct group *, int64_t until);
void	 round_good(struct group *);		/* a job went through: one more may be in flight */
/* -> the soonest end of a rest that is not over then; INT64_MAX: none */
int64_t	 round_wake(int64_t now);

#endif
