/*
 * clock: wall time as it was when the run began, plus what the monotonic clock counted since.
 *
 * Called by everything in the queue that compares or stores due times. Within a run it never goes back and never jumps;
 * the next run begins with the wall clock of its own start. Cannot fail.
 */
#include "clock.h"
#include "ev.h"

int64_t
clock_now(void)
{
	static int64_t base;

	if (base == 0)
		base = ev_time_ms() - (int64_t)ev_now_ms();
	return base + (int64_t)ev_now_ms();
}
