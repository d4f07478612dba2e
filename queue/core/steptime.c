/*
 * held: see held.h. Owns the figures of two minutes, the one that runs and the one before, and the counters of stats.h. Cannot fail.
 */
#include "proc/ev.h"
#include "core/steptime.h"
#include "core/stats.h"

struct stats stats;

#define PERIOD_MS	(60 * 1000)

static struct {
	uint64_t	 most[2][HELD__N];	/* this minute's, and those of the one before */
	uint64_t	 period;
	uint64_t	 marked;		/* us into the turn, when the last step ended */
	uint64_t	 begun;			/* us into the turn, when its events began to count */
} hd;

static void
period(void)
{
	uint64_t now = ev_now_ms() / PERIOD_MS;
	unsigned i;

	if (now == hd.period)
		return;
	for (i = 0; i < HELD__N; i++) {
		hd.most[1][i] = now == hd.period + 1 ? hd.most[0][i] : 0;
		hd.most[0][i] = 0;
	}
	hd.period = now;
}

void
held(enum held_step step)
{
	uint64_t now = ev_busy_us(), took = step == 0 ? now - hd.begun : now - hd.marked;

	period();
	if (took > hd.most[0][step])
		hd.most[0][step] = took;
	hd.marked = now;
	hd.begun = 0;
}

void
held_begin(void)
{
	hd.begun = ev_busy_us();
}

enum held_step
held_longest(void)
{
	unsigned i, longest = 0;

	for (i = 1; i < HELD__N; i++)
		if (held_most(i) > held_most(longest))
			longest = i;
	return longest;
}

const char *
held_name(enum held_step step)
{
#define HELD_TEXT(name, text)	[HELD_##name] = #name,
	static const char *const names[HELD__N] = { HELD_STEPS(HELD_TEXT) };

	return names[step];
}

uint64_t
held_most(enum held_step step)
{
	period();
	return hd.most[0][step] > hd.most[1][step] ? hd.most[0][step] : hd.most[1][step];
}
