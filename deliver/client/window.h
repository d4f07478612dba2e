/*
 * window: how many connections a destination may have by what it proved to take. Pure code.
 *
 * Used by dest. It begins small and grows with each message that was taken, up to what policy allows; trouble halves it, and a
 * destination that is down has one. Times are ms of any clock.
 */
#ifndef WINDOW_H
#define WINDOW_H

#include <stdint.h>

#define WINDOW_FIRST	2

struct window {
	unsigned	 size;
	unsigned	 goal;		/* grows by one for each message up to here, then by one for each size of them */
	unsigned	 credit;
	uint64_t	 lowered;	/* when, last */
	uint64_t	 until;		/* does not grow before */
};

void	 window_init(struct window *);
/* A message was taken. */
void	 window_good(struct window *, unsigned limit, uint64_t now);
/* It asked us to slow down, or broke off. What comes within a second of another is one trouble. */
void	 window_bad(struct window *, uint64_t now);
/* It refused one connection more than n. */
void	 window_full(struct window *, unsigned n, uint64_t now);
/* No connection can be made. */
void	 window_down(struct window *, uint64_t now);

#endif
