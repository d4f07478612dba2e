/*
 * clock: the queue's time in ms since 1970, which runs with the monotonic clock: a jump of the wall clock moves no retry. And what a moment of
 * the wall clock means in it, such as the arrival of a message, whatever that clock did since.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

int64_t	 clock_now(void);
/* That long ago the wall clock said so; never negative. */
int64_t	 clock_age(int64_t wall);
int64_t	 clock_born(int64_t wall);	/* clock_now() - clock_age() */
int64_t	 clock_wall(int64_t at);	/* what a moment is called by the wall clock as it goes now */

/* The pure part: how the wall clock went in this run, as far as it was not in step. */
#define CLOCK_STEPS	32
struct clock_run {
	int64_t	 start;			/* clock_now() when the run began */
	unsigned n;
	struct { int64_t since, offset; } step[CLOCK_STEPS];	/* from then on the wall clock was that much ahead */
};
void	 clock_note(struct clock_run *, int64_t now, int64_t wall);
int64_t	 clock_age_in(const struct clock_run *, int64_t now, int64_t wall, int64_t then);

#endif
