/*
 * dest: see dest.h. Destinations by their host set, and the decision when a connection is made.
 *
 * A job whose hosts all rest goes back with NOT_BEFORE, except at its first attempt: that one really connects, so that its
 * sender's message has a reason of its own. Destinations live until dest_sweep finds them unused.
 */
#include <stdlib.h>
#include <string.h>
#include "conn.h"
#include "dest.h"
#include "ev.h"
#include "log.h"
#include "xmalloc.h"

#define CAP_MS		(60 * 1000)
#define PATIENCE_MS	(60 * 1000)

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

static struct dest *
dest_new(char *key, struct mx_set *set, const struct dest_policy *policy, bool smarthost)
{
	struct dest *d = xcalloc(1, sizeof *d);
	size_t i;

	d->key = key;
	d->set = *set;
	d->limit = policy->concurrency > 0 ? policy->concurrency : 1;
	d->rest_most = policy->retry_min;
	d->smarthost = smarthost;
	d->host = xcalloc(set->n, sizeof *d->host);
	for (i = 0; i < set->n; i++)
		d->host[i] = host_hold((const struct sockaddr *)&set->v[i].sa);
	TAILQ_INIT(&d->waiting);
	TAILQ_INIT(&d->idle);
	RB_INSERT(dest_tree, &dests, d);
	return d;
}

struct dest *
dest_get(struct mx_set *set, const struct dest_policy *policy, bool smarthost)
{
	struct dest key, *d;
	char *hosts = mx_text(set);

	key.key = xasprintf("%s %u %llu %s", smarthost ? "smarthost" : "mx", policy->concurrency,
	    (unsigned long long)policy->retry_min, hosts);
	free(hosts);
	if ((d = RB_FIND(dest_tree, &dests, &key)) == NULL)
		d = dest_new(key.key, set, policy, smarthost);
	else {
		free(key.key);
		mx_free(set);
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
	for (i = 0; i < d->set.n; i++)
		host_drop(d->host[i]);
	free(d->host);
	mx_free(&d->set);
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

void
dest_add(struct dest *d, struct job *j)
{
	j->since = ev_now_ms();
	TAILQ_INSERT_TAIL(&d->waiting, j, wait);
	d->nwaiting++;
	dest_due(d);
}

void
dest_return(struct dest *d, struct job *j)
{
	TAILQ_INSERT_HEAD(&d->waiting, j, wait);
	d->nwaiting++;
	dest_due(d);
}

struct job *
dest_take(struct dest *d)
{
	struct job *j = TAILQ_FIRST(&d->waiting);

	if (j == NULL)
		return NULL;
	TAILQ_REMOVE(&d->waiting, j, wait);
	d->nwaiting--;
	return j;
}

void
dest_failed(struct dest *d, uint64_t since, const struct verdict *v, const char *relay)
{
	struct job *j;

	while (d->nready == 0 && (j = TAILQ_FIRST(&d->waiting)) != NULL && j->since <= since) {
		if (d->nopen > 0 && ev_now_ms() - j->since < PATIENCE_MS)
			return;
		dest_take(d);
		if (relay != NULL)
			job_relay(j, relay);
		job_settle(j, v);
	}
}

/* ---- connections ---- */

void
dest_full(struct dest *d)
{
	d->cap = d->nready > 0 ? d->nready : 1;
	d->cap_until = ev_now_ms() + CAP_MS;
}

static unsigned
most_conns(const struct dest *d)
{
	return d->cap_until > ev_now_ms() && d->cap < d->limit ? d->cap : d->limit;
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

/* Jobs that were tried before wait in the queue while all hosts rest. */
static void
hand_back(struct dest *d, uint64_t ms)
{
	struct job *j, *next;

	for (j = TAILQ_FIRST(&d->waiting); j != NULL; j = next) {
		next = TAILQ_NEXT(j, wait);
		if (j->attempt <= 1)
			continue;
		TAILQ_REMOVE(&d->waiting, j, wait);
		d->nwaiting--;
		job_not_before(j, ms);
	}
}

/* While all hosts rest, one connection at a time looks whether they still do. */
static void
connect_more(struct dest *d)
{
	while (d->nwaiting > d->nconn - d->nready && d->nconn < most_conns(d) && (d->nconn == 0 || rest(d) == 0)) {
		if (!conn_room()) {
			d->starved = true;
			TAILQ_INSERT_TAIL(&starved, d, run);
			return;
		}
		if (!conn_start(d))
			return;
	}
}

static void
run(struct dest *d)
{
	struct conn *c;
	uint64_t ms;

	while (d->nwaiting > 0 && (c = TAILQ_FIRST(&d->idle)) != NULL)
		conn_wake(c);
	if (d->nwaiting == 0)
		return;
	if (d->nconn == 0 && (ms = rest(d)) > 0)
		hand_back(d, ms);
	connect_more(d);
}

void
dest_turn(void)
{
	struct dest *d;

	while ((d = TAILQ_FIRST(&due)) != NULL) {
		TAILQ_REMOVE(&due, d, run);
		d->due = false;
		run(d);
	}
}

void
dest_room(void)
{
	struct dest *d = TAILQ_FIRST(&starved);

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
