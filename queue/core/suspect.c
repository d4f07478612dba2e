/*
 * suspect: finds the message that crashes deliver, without stopping the mail for one crash.
 *
 * Called as suspect.h says. Owns the two lists; messages are ready.c's. A trial that lasts long without a crash goes on beside
 * the others. Kept in memory only: a restart of the queue forgets suspicions, and begins to count anew.
 */
#include "proc/clock.h"
#include "core/nexthop.h"
#include "proc/ev.h"
#include "base/log.h"
#include "mail/qid.h"
#include "core/ready.h"
#include "core/sched.h"
#include "core/suspect.h"

#define PATIENCE_MS	15000		/* a trial that takes longer does not hold up the others */

static struct {
	struct message_list	 lost;			/* in flight when the edge closed; not known yet why */
	struct message_list	 suspects;
	struct message		*trial;			/* the one that is tried now */
	int64_t			 since;
	struct ev_timer		 timer;
	bool			 crashed;		/* told before the edge closed */
} su = {
	.lost = TAILQ_HEAD_INITIALIZER(su.lost),
	.suspects = TAILQ_HEAD_INITIALIZER(su.suspects),
};

static void
clear(struct message *m)
{
	if (m->suspect > 0)
		TAILQ_REMOVE(&su.suspects, m, suspect_link);
	m->suspect = 0;
	m->trial = false;
	if (su.trial == m)
		su.trial = NULL;
}

static void
unlose(struct message *m)
{
	if (m->lost)
		TAILQ_REMOVE(&su.lost, m, lost_link);
	m->lost = false;
}

static void
hold(struct message *m)
{
	uint32_t i;

	log_error("%s: ended deliver by a crash %d times, alone: held", qid_text(m->id).s, SUSPECT_KILLS);
	for (i = 0; i < m->env.rcpts_n; i++)
		if (m->rcpts[i].state == R_IDLE)
			ready_mark(m, i, MARK_HELD);
	ready_settle(m);
}

/* m was in flight in a crash. */
static void
accuse(struct message *m)
{
	uint8_t level = m->suspect;

	if (level == 2 && su.trial == m)
		m->kills++;
	clear(m);
	dest_drop(m);
	if (m->kills >= SUSPECT_KILLS) {
		hold(m);
		return;
	}
	m->suspect = level == 0 ? 1 : 2;
	if (level > 0)
		log_warn("%s: was in flight when deliver crashed again; tried alone", qid_text(m->id).s);
	TAILQ_INSERT_TAIL(&su.suspects, m, suspect_link);
}

static void
accuse_lost(void)
{
	struct message *m;
	unsigned n = 0;

	while ((m = TAILQ_FIRST(&su.lost)) != NULL) {
		unlose(m);
		accuse(m);
		n++;
	}
	log_warn("deliver crashed with %u messages in flight: they are tried again one at a time", n);
}

void
suspect_lost(struct message *m)
{
	if (m->lost)
		return;
	m->lost = true;
	TAILQ_INSERT_TAIL(&su.lost, m, lost_link);
}

void
suspect_closed(void)
{
	if (su.crashed)
		accuse_lost();
	su.crashed = false;
}

void
suspect_crashed(void)
{
	if (TAILQ_EMPTY(&su.lost))
		su.crashed = true;
	else
		accuse_lost();
}

void
suspect_edge(void)
{
	struct message *m;

	while ((m = TAILQ_FIRST(&su.lost)) != NULL)
		unlose(m);
	su.crashed = false;
}

void
suspect_result(struct message *m)
{
	clear(m);
	m->kills = 0;
}

void
suspect_gone(struct message *m)
{
	clear(m);
	unlose(m);
}

bool
suspect_waits(const struct message *m)
{
	return m->suspect > 0 && (!m->trial || m == su.trial);
}

bool
suspect_may_go(const struct message *m)
{
	return m->suspect == 0 || m->trial;
}

struct message *
suspect_alone(void)
{
	return su.trial != NULL && su.trial->suspect == 2 ? su.trial : NULL;
}

static void
timer(void *arg)
{
	(void)arg;
}

static struct message *
next_trial(void)
{
	struct message *m;

	TAILQ_FOREACH(m, &su.suspects, suspect_link)
		if (!m->trial)
			break;
	return m;
}

/* The trial may go on, but the others wait no longer: it is slow, that is all so far. */
static void
lose_patience(struct message *m)
{
	m->suspect = 1;
	su.trial = NULL;
}

void
suspect_run(void)
{
	struct message *m = su.trial;

	if (m != NULL && message_busy(m) && clock_now() - su.since < PATIENCE_MS)
		return;
	if (m != NULL && message_busy(m))
		lose_patience(m);
	else if (m != NULL) {			/* its destination rests, say: nothing can be learned now */
		clear(m);
		ready_settle(m);
	}
	if ((m = su.trial = next_trial()) == NULL)
		return;
	m->trial = true;
	su.since = clock_now();
	if (su.timer.cb == NULL)
		ev_timer_init(&su.timer, timer, NULL);
	ev_timer_set(&su.timer, PATIENCE_MS);
	sched_queue(m);
}
