/*
 * rate: how often something may happen: a token bucket, kept as the time when the next one is due. Pure code.
 *
 * Used by deliver (transactions to a destination). Times are nanoseconds of any clock that does not go back. In every
 * stretch of time t no more than t * events / hour + burst happen.
 */
#ifndef RATE_H
#define RATE_H

#include <stdint.h>

struct rate {
	uint64_t	 interval;	/* ns between two events; 0: any number */
	uint64_t	 slack;		/* how far they may be ahead of that */
	uint64_t	 next;		/* when the next one would be due without slack */
};

/* How many may happen at once; burst 0: what a quarter of a second holds, at least one. */
uint64_t rate_burst(uint64_t per_hour, uint64_t burst);
void	 rate_set(struct rate *, uint64_t per_hour, uint64_t burst);
/* ns until one may happen; 0: now. */
uint64_t rate_wait(const struct rate *, uint64_t now);
/* ... after so many others that wait already. */
uint64_t rate_wait_behind(const struct rate *, uint64_t now, unsigned others);
/* It happens (also when it may not: then the next ones wait for longer). */
void	 rate_take(struct rate *, uint64_t now);
/* The one that was taken last did not happen after all. */
void	 rate_give(struct rate *);

#endif
