/*
 * round: see round.h. Owns the groups and the lists of those that may send. Cannot fail.
 */
#include <stdlib.h>
#include "core/round.h"
#include "base/xmalloc.h"

#define BUCKETS 1024

TAILQ_HEAD(group_list, group);

static struct {
	struct group	*bucket[BUCKETS];
	struct group_list ready[LINE__N], resting;
	struct turns	 turns;
	unsigned	 window[2], flying[2];	/* of hosts elsewhere, and of local ways */
} rn;

void
round_init(unsigned window, unsigned local)
{
	TAILQ_INIT(&rn.ready[LINE_NEW]);
	TAILQ_INIT(&rn.ready[LINE_OLD]);
	TAILQ_INIT(&rn.resting);
	rn.window[0] = window;
	rn.window[1] = local;
}

/* ---- groups ---- */

static struct group **
slot(uint64_t key)
{
	struct group **at = &rn.bucket[(key ^ key >> 32) % BUCKETS];

	while (*at != NULL && (*at)->key != key)
		at = &(*at)->hash_next;
	return at;
}

struct group *
round_group(uint64_t key)
{
	struct group **at = slot(key), *g = *at;
	unsigned i;

	if (g != NULL)
		return g;
	g = *at = xcalloc(1, sizeof(*g));
	g->key = key;
	g->credit = UINT32_MAX;
	LIST_INIT(&g->dests);
	for (i = 0; i < ROUND_LANES; i++) {
		TAILQ_INIT(&g->lane[LINE_NEW][i]);
		TAILQ_INIT(&g->lane[LINE_OLD][i]);
	}
	return g;
}

static bool
may_send(const struct group *g)
{
	return g->rest == 0 && g->flying < g->window && g->flying < g->credit;
}

/* One that stands where it should keeps its place. */
static void
place(struct group *g)
{
	bool ready = g->stand[LINE_NEW] + g->stand[LINE_OLD] > 0 && may_send(g);
	enum line in = g->stand[LINE_NEW] > 0 ? LINE_NEW : LINE_OLD;

	if (ready == g->ready && (!ready || in == g->in))
		return;
	if (g->ready)
		TAILQ_REMOVE(&rn.ready[g->in], g, link);
	g->ready = ready;
	g->in = in;
	if (ready)
		TAILQ_INSERT_TAIL(&rn.ready[in], g, link);
}

static void
rest_over(struct group *g)
{
	if (g->rest == 0)
		return;
	TAILQ_REMOVE(&rn.resting, g, link);
	g->rest = 0;
}

void
round_drop(struct group *g)
{
	if (!LIST_EMPTY(&g->dests))
		return;
	rest_over(g);
	*slot(g->key) = g->hash_next;
	free(g);
}

void
round_window(struct group *g, unsigned window, bool local)
{
	g->window = window;
	g->local = local;
	place(g);
}

/* ---- lanes ---- */

void
round_stand(struct flow *f, struct group *g)
{
	f->group = g;
	TAILQ_INSERT_TAIL(&g->lane[f->line][f->lane], f, link);
	g->stand[f->line]++;
	place(g);
}

void
round_leave(struct flow *f)
{
	struct group *g = f->group;

	if (g == NULL)
		return;
	f->group = NULL;
	TAILQ_REMOVE(&g->lane[f->line][f->lane], f, link);
	g->stand[f->line]--;
	place(g);
}

bool
round_room(const struct group *g)
{
	return may_send(g) && rn.flying[g->local] < rn.window[g->local] && g->flying < rn.window[g->local] - rn.flying[g->local];
}

static struct group *
first_in(enum line line)
{
	struct group *g;

	TAILQ_FOREACH(g, &rn.ready[line], link)
		if (round_room(g))
			return g;
	return NULL;
}

struct flow *
round_next(void)
{
	enum line line = turns_next(&rn.turns, !TAILQ_EMPTY(&rn.ready[LINE_NEW]), !TAILQ_EMPTY(&rn.ready[LINE_OLD]));
	struct group *g = first_in(line);
	unsigned i;

	if (g == NULL && (g = first_in(!line)) == NULL)
		return NULL;
	line = turns_next(&g->turns, g->stand[LINE_NEW] > 0, g->stand[LINE_OLD] > 0);
	for (i = g->turn[line]; TAILQ_EMPTY(&g->lane[line][i % ROUND_LANES]); i++)
		;
	return TAILQ_FIRST(&g->lane[line][i % ROUND_LANES]);
}

void
round_took(struct flow *f)
{
	struct group *g = f->group;
	struct lane *lane;

	if (g == NULL)
		return;
	lane = &g->lane[f->line][f->lane];
	TAILQ_REMOVE(lane, f, link);
	TAILQ_INSERT_TAIL(lane, f, link);
	g->turn[f->line] = (f->lane + 1U) % ROUND_LANES;
	turns_took(&g->turns, f->line, g->stand[!f->line] > 0);
	if (!g->ready)
		return;
	turns_took(&rn.turns, g->in, !TAILQ_EMPTY(&rn.ready[!g->in]));
	TAILQ_REMOVE(&rn.ready[g->in], g, link);
	TAILQ_INSERT_TAIL(&rn.ready[g->in], g, link);
}

/* ---- windows ---- */

void
round_fly(struct group *g, int jobs)
{
	g->flying += (unsigned)jobs;
	rn.flying[g->local] += (unsigned)jobs;
	place(g);
}

void
round_slow(struct group *g, int64_t until)
{
	g->credit = g->flying > 1 ? g->flying - 1 : 1;
	if (until > g->rest) {
		rest_over(g);
		g->rest = until;
		if (g->ready)
			TAILQ_REMOVE(&rn.ready[g->in], g, link);
		g->ready = false;
		TAILQ_INSERT_TAIL(&rn.resting, g, link);
	}
	place(g);
}

void
round_good(struct group *g)
{
	if (g->credit == UINT32_MAX)
		return;
	if (++g->credit >= g->window)
		g->credit = UINT32_MAX;
	place(g);
}

int64_t
round_wake(int64_t now)
{
	struct group *g, *next;
	int64_t soonest = INT64_MAX;

	TAILQ_FOREACH_SAFE(g, &rn.resting, link, next) {
		if (g->rest > now) {
			soonest = g->rest < soonest ? g->rest : soonest;
			continue;
		}
		rest_over(g);
		place(g);
	}
	return soonest;
}
