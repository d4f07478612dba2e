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

/* At the start: when the last run is known to have been there, by its own wall clock; 0: there was none. */
void	 clock_last_run(int64_t wall);

/* The pure part: how the wall clock went in this run, as far as it was not in step. */
#define CLOCK_STEPS	32
struct clock_run {
	int64_t	 start;			/* clock_now() when the run began */
	int64_t	 away;			/* so long before that nobody ran, says a clock that need not be believed: mail did not age meanwhile */
	unsigned n;
	struct { int64_t since, offset; } step[CLOCK_STEPS];	/* from then on the wall clock was that much ahead */
};
#define CLOCK_AWAY	(2 * 86400 * 1000LL)	/* ms between two runs that are believed */
void	 clock_away(struct clock_run *, int64_t last);
void	 clock_note(struct clock_run *, int64_t now, int64_t wall);
int64_t	 clock_age_in(const struct clock_run *, int64_t now, int64_t wall, int64_t then);

#endif
