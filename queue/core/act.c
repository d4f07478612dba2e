/*
 * act: see act.h.
 *
 * Owns nothing. Each deed is a function on one recipient that is not under way; for one that is, it is noted and done when the
 * delivery returns without success. A mark goes to the disk before the index hears of it, as always (ready_mark).
 */
#include <stdlib.h>
#include <string.h>
#include "core/act.h"
#include "notice/bounce.h"
#include "proc/clock.h"
#include "core/nexthop.h"
#include "proc/ev.h"
#include "core/history.h"
#include "core/job.h"
#include "core/ready.h"
#include "core/result.h"
#include "core/rows.h"
#include "core/sched.h"
#include "core/stats.h"
#include "base/xmalloc.h"

#define PART	500		/* recipients at once */

const struct act_words act_words[ACT__N] = { [ACT_RETRY] = { "retry", "tried again" }, [ACT_HOLD] = { "hold", "held" },
	[ACT_RELEASE] = { "release", "released" }, [ACT_REMOVE] = { "remove", "removed" },
	[ACT_BOUNCE] = { "bounce", "returned to the sender" }, [ACT_EXPIRE] = { "expire", "given up" },
	[ACT_REROUTE] = { "reroute", "routed anew" }, [ACT_RETRY_HELD] = { "retry", "tried again" } };

/* Each finds the recipient R_IDLE, R_HELD or R_OWED; asked: since when it is wanted; -> something was done */

/* Due since it was asked for, so that a rest of its destination that began later holds. */
static void
hurry(struct message *m, uint32_t n, int64_t asked)
{
	rcpt_due(m, n, asked);
	m->rcpts[n].hurry = true;
}

/* It ends with a notice, which takes its time: until that is on the disk the mark says that it is to come, and a start finds it due. */
static void
noted(struct message *m, uint32_t n, enum act act, int64_t asked)
{
	ready_note(m, n, act_mark(act));
	rcpt_due(m, n, asked);
}

static bool
act_retry(struct message *m, uint32_t n, int64_t asked)
{
	if (m->rcpts[n].state != R_IDLE)
		return false;
	hurry(m, n, asked);
	return true;
}

static bool
act_hold(struct message *m, uint32_t n, int64_t asked)
{
	(void)asked;
	if (m->rcpts[n].state != R_IDLE)
		return false;
	ready_mark(m, n, MARK_HELD);
	return true;
}

static bool
act_release(struct message *m, uint32_t n, int64_t asked)
{
	if (m->rcpts[n].state != R_HELD)
		return false;
	ready_mark(m, n, MARK_PENDING);
	hurry(m, n, asked);
	return true;
}

static bool
act_remove(struct message *m, uint32_t n, int64_t asked)
{
	struct job *j = m->rcpts[n].job;

	(void)asked;
	stats.removed++;
	history_add(m, n, HISTORY_REMOVED, 0, "", "removed by the administrator", "");
	m->rcpts[n].job = NULL;
	ready_mark(m, n, MARK_REMOVED);
	job_owed_done(j);
	return true;
}

/* No server said so: the last one's words are quoted. */
static bool
act_bounce(struct message *m, uint32_t n, int64_t asked)
{
	const struct last *l = m->rcpts[n].last;
	char *text;

	if (m->rcpts[n].state == R_OWED)
		return false;
	noted(m, n, ACT_BOUNCE, asked);
	text = l != NULL && *l->full != '\0' ? xasprintf("returned by the administrator; the last attempt ended with: %s", l->full) :
	    xstrdup("returned by the administrator");
	result_refused(m, n, 0, "5.0.0", text);
	free(text);
	return true;
}

static bool
act_expire(struct message *m, uint32_t n, int64_t asked)
{
	if (m->rcpts[n].state == R_OWED)
		return false;
	noted(m, n, ACT_EXPIRE, asked);
	m->rcpts[n].job = NULL;
	result_expired(m, n, "given up by the administrator");
	return true;
}

static bool
act_reroute(struct message *m, uint32_t n, int64_t asked)
{
	(void)asked;
	if (m->rcpts[n].state != R_IDLE)
		return false;
	ready_note(m, n, act_mark(ACT_REROUTE));
	sched_reroute(m, n);
	return true;
}

static bool
act_retry_held(struct message *m, uint32_t n, int64_t asked)
{
	return m->rcpts[n].state == R_HELD ? act_release(m, n, asked) : act_retry(m, n, asked);
}

static bool (*const deeds[])(struct message *, uint32_t, int64_t) = { [ACT_RETRY] = act_retry, [ACT_HOLD] = act_hold,
	[ACT_RELEASE] = act_release, [ACT_REMOVE] = act_remove, [ACT_BOUNCE] = act_bounce, [ACT_EXPIRE] = act_expire,
	[ACT_REROUTE] = act_reroute,
	[ACT_RETRY_HELD] = act_retry_held };

/* What it is doing now cannot be taken back: the deed waits, and takes the place of one that waits already. */
static void
note_later(struct acting *a, uint32_t n)
{
	struct rcpt *r = &a->m->rcpts[n];

	if (a->act == ACT_RETRY)
		return;
	if (a->act == ACT_RELEASE || a->act == ACT_RETRY_HELD) {
		a->done += r->later == ACT_HOLD;
		if (r->later == ACT_HOLD) {
			r->later = ACT_NONE;
			ready_note(a->m, n, MARK_PENDING);
		}
		return;
	}
	a->replaced += r->later != ACT_NONE && r->later != a->act;
	a->later++;
	a->done++;
	r->later = (uint8_t)a->act;
	a->m->later = true;
	ready_note(a->m, n, act_mark(a->act));
}

/* Those are chosen that are meant as they are now: what stands in line leaves it, and is not due for others' eyes any more. */
void
act_begin(struct acting *a, struct message *m, enum act act, int64_t asked, bool (*wants)(void *, const struct message *, uint32_t),
    void *arg)
{
	uint32_t i;

	*a = (struct acting){ .act = act, .asked = asked, .m = m, .chosen = xcalloc(m->env.rcpts_n + 1, sizeof(bool)) };
	for (i = 0; i < m->env.rcpts_n; i++)
		a->chosen[i] = m->rcpts[i].state != R_FINAL && wants(arg, m, i);
	dest_drop(m);
}

static void
act_one(struct acting *a, uint32_t n)
{
	struct message *m = a->m;
	uint8_t state = m->rcpts[n].state;

	/* What an earlier run left to be done is done when the pin is gone. */
	if (state == R_FLYING || state == R_ROUTING || (state == R_IDLE && m->rcpts[n].later != ACT_NONE))
		note_later(a, n);
	else if (state != R_NOTICE && state != R_FINAL)
		a->done += deeds[a->act](m, n, a->asked);
}

bool
act_part(struct acting *a)
{
	struct message *m = a->m;
	uint32_t end = m->env.rcpts_n - a->at < PART ? m->env.rcpts_n : a->at + PART;

	ready_marks_begin(m);
	for (; a->at < end; a->at++)
		if (a->chosen[a->at])
			act_one(a, a->at);
	ready_marks_write();
	ev_wake();
	if (a->at < m->env.rcpts_n)
		return false;
	act_end(a);
	return true;
}

void
act_end(struct acting *a)
{
	struct message *m = a->m;
	uint64_t id;

	free(a->chosen);
	a->chosen = NULL;
	a->m = NULL;
	if (m == NULL)
		return;
	id = m->id;
	m->pins--;
	sched_queue(m);
	/* What is in memory still has it in its row too, so that selections see it. */
	if (a->done > 0 && (m = ready_find(id)) != NULL && m->row)
		rows_put(m);
}

void
act_returned(struct message *m)
{
	uint32_t i;
	uint8_t act;

	m->later = false;
	for (i = 0; i < m->env.rcpts_n; i++) {
		if ((act = m->rcpts[i].later) == ACT_NONE)
			continue;
		if (m->rcpts[i].state != R_IDLE) {
			m->later = m->later || m->rcpts[i].state == R_FLYING || m->rcpts[i].state == R_ROUTING;
			continue;
		}
		if (act != ACT_REMOVE)
			m->rcpts[i].later = ACT_NONE;
		deeds[act](m, i, clock_now());
	}
}
