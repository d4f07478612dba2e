/*
 * clock: wall time as it was when the run began, plus what the monotonic clock counted since; and the steps of the wall clock meanwhile.
 *
 * Called by everything in the queue that compares or stores due times, or asks how old mail is. Within a run it never goes back and never
 * jumps; the next run begins with the wall clock of its own start. Owns the list of steps. Cannot fail.
 *
 * The age of mail: what arrived in this run carries the wall clock's time of then, which the steps turn back into a moment of this clock, so
 * that it ages as the monotonic clock goes. What is older was there when this run began. Its age is told by the wall clock, as it was at the
 * start and as it is now; when the two do not agree the lesser age counts, unless it is less than that of this run, which cannot be. A clock that
 * was days ahead of the last run's when this one began may be wrong by years, all along: nothing is given up for the time between them.
 */
#include <string.h>
#include "proc/clock.h"
#include "proc/ev.h"

#define SLACK	5000		/* ms: a clock that is brought in step by and by makes no step */

static struct clock_run run;

void
clock_note(struct clock_run *r, int64_t now, int64_t wall)
{
	int64_t offset = wall - now, had = r->n > 0 ? r->step[r->n - 1].offset : 0;

	if (r->n > 0 && offset - had <= SLACK && had - offset <= SLACK)
		return;
	if (r->n == 0)
		r->start = now;
	if (r->n == CLOCK_STEPS)
		memmove(r->step, r->step + 1, --r->n * sizeof(r->step[0]));
	r->step[r->n].since = now;
	r->step[r->n++].offset = offset;
}

static int64_t
lesser_age(int64_t a, int64_t b, int64_t least)
{
	if (a < least || (b >= least && b < a))
		a = b;
	return a > least ? a : least;
}

/* Of several moments at which the wall clock said so the last one counts: nothing is older than it need be. */
int64_t
clock_age_in(const struct clock_run *r, int64_t now, int64_t wall, int64_t then)
{
	int64_t at, end = now;
	unsigned i;

	for (i = r->n; i-- > 0; end = r->step[i].since) {
		at = then - r->step[i].offset;
		if (at >= r->step[i].since - SLACK && at <= end + SLACK)
			return at < now ? now - at : 0;
	}
	at = now - then - r->away;
	if (r->away > 0 && at < now - r->start)
		at = now - r->start;
	return lesser_age(at, wall - then, now - r->start);
}

void
clock_away(struct clock_run *r, int64_t last)
{
	r->away = last > 0 && r->start - last > CLOCK_AWAY ? r->start - last : 0;
}

void
clock_last_run(int64_t wall)
{
	clock_now();
	clock_away(&run, wall);
}

int64_t
clock_now(void)
{
	static int64_t base;
	int64_t now;

	if (base == 0)
		base = ev_time_ms() - (int64_t)ev_now_ms();
	now = base + (int64_t)ev_now_ms();
	clock_note(&run, now, ev_time_ms());
	return now;
}

int64_t
clock_age(int64_t wall)
{
	int64_t now = clock_now();

	return clock_age_in(&run, now, ev_time_ms(), wall);
}

int64_t
clock_born(int64_t wall)
{
	return clock_now() - clock_age(wall);
}

int64_t
clock_wall(int64_t at)
{
	return at + ev_time_ms() - clock_now();
}
