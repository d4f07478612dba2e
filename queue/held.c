/*
 * held: see held.h. Owns the figures of two minutes: the one that runs and the one before. Cannot fail.
 */
#include "ev.h"
#include "held.h"

#define PERIOD_MS	(60 * 1000)

static struct {
	uint64_t	 most[2][HELD__N];	/* this minute's, and those of the one before */
	uint64_t	 period;
	uint64_t	 marked;		/* us into the turn, when the last step ended */
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
	uint64_t now = ev_busy_us(), took = step == 0 ? now : now - hd.marked;

	period();
	if (took > hd.most[0][step])
		hd.most[0][step] = took;
	hd.marked = now;
}

uint64_t
held_most(enum held_step step)
{
	period();
	return hd.most[0][step] > hd.most[1][step] ? hd.most[0][step] : hd.most[1][step];
}
