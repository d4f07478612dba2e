/*
 * sched: recipients that are due go to their destinations; destinations in turn give jobs to deliver, under two windows.
 *
 * Called by the main loop. Owns nothing but the switch for pausing: messages are ready.c's, destinations dest.c's, jobs job.c's.
 * A recipient whose action is gone since a reload is routed anew on the facts in its envelope.
 */
#include <stdlib.h>
#include <string.h>
#include "core/act.h"
#include "mail/addr.h"
#include "program/child.h"
#include "proc/clock.h"
#include "core/nexthop.h"
#include "core/dues.h"
#include "proc/ev.h"
#include "core/job.h"
#include "core/load.h"
#include "base/log.h"
#include "mail/qid.h"
#include "core/ready.h"
#include "core/result.h"
#include "core/rules.h"
#include "core/rows.h"
#include "core/sched.h"
#include "core/suspect.h"
#include "core/suspend.h"
#include "base/xmalloc.h"

#define LOCAL_WINDOW	600		/* jobs of a destination that is on this host: what an agent has in hand (256), and what goes to and fro meanwhile */
#define RATE_WINDOW	500		/* jobs of all that share a rate: of those deliver keeps what it can start soon */
#define PAIRS_WINDOW	20		/* of another one: up to so many, two for each connection */
#define REST_MS		5000		/* what rests longer leaves memory */
#define HOSTS_MS	(5 * 60 * 1000)	/* whither a destination leads is asked again after that */
#define TICK_LEAST_MS	5
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

/* Each has the connections for itself. */
static unsigned
sources(const struct conf_action *a, const struct dest_policy *p)
{
	int pool = a->pool != -1 ? a->pool : p->pool;

	return pool == -1 ? 1 : (unsigned)child_conf()->pool[pool].nmember;
}

/*
 * Which others it shares the hosts with, or the rate: those have a window together, twice that of one of them. What leads to hosts that are
 * not known yet has few jobs until deliver says so, which it does before it connects.
 */
static void
join(struct dest *d, const struct conf_action *a, const struct dest_policy *p)
{
	unsigned window = window_of(p->concurrency * sources(a, p));
	uint64_t bound = window + (p->concurrency_by != NULL ? dest_key("room", p->concurrency_by->text) : 0);	/* others have other bounds */

	if (p->rate > 0 && p->rate_by != NULL)
		dest_join(d, dest_key("rate", p->rate_by->text) + p->rate_by->kind, window, RATE_WINDOW, false);
	else if (a->nvia > 0)
		dest_join(d, dest_key("smarthost", d->action) + bound, window, 2 * window, false);
	else if (d->hosts != 0)
		dest_join(d, d->hosts + bound, window, 2 * window, false);
	else
		dest_join(d, ROUND_UNKNOWN, window < DEST_UNKNOWN ? window : DEST_UNKNOWN, SCHED_WINDOW, false);
}

bool
sched_asks_hosts(const struct dest *d)
{
	return d->hosts == 0 || clock_now() - d->hosts_at > HOSTS_MS;
}

static void
policy(struct dest *d)
{
	const struct conf *c = child_conf();
	struct dest_policy p;

	d->index = conf_action(c, d->action);
	d->kind = d->index == -1 ? -1 : (int)c->action[d->index].kind;
	d->most = DEST_JOB;
	d->suspended = suspend_has(SUSPEND_DOMAIN, d->domain);
	if (d->kind != ACTION_RELAY) {
		dest_join(d, dest_key(d->action, d->domain), LOCAL_WINDOW, LOCAL_WINDOW, true);
		return;
	}
	p = conf_policy(c, &c->action[d->index], d->domain, d->mx);
	d->most = p.recipients;
	join(d, &c->action[d->index], &p);
}

/* ---- into the line ---- */

struct again {
	uint64_t	 id;
	uint32_t	 n;
};

/* Nobody is there for it until the administrator names somebody, and releases it. */
static void
hold(struct message *m, uint32_t n)
{
	log_warn("%s: to=<%s>: held: no `postmaster ADDRESS' in the configuration says who gets it", qid_text(m->id).s, m->env.rcpts[n].addr);
	rcpt_last(m, n, 450, "4.2.1", "held: no `postmaster ADDRESS' in the configuration says who gets root's and postmaster's mail", "");
	m->env.rcpts[n].action = ACTION_NONE;
	ready_mark(m, n, MARK_HELD);
}

static void
takes(struct message *m, uint32_t n, const struct match *mt)
{
	m->env.rcpts[n].action = message_strdup(m, child_conf()->action[mt->action].name);
	if (mt->to[0] != '\0')
		m->env.rcpts[n].addr = message_strdup(m, mt->to);
}

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
	if (result == MATCH_OK && mt->held)
		hold(m, n);
	else if (result == MATCH_OK)
		takes(m, n, mt);
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

/* What an administrator wants tried is asked for, suspended or not; the wish itself is over then. */
static void
hurry(struct message *m, uint32_t n, struct dest *d)
{
	if (m->rcpts[n].hurry && !d->suspended)
		dest_ask(d, m->rcpts[n].due);
	m->rcpts[n].hurry = false;
}

/*
 * Into the line of its destination. While that rests, or has enough in line, or nothing is sent at all, it waits in the index, due as it
 * is; stays: the message is in memory anyway, since something else of it is under way.
 */
static void
enqueue(struct message *m, uint32_t n, int64_t now, bool stays)
{
	const struct p_env_rcpt *e = &m->env.rcpts[n];
	struct dest *d = dest_get(e->action, addr_domain(e->addr), now);

	if (d->index == -1) {
		route_again(m, n);
		if (m->rcpts[n].state != R_IDLE || m->rcpts[n].due > now)
			return;
		d = dest_get(e->action, addr_domain(e->addr), now);
	}
	hurry(m, n, d);
	if (d->rest > now + REST_MS && result_at_rest(m, n, d->why, now))
		return;
	if (stays || (!dest_rests(d, now + REST_MS) && !sc.paused && dest_room(d, m, ready_room(message_line(m)))))
		dest_add(d, m, n);
}

/* -> when the next one is due */
static int64_t
enqueue_idle(struct message *m, int64_t now, bool stays)
{
	int64_t look = INT64_MAX;
	uint32_t i;

	for (i = 0; i < m->env.rcpts_n; i++) {
		if (m->rcpts[i].state == R_IDLE && m->rcpts[i].due <= now)
			enqueue(m, i, now, stays);
		if (m->rcpts[i].state == R_IDLE && m->rcpts[i].due > now && m->rcpts[i].due < look)
			look = m->rcpts[i].due;
	}
	return look;
}

/* Of many recipients a job's result changes few: the others are not looked at each time. */
static void
enqueue_due(struct message *m, int64_t now)
{
	int64_t look = enqueue_idle(m, now, false);

	if (m->count[R_IDLE] > 0 && message_busy(m))
		look = enqueue_idle(m, now, true);
	m->look = look;
}

void
sched_queue(struct message *m)
{
	int64_t now = clock_now();

	if (m->later && !job_told())
		return;			/* deliver may have it: on_JOBS_TOLD comes back to it */
	if (m->later)
		act_returned(m);
	if (m->count[R_IDLE] > 0 && m->look <= now && m->pins == 0 && !m->awaited && suspect_may_go(m))
		enqueue_due(m, now);
	if (!ready_settle(m))
		dues_set(m, now);
}

void
sched_stored(const struct message *m)
{
	int64_t now = clock_now();
	const char *action = NULL, *domain = NULL;
	struct dest *d = NULL;
	uint32_t i;

	for (i = 0; i < m->env.rcpts_n; i++) {
		const struct p_env_rcpt *e = &m->env.rcpts[i];

		if (m->rcpts[i].state != R_IDLE)
			continue;
		if (action != e->action || strcasecmp(domain, addr_domain(e->addr)) != 0) {
			action = e->action;
			domain = addr_domain(e->addr);
			d = dest_get(action, domain, now);
		}
		dest_stored(d, m->rcpts[i].due, m->id);
		if (m->rcpts[i].attempts == 0 && m->rcpts[i].due <= now && dest_rests(d, now) && !d->ages.on)
			dest_waits_untried(d, 1);
	}
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

/* What waits for a rest that is long gives its place in memory to others; it is in the index already, or gets there as any new mail. */
static void
evict(int64_t now)
{
	struct message *m;
	unsigned n;

	for (n = 0; n < EVICT_MAX && (m = dest_evict(now + REST_MS)) != NULL; n++)
		sched_queue(m);
	if (n == EVICT_MAX)
		ev_wake();
}

/* Whose time has come: rests that are over, rows and recipients that are due. */
static void
wake(int64_t now)
{
	int64_t next = dest_wake(now), due;
	struct message *m;

	while ((m = dues_next(now)) != NULL)
		sched_queue(m);
	due = dues_soonest();
	next = due < next ? due : next;
	if (next == INT64_MAX)
		ev_timer_clear(&sc.tick);
	else
		ev_timer_set(&sc.tick, next - now < TICK_LEAST_MS ? TICK_LEAST_MS : next - now > 3600 * 1000 ? 3600 * 1000 :
		    (uint64_t)(next - now));
}

static void
tick(void *arg)
{
	(void)arg;
}

void
sched_run(void)
{
	struct message *alone;
	int64_t now = clock_now();
	struct dest *d;

	wake(now);
	load_run(sc.paused);
	rows_run();
	suspect_run();
	evict(now);
	if (sc.paused || !job_may_send())
		return;
	if ((alone = suspect_alone()) != NULL) {
		give_alone(alone);
		return;
	}
	while (job_may_send() && (d = dest_next()) != NULL)
		give(d);
}

/* ---- switches ---- */

void
sched_wake_all(void)
{
	dest_wake_all();
	job_rest_over();
}

/* What stands in line leaves it by and by, as for any destination that rests for long (evict). */
void
sched_suspend(const char *domain, bool on)
{
	dest_suspend(domain, on);
	ev_wake();
}

void
sched_pause(bool on)
{
	sc.paused = on;
	ev_wake();
}

bool
sched_paused(void)
{
	return sc.paused;
}

void
sched_conf(void)
{
	dest_regenerate(child_conf()->generation, sched_queue);
	route_conf();
}

void
sched_init(struct spool *sp, struct index *ix)
{
	ev_timer_init(&sc.tick, tick, NULL);
	round_init(SCHED_WINDOW, SCHED_LOCAL);
	dest_init(policy, child_conf()->generation);
	ready_init(sp, ix);
	load_init(sp, ix);
}
