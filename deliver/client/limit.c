/*
 * gate: see gate.h. Owns the gates and their timers. Cannot fail: what may not pass waits.
 */
#include <stdlib.h>
#include <string.h>
#include "client/hostset.h"
#include "client/limit.h"
#include "base/xmalloc.h"

#define NS	1000000ULL		/* in a ms */

static int
compare(const struct gate *a, const struct gate *b)
{
	return strcmp(a->key, b->key);
}

RB_HEAD(gate_tree, gate);
RB_GENERATE_INTERNAL(gate_tree, gate, entry, compare, static __attribute__((unused)))

static struct gate_tree gates = RB_INITIALIZER(&gates);

static uint64_t
now(void)
{
	return ev_now_ms() * NS;
}

static void
await(struct gate *g, struct gate_place *p)
{
	if (p->waits)
		return;
	p->waits = true;
	TAILQ_INSERT_TAIL(&g->waiting, p, entry);
}

static void
set_timer(struct gate *g)
{
	if (!TAILQ_EMPTY(&g->waiting))
		ev_timer_set(&g->timer, rate_wait(&g->rate, now()) / NS + 1);
}

/* Something is due: those that wait have one turn each, as long as there is more. */
static void
turn(void *arg)
{
	struct gate *g = arg;
	struct gate_place *p;

	while ((p = TAILQ_FIRST(&g->waiting)) != NULL && rate_wait(&g->rate, now()) == 0) {
		gate_leave(g, p);
		g->serving = p;
		dest_look(p->dest);
		g->serving = NULL;
	}
	set_timer(g);
}

struct gate *
gate_hold(const char *name, uint64_t per_hour, uint64_t burst, unsigned limit)
{
	struct gate key, *g;

	key.key = xstrdup(name);
	if ((g = RB_FIND(gate_tree, &gates, &key)) == NULL) {
		g = xcalloc(1, sizeof *g);
		g->key = key.key;
		g->limit = limit;
		rate_set(&g->rate, per_hour, burst);
		TAILQ_INIT(&g->waiting);
		ev_timer_init(&g->timer, turn, g);
		RB_INSERT(gate_tree, &gates, g);
	} else
		free(key.key);
	g->held++;
	return g;
}

void
gate_drop(struct gate *g)
{
	g->held--;
}

void
gate_sweep(void)
{
	struct gate *g, *next;

	for (g = RB_MIN(gate_tree, &gates); g != NULL; g = next) {
		next = RB_NEXT(gate_tree, &gates, g);
		if (g->held > 0 || g->rate.next > now())
			continue;
		ev_timer_clear(&g->timer);
		RB_REMOVE(gate_tree, &gates, g);
		free(g->key);
		free(g);
	}
}

void
gate_leave(struct gate *g, struct gate_place *p)
{
	if (!p->waits)
		return;
	p->waits = false;
	TAILQ_REMOVE(&g->waiting, p, entry);
}

/* ---- messages ---- */

bool
gate_open(const struct gate *g, const struct gate_place *p)
{
	return (g->serving == p || TAILQ_EMPTY(&g->waiting)) && rate_wait(&g->rate, now()) == 0;
}

bool
gate_pass(struct gate *g, struct gate_place *p)
{
	if (!gate_open(g, p)) {
		await(g, p);
		if (g->timer.due == 0)
			set_timer(g);
		return false;
	}
	g->serving = NULL;
	rate_take(&g->rate, now());
	return true;
}

void
gate_force(struct gate *g)
{
	rate_take(&g->rate, now());
}

void
gate_back(struct gate *g)
{
	rate_give(&g->rate);
}

uint64_t
gate_wait(const struct gate *g)
{
	unsigned behind = g->line > g->granted ? g->line - g->granted : 0;

	return rate_wait_behind(&g->rate, now(), behind) / NS;
}

/* ---- connections ---- */

bool
gate_enter(struct gate *g, struct gate_place *p)
{
	if (g->limit > 0 && g->nconn >= g->limit) {
		await(g, p);
		return false;
	}
	gate_leave(g, p);
	g->nconn++;
	return true;
}

void
gate_exit(struct gate *g)
{
	struct gate_place *p;

	g->nconn--;
	if (TAILQ_EMPTY(&g->waiting))
		return;
	/* Some may have no use for it any more: all look, in their order. */
	while ((p = TAILQ_FIRST(&g->waiting)) != NULL) {
		gate_leave(g, p);
		dest_due(p->dest);
	}
	ev_wake();	/* this may be the flush at the head of a turn */
}
