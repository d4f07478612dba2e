/*
 * sched: recipients that are due go to their destinations; destinations in turn give jobs to deliver, under two windows.
 *
 * Called by the main loop. Owns nothing but the switch for pausing: messages are ready.c's, destinations dest.c's, jobs job.c's.
 * A recipient whose action is gone since a reload is routed anew on the facts in its envelope.
 */
#include <stdlib.h>
#include <string.h>
#include "act.h"
#include "addr.h"
#include "child.h"
#include "clock.h"
#include "dest.h"
#include "ev.h"
#include "job.h"
#include "load.h"
#include "log.h"
#include "qid.h"
#include "ready.h"
#include "result.h"
#include "route.h"
#include "rows.h"
#include "sched.h"
#include "suspect.h"
#include "suspend.h"
#include "xmalloc.h"

#define LOCAL_WINDOW	100		/* jobs of a destination that is on this host */
#define PAIRS_WINDOW	20		/* of another one: up to so many, two for each connection */
#define REST_MS		5000		/* what rests longer leaves memory */
#define TICK_MS		50
#define EVICT_MAX	200		/* a turn */
#define AGAIN_MS	60000		/* a routing question that cannot be answered now */

static struct {
	bool		 paused;
	bool		 asking;		/* an answer that comes now is seen by enqueue */
	struct ev_timer	 tick;
} sc;

/* ---- destinations and the configuration ---- */

/*
 * A connection sends the next message along behind the one before, so where there are few each has a job for that. Where there are many
 * these would take their places from other destinations.
 */
static unsigned
window_of(unsigned connections)
{
	if (connections >= PAIRS_WINDOW)
		return connections;
	return 2 * connections < PAIRS_WINDOW ? 2 * connections : PAIRS_WINDOW;
}

static void
policy(struct dest *d)
{
	const struct conf *c = child_conf();
	struct dest_policy p;

	d->index = conf_action(c, d->action);
	d->kind = d->index == -1 ? -1 : (int)c->action[d->index].kind;
	d->window = LOCAL_WINDOW;
	d->most = DEST_JOB;
	if (d->kind != ACTION_RELAY)
		return;
	p = conf_policy(c, &c->action[d->index], d->domain, d->mx);
	d->window = window_of(p.concurrency);
	d->most = p.recipients;
}

/* ---- into the line ---- */

struct again {
	uint64_t	 id;
	uint32_t	 n;
};

static void
routed(void *arg, enum match_result result, const struct match *mt)
{
	struct again *a = arg;
	struct message *m = ready_find(a->id);
	uint32_t n = a->n;

	free(a);
	if (m == NULL || m->rcpts[n].state != R_ROUTING)
		return;
	rcpt_due(m, n, clock_now());
	rcpt_set(m, n, R_IDLE);
	if (result == MATCH_OK)
		m->env.rcpts[n].action = message_strdup(m, child_conf()->action[mt->action].name);
	else if (mt->code >= 500)
		result_refused(m, n, mt->code, mt->dsn, mt->text);
	else
		rcpt_due(m, n, clock_now() + AGAIN_MS);
	if (!sc.asking)
		sched_queue(m);
}

static void
route_again(struct message *m, uint32_t n)
{
	struct again *a = xcalloc(1, sizeof(*a));
	struct sockaddr_storage ss;
	struct match_facts f = m->env.birth != 0 ? route_own() : route_facts(&m->env, &ss);

	a->id = m->id;
	a->n = n;
	rcpt_set(m, n, R_ROUTING);
	sc.asking = true;
	route_ask(&f, m->env.rcpts[n].addr, routed, a);
	sc.asking = false;
}

void
sched_reroute(struct message *m, uint32_t n)
{
	route_again(m, n);
}

static void
enqueue(struct message *m, uint32_t n, int64_t now)
{
	int64_t later;
	const struct p_env_rcpt *e = &m->env.rcpts[n];
	struct dest *d = dest_get(e->action, addr_domain(e->addr), now);

	if (d->index == -1) {
		route_again(m, n);
		if (m->rcpts[n].state != R_IDLE || m->rcpts[n].due > now)
			return;
		d = dest_get(e->action, addr_domain(e->addr), now);
	}
	if (m->rcpts[n].hurry && !suspend_has(SUSPEND_DOMAIN, d->domain))
		dest_ask(d, m->rcpts[n].due);
	m->rcpts[n].hurry = false;
	if (suspend_has(SUSPEND_DOMAIN, d->domain))
		rcpt_due(m, n, now + SUSPEND_MS);
	else if (d->rest > now + REST_MS) {
		if (!result_at_rest(m, n, d->why, now))
			rcpt_due(m, n, d->rest);
	} else if ((later = dest_put_off(d, m, ready_room(message_line(m)), now)) > 0)
		rcpt_due(m, n, later);
	else
		dest_add(d, m, n);
}

/* Of many recipients a job's result changes few: the others are not looked at each time. */
static void
enqueue_due(struct message *m, int64_t now)
{
	int64_t look = INT64_MAX;
	uint32_t i;

	for (i = 0; i < m->env.rcpts_n; i++) {
		if (m->rcpts[i].state == R_IDLE && m->rcpts[i].due <= now)
			enqueue(m, i, now);
		if (m->rcpts[i].state == R_IDLE && m->rcpts[i].due < look)
			look = m->rcpts[i].due;
	}
	m->look = look;
}

void
sched_queue(struct message *m)
{
	int64_t now = clock_now();

	if (m->later)
		act_returned(m);
	if (m->count[R_IDLE] > 0 && m->look <= now && m->pins == 0 && !m->awaited && suspect_may_go(m))
		enqueue_due(m, now);
	ready_settle(m);
}

void
sched_fresh(struct message *m)
{
	if (ready_full()) {
		ready_overflow(m);
		return;
	}
	ready_add_fresh(m);
	sched_queue(m);
}

/* ---- out of the line ---- */

static void
give(struct dest *d)
{
	uint32_t first, count;
	struct message *m = dest_take(d, d->most, &first, &count);

	if (d->kind == ACTION_DISCARD)
		result_discard(m, d, first);
	else
		job_send(m, d, first, count);
}

static void
give_alone(struct message *m)
{
	struct dest *d = dest_hurry(m);

	if (d != NULL && job_flying() == 0)
		give(d);
}

static void
evict(void)
{
	int64_t now = clock_now();
	struct message *m;
	struct dest *d;
	uint32_t first;
	unsigned n;

	for (n = 0; n < EVICT_MAX && (m = dest_evict(now + REST_MS, &d, &first)) != NULL; n++) {
		for (; first != UINT32_MAX; first = m->rcpts[first].next)
			result_at_rest(m, first, d->why, now);
		result_after(m);
	}
	if (n == EVICT_MAX)
		ev_wake();
	if (sc.tick.due == 0 && dest_wake_at() != INT64_MAX)
		ev_timer_set(&sc.tick, TICK_MS);
}

static void
tick(void *arg)
{
	(void)arg;
	dest_wake(clock_now());
}

void
sched_run(void)
{
	struct message *alone;
	struct dest *d;

	load_run();
	rows_run();
	suspect_run();
	evict();
	if (sc.paused || !job_may_send())
		return;
	if ((alone = suspect_alone()) != NULL) {
		give_alone(alone);
		return;
	}
	while (job_flying() < SCHED_WINDOW && job_may_send() && (d = dest_next()) != NULL)
		give(d);
}

/* ---- switches ---- */

void
sched_wake_all(void)
{
	const char *domain;
	size_t i;

	dest_wake_all();
	job_rest_over();
	for (i = 0; (domain = suspend_nth(SUSPEND_DOMAIN, i)) != NULL; i++)
		sched_suspend(domain, true);
}

/* What stands in line leaves it by and by, as for any destination that rests for long (evict). */
void
sched_suspend(const char *domain, bool on)
{
	dest_rest_domain(domain, on ? clock_now() + SUSPEND_MS : 0);
	ev_wake();
}

void
sched_pause(bool on)
{
	sc.paused = on;
}

bool
sched_paused(void)
{
	return sc.paused;
}

void
sched_conf(void)
{
	dest_regenerate(child_conf()->generation, clock_now(), sched_queue);
	route_conf();
}

void
sched_init(struct spool *sp, struct index *ix)
{
	ev_timer_init(&sc.tick, tick, NULL);
	dest_init(policy, child_conf()->generation);
	ready_init(sp, ix);
	load_init(sp, ix);
}
