/*
 * stop: the stop, in the order that loses nothing: listeners finish their transactions, deliver its jobs, then all edges close.
 *
 * Called by main.c (signals), by from_kids.c (posternctl stop) and by kids.c, through its table, when a child ended meanwhile. A step
 * that takes too long is left for the next.
 */
#include "base/log.h"
#include "parent/parent.h"

#define DRAIN_LISTENERS_MS	10000
#define DRAIN_DELIVER_MS	30000
#define CLOSING_MS		10000

/* What each step of a stop begins with, and how long it may take. */
static void
stop_enter(struct parent *p, int step)
{
	p->stop = step;
	parent_unlisten(p);
	switch (step) {
	case DRAIN_LISTENERS:
		kids_drain(p, PROG_LISTENER);
		ev_timer_set(&p->stop_timer, DRAIN_LISTENERS_MS);
		break;
	case DRAIN_DELIVER:
		kids_drain(p, PROG_DELIVER);
		ev_timer_set(&p->stop_timer, DRAIN_DELIVER_MS);
		break;
	default:
		kids_close(p);
		ev_timer_set(&p->stop_timer, CLOSING_MS);
	}
	parent_stop_step(p);
}

void
parent_stop_step(struct parent *p)
{
	if (p->stop == DRAIN_LISTENERS && !kids_running(p, PROG_LISTENER))
		stop_enter(p, DRAIN_DELIVER);
	else if (p->stop == DRAIN_DELIVER && !kids_running(p, PROG_DELIVER))
		stop_enter(p, CLOSING);
}

static void
stop_late(void *arg)
{
	struct parent *p = arg;

	if (p->stop == CLOSING) {
		kids_kill(p);
		ev_timer_set(&p->stop_timer, CLOSING_MS);
	} else
		stop_enter(p, p->stop == DRAIN_LISTENERS ? DRAIN_DELIVER : CLOSING);
}

void
parent_stop(struct parent *p, bool drain)
{
	if (p->stop == UP)
		log_info(drain ? "stopping: sessions and deliveries under way are finished first" : "stopping");
	if (p->stop == CLOSING || (drain && p->stop != UP))
		return;
	stop_enter(p, drain ? DRAIN_LISTENERS : CLOSING);
}

void
parent_stop_init(struct parent *p)
{
	ev_timer_init(&p->stop_timer, stop_late, p);
}
