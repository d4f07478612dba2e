/*
 * held: how long the steps of the main loop held up everything else: what an administrator (or a benchmark) asks when answers were slow.
 *
 * Used by main.c, which marks the end of each step, and by control (stats). Costs a look at the clock per step.
 */
#ifndef HELD_H
#define HELD_H

#include <stdint.h>

/* In the order of the main loop. */
#define HELD_STEPS(X) \
	X(events,	"us at most in the answers to sockets and timers") \
	X(intake,	"us at most in taking mail in") \
	X(schedule,	"us at most in scheduling") \
	X(bounce,	"us at most in writing notices") \
	X(control,	"us at most for posternctl") \
	X(spool,	"us at most in compaction and clearing up") \
	X(index,	"us at most in the index's commits")

#define HELD_ENUM(name, text)	HELD_##name,
enum held_step { HELD_STEPS(HELD_ENUM) HELD__N };

void	 held_begin(void);		/* the start is over: what it took is no step */
/* That step ended now; it began when the one before it did (the first one with the turn's first event). */
void	 held(enum held_step);
/* The longest that step took in this minute and the one before it, in us. */
uint64_t held_most(enum held_step);
/* The one that took longest. */
enum held_step held_longest(void);
const char *held_name(enum held_step);

#endif
