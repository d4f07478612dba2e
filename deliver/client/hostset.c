/*
 * dest: see dest.h. Destinations by their host set, and the decision when a connection is made.
 *
 * A job whose hosts all rest goes back with NOT_BEFORE: a destination that is down costs one connection at the end of each rest,
 * however much mail waits for it. Destinations live until dest_sweep finds them unused. What waits for one whose source is suspended
 * goes back to route, which knows another. The handler of SUSPENDED stands here.
 */
#include <stdlib.h>
#include <string.h>
#include "client/conn.h"
#include "client/hostset.h"
#include "proc/ev.h"
#include "base/log.h"
#include "client/nexthop.h"
#include "base/xmalloc.h"

MSG_PROTOTYPES(QUEUE_TO_DELIVER)

#define PATIENCE_MS	(60 * 1000)
#define HOLD_MS		(2 * 1000)	/* what the rate lets go later than this waits in the queue */
#define HOLD_LAST_MS	(60 * 1000)	/* ... or than this, where it is the only one of its destination */
#define HOLD_MOST	500		/* jobs at one gate */
#define SOONER_MS	500		/* they come back before it is their time */

static int
compare(const struct dest *a, const struct dest *b)
{
	return strcmp(a->key, b->key);
}

RB_HEAD(dest_tree, dest);
RB_GENERATE_INTERNAL(dest_tree, dest, entry, compare, static __attribute__((unused)))
TAILQ_HEAD(dest_list, dest);

static struct dest_tree dests = RB_INITIALIZER(&dests);
static struct dest_list due = TAILQ_HEAD_INITIALIZER(due);
static struct dest_list starved = TAILQ_HEAD_INITIALIZER(starved);

/* ---- life ---- */

/* Whom a bound is for: all that a block fits, or this set of hosts alone. */
static struct gate *
gate_for(const char *what, uint64_t rate, uint64_t burst, unsigned limit, const struct conf_dest *by, const char *hosts,
    const struct source *source)
{
	static const char *const kinds[] = {
		[DEST_EXACT] = "domain", [DEST_SUFFIX] = "below", [DEST_MX] = "mx", [DEST_MX_GLOB] = "mx", [DEST_ANY] = "any"
	};
	char *key = xasprintf("%s %llu %llu %u %s %s from %s", what, (unsigned long long)rate, (unsigned long long)burst, limit,
	    by != NULL ? kinds[by->kind] : "hosts", by != NULL ? by->text : hosts,
	    source != NULL ? source->key : "any");
	struct gate *g = gate_hold(key, rate, burst, limit);

	free(key);
	return g;
}

static struct dest *
dest_new(char *key, struct mx_set *set, const struct dest_policy *policy, bool smarthost, struct source *source)
{
	struct dest *d = xcalloc(1, sizeof *d);
	size_t i;

	d->key = key;
	d->set = *set;
	d->at_rate.dest = d->at_room.dest = d;
	d->messages = policy->messages;
	d->recipients = policy->recipients;
	d->eightbit = policy->eightbit;
	window_init(&d->window);
	d->rest_most = policy->retry_min;
	d->smarthost = smarthost;
	if ((d->source = source) != NULL)
		source_hold(source);
	d->host = xcalloc(set->n, sizeof *d->host);
	for (i = 0; i < set->n; i++)
		d->host[i] = host_hold((const struct sockaddr *)&set->v[i].sa, source);
	TAILQ_INIT(&d->waiting[LINE_NEW]);
	TAILQ_INIT(&d->waiting[LINE_OLD]);
	TAILQ_INIT(&d->idle);
	RB_INSERT(dest_tree, &dests, d);
	return d;
}

struct dest *
dest_get(struct mx_set *set, const struct dest_policy *policy, bool smarthost, struct source *source)
{
	struct dest key, *d;
	char *hosts = mx_text(set);
	struct gate *rate = gate_for("rate", policy->rate, policy->burst, 0, policy->rate_by, hosts, source);
	struct gate *room = gate_for("room", 0, 0, policy->concurrency, policy->concurrency_by, hosts, source);

	key.key = xasprintf("%s %u %u %u %llu (%s) (%s) %s", smarthost ? "smarthost" : "mx", policy->messages, policy->recipients,
	    policy->eightbit, (unsigned long long)policy->retry_min, rate->key, room->key, hosts);
	free(hosts);
	if ((d = RB_FIND(dest_tree, &dests, &key)) == NULL) {
		d = dest_new(key.key, set, policy, smarthost, source);
		d->rate = rate;
		d->room = room;
	} else {
		free(key.key);
		mx_rank(&d->set, set);
		mx_free(set);
		gate_drop(rate);
		gate_drop(room);
	}
	*set = (struct mx_set){ NULL, 0 };
	dest_hold(d);
	return d;
}

void
dest_hold(struct dest *d)
{
	d->routes++;
}

void
dest_drop(struct dest *d)
{
	d->routes--;
}

static void
dest_free(struct dest *d)
{
	size_t i;

	RB_REMOVE(dest_tree, &dests, d);
	gate_leave(d->rate, &d->at_rate);
	gate_leave(d->room, &d->at_room);
	gate_drop(d->rate);
	gate_drop(d->room);
	for (i = 0; i < d->set.n; i++)
		host_drop(d->host[i]);
	free(d->host);
	mx_free(&d->set);
	source_drop(d->source);
	free(d->key);
	free(d);
}

void
dest_sweep(void)
{
	struct dest *d, *next;

	for (d = RB_MIN(dest_tree, &dests); d != NULL; d = next) {
		next = RB_NEXT(dest_tree, &dests, d);
		if (d->routes == 0 && d->nwaiting == 0 && d->nconn == 0 && !d->due && !d->starved)
			dest_free(d);
	}
}

/* ---- the line of jobs ---- */

void
dest_due(struct dest *d)
{
	if (d->due || d->starved)
		return;
	d->due = true;
	TAILQ_INSERT_TAIL(&due, d, run);
}

/* What its rate lets go much later goes back to the queue, so that it takes no place from others. -> ms; 0: it stays */
static uint64_t
too_early(const struct dest *d)
{
	uint64_t ms = gate_wait(d->rate);

	if (ms <= HOLD_MS || (ms <= HOLD_LAST_MS && d->nwaiting == 0 && d->rate->line < HOLD_MOST))
		return 0;
	return ms - SOONER_MS;
}

static struct job_list *
line_of(struct dest *d, const struct job *j)
{
	return &d->waiting[j->old ? LINE_OLD : LINE_NEW];
}

static void
stands(struct dest *d)
{
	d->nwaiting++;
	d->rate->line++;
	dest_due(d);
}

static void
leaves(struct dest *d, struct job *j)
{
	TAILQ_REMOVE(line_of(d, j), j, wait);
	d->nwaiting--;
	d->rate->line--;
}

static void
end_rests(struct dest *d)
{
	size_t i;

	for (i = 0; i < d->set.n; i++)
		host_worked(d->host[i]);
}

void
dest_add(struct dest *d, struct job *j)
{
	uint64_t ms = too_early(d);

	if (j->hurry)
		end_rests(d);
	if (ms > 0) {
		job_not_before(j, ms);
		return;
	}
	j->since = ev_now_ms();
	TAILQ_INSERT_TAIL(line_of(d, j), j, wait);
	stands(d);
}

void
dest_return(struct dest *d, struct job *j)
{
	TAILQ_INSERT_HEAD(line_of(d, j), j, wait);
	stands(d);
}

struct job *
dest_take(struct dest *d)
{
	bool new = !TAILQ_EMPTY(&d->waiting[LINE_NEW]), old = !TAILQ_EMPTY(&d->waiting[LINE_OLD]);
	enum line line = turns_next(&d->turns, new, old);
	struct job *j = TAILQ_FIRST(&d->waiting[line]);

	if (j == NULL)
		return NULL;
	turns_took(&d->turns, line, new && old);
	leaves(d, j);
	return j;
}

bool
dest_pass(struct dest *d)
{
	return gate_pass(d->rate, &d->at_rate);
}

bool
dest_open(const struct dest *d)
{
	return gate_open(d->rate, &d->at_rate);
}

/* The one that waited longest, in either line. */
static struct job *
eldest(const struct dest *d)
{
	struct job *new = TAILQ_FIRST(&d->waiting[LINE_NEW]), *old = TAILQ_FIRST(&d->waiting[LINE_OLD]);

	if (new == NULL || old == NULL)
		return new != NULL ? new : old;
	return new->since <= old->since ? new : old;
}

void
dest_failed(struct dest *d, uint64_t since, const struct verdict *v)
{
	struct job *j;

	while (d->nready == 0 && (j = eldest(d)) != NULL && j->since <= since) {
		if (d->nopen > 0 && ev_now_ms() - j->since < PATIENCE_MS)
			return;
		leaves(d, j);
		job_settle(j, v);
	}
}

/* ---- connections ---- */

void
dest_good(struct dest *d)
{
	unsigned before = d->window.size;

	window_good(&d->window, d->room->limit, ev_now_ms());
	if (d->window.size > before && d->nwaiting > 0)
		dest_due(d);
}

void
dest_bad(struct dest *d)
{
	window_bad(&d->window, ev_now_ms());
}

void
dest_full(struct dest *d)
{
	window_full(&d->window, d->nready, ev_now_ms());
}

void
dest_down(struct dest *d)
{
	window_down(&d->window, ev_now_ms());
}

/* ms until the first host may be tried; 0: now. */
static uint64_t
rest(const struct dest *d)
{
	uint64_t least = UINT64_MAX, ms;
	size_t i;

	for (i = 0; i < d->set.n; i++)
		if ((ms = host_rest(d->host[i])) < least)
			least = ms;
	return least;
}

/* Jobs wait in the queue while all hosts rest; then a first connection looks whether it is over. They take along why, and whose fault it is. */
static void
hand_back(struct dest *d, uint64_t ms)
{
	const char *why = d->set.n > 0 ? host_why(d->host[0]) : "";
	char relay[384];
	struct job *j;

	if (*why != '\0')
		mx_relay(&d->set.v[0], relay, sizeof relay);
	while ((j = dest_take(d)) != NULL) {
		if (*why != '\0')
			job_relay(j, relay);
		job_put_off(j, ms, *why != '\0' ? "4.4.1" : "", why);
	}
}

/* Nothing comes back here while the source is suspended. */
static void
to_other_sources(struct dest *d)
{
	struct job *j;

	while ((j = dest_take(d)) != NULL)
		route(j);
}

/* A new connection has its first message's pass with it, so there are no more of them than the rate has use for. */
static void
connect_more(struct dest *d)
{
	while (d->nwaiting > d->nconn - d->nready && d->nconn < d->window.size && rest(d) == 0) {
		if (!conn_room()) {
			d->starved = true;
			TAILQ_INSERT_TAIL(&starved, d, run);
			return;
		}
		if (!dest_pass(d))
			return;
		if (!gate_enter(d->room, &d->at_room)) {
			gate_back(d->rate);
			conn_make_room(d->room);
			return;
		}
		if (!conn_start(d))
			return;
	}
}

void
dest_look(struct dest *d)
{
	struct conn *c;
	uint64_t ms;

	if (source_suspended(d->source))
		to_other_sources(d);
	while (d->nwaiting > 0 && (c = TAILQ_FIRST(&d->idle)) != NULL) {
		if (!dest_pass(d))
			return;
		conn_wake(c);
	}
	if (d->nwaiting == 0)
		return;
	if (d->nconn == 0 && (ms = rest(d)) > 0)
		hand_back(d, ms);
	connect_more(d);
}

/* What is under way by them is finished. */
void
on_SUSPENDED(struct edge *queue, uint32_t id, struct p_sources *p, int fd)
{
	struct dest *d;

	(void)queue;
	(void)id;
	(void)fd;
	source_suspend(p);
	conn_quit_suspended();
	RB_FOREACH(d, dest_tree, &dests)
		if (source_suspended(d->source))
			dest_due(d);
}

void
dest_turn(void)
{
	struct dest *d;

	while ((d = TAILQ_FIRST(&due)) != NULL) {
		TAILQ_REMOVE(&due, d, run);
		d->due = false;
		dest_look(d);
	}
}

void
dest_room(struct dest *of)
{
	struct dest *d = TAILQ_FIRST(&starved);

	gate_exit(of->room);
	if (d == NULL)
		return;
	TAILQ_REMOVE(&starved, d, run);
	d->starved = false;
	dest_due(d);
}

void
dest_drain(void)
{
	struct dest *d;
	struct job *j;

	RB_FOREACH(d, dest_tree, &dests)
		while ((j = dest_take(d)) != NULL)
			job_not_before(j, DRAIN_MS);
}
