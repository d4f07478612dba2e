/*
 * dest_rest: what a destination waits for: the end of a rest, or what is due in the index. Pure code.
 *
 * Called by sched.c and result.c (rests), ready.c and load.c (the index). Owns nothing but a copy of why a destination rests. Cannot fail.
 */
#include <stdlib.h>
#include <string.h>
#include "core/nexthop_priv.h"
#include "mail/reply.h"
#include "base/xmalloc.h"

#define WANTS_LOOK	32		/* destinations of which one is chosen that may have more */
#define ROOM_SHARE	16		/* of the room in memory each may have a part of so many */

/* ---- what is in the index ---- */

void
dest_stored(struct dest *d, int64_t due, uint64_t id)
{
	if (due < d->at.due || (due == d->at.due && id <= d->at.id))
		d->at = (struct dest_walk){ .due = due - 1, .id = UINT64_MAX >> 1 };
	if (due < d->due)
		d->due = due;
	dest_set_clock(d);
}

/* How many rows more it may have: the fewer the fuller memory is, lest those that do not get on keep the room from those that do. */
static unsigned
share(const struct dest *d, unsigned room)
{
	unsigned n = room / ROOM_SHARE;

	if (n == 0 && room > 0 && d->line == 0 && d->flying < d->window && round_room(d->group))
		n = 1;
	if (d->down && n > d->window)		/* first it shows that it is there */
		n = d->window;
	return n < DEST_PULL ? n : DEST_PULL;
}

struct dest *
dest_wants(unsigned room, unsigned *n)
{
	struct dest *d;
	unsigned i;

	for (i = 0; i < WANTS_LOOK && (d = TAILQ_FIRST(&dests.wants)) != NULL; i++) {
		TAILQ_REMOVE(&dests.wants, d, wants);
		TAILQ_INSERT_TAIL(&dests.wants, d, wants);
		if ((*n = share(d, room)) > 0)
			return d;
	}
	return NULL;
}

void
dest_read(struct dest *d, int64_t due, uint64_t id, int64_t next)
{
	d->at.due = due;
	d->at.id = id;
	d->due = next;
	dest_set_clock(d);
	if (d->where == DEST_STORED && next == INT64_MAX)
		dest_idle(d);
}

void
dest_waits_untried(struct dest *d, uint64_t n)
{
	d->untried += n;
	dests.untried += n;
}

void
dest_early_over(struct dest *d)
{
	d->early.on = false;
	dest_set_clock(d);
}

void
dest_read_all_again(void)
{
	struct dest *d;
	size_t i;

	for (i = 0; i < DEST_BUCKETS; i++)
		for (d = dests.bucket[i]; d != NULL; d = d->hash_next) {
			d->at = (struct dest_walk){ .due = INT64_MIN };
			d->due = INT64_MIN;
			dest_set_clock(d);
		}
}

struct dest *
dest_aging(void)
{
	return TAILQ_FIRST(&dests.aging);
}

/* ---- rests ---- */

/* With its strings in one block. */
static struct last *
keep(const struct last *why)
{
	size_t text = strlen(why->text) + 1, relay = strlen(why->relay) + 1, full;
	struct buf whole = BUF_INIT;
	struct last *kept;

	reply_whole(&whole, why->code, why->dsn, why->text);
	full = strlen(buf_str(&whole)) + 1;
	kept = xmalloc(sizeof(*kept) + text + relay + full);
	*kept = *why;
	kept->text = memcpy(kept + 1, why->text, text);
	kept->relay = memcpy((char *)(kept + 1) + text, why->relay, relay);
	kept->full = memcpy((char *)(kept + 1) + text + relay, buf_str(&whole), full);
	buf_free(&whole);
	return kept;
}

static void
begin(struct dest_walk *w)
{
	*w = (struct dest_walk){ .on = true, .due = INT64_MIN };
}

/* Until the job that hurries was sent, what is told is older than the wish. */
void
dest_rest(struct dest *d, int64_t now, int64_t until, const struct last *why)
{
	if (until <= d->rest || d->hurry)
		return;
	if (d->rest == 0)
		d->since = now;
	d->rest = until;
	free(d->why);
	d->why = why != NULL ? keep(why) : NULL;
	if (why != NULL)
		dest_trouble(d);
	if (why != NULL && d->due != INT64_MAX && !d->ages.on) {
		dests.untried -= d->untried;
		d->untried = 0;
		begin(&d->ages);
		TAILQ_INSERT_TAIL(&dests.aging, d, aging);
	}
	dest_place(d);
}

void
dest_trouble(struct dest *d)
{
	d->down = d->group->down = true;
}

void
dest_good(struct dest *of)
{
	struct group *g = of->group;
	struct dest *d;

	round_good(g);
	if (!g->down)
		return;
	g->down = false;
	LIST_FOREACH(d, &g->dests, glink) {
		if (!d->down || (g->key == ROUND_UNKNOWN && d != of)) {
			g->down = g->down || d->down;
			continue;
		}
		d->down = false;
		begin(&d->early);
		dest_rest_over(d);
	}
}

/* Once for each wish, however many recipients it is for: what fails then rests as ever. */
void
dest_ask(struct dest *d, int64_t asked)
{
	if (asked <= d->asked)
		return;
	d->asked = asked;
	if (d->rest != 0 && d->since > asked)
		return;
	d->hurry = true;
	dest_rest_over(d);
}

void
dest_suspend(const char *domain, bool on)
{
	struct dest *d;
	size_t i;

	for (i = 0; i < DEST_BUCKETS; i++)
		for (d = dests.bucket[i]; d != NULL; d = d->hash_next) {
			if (!dest_same_domain(d, domain))
				continue;
			d->hurry = d->hurry && !on;
			d->suspended = on;
			dest_place(d);
		}
}

int64_t
dest_wake(int64_t now)
{
	struct dest *d;
	int64_t group;

	dests.now = now;
	while ((d = RB_MIN(dest_clock, &dests.clock)) != NULL && d->wake <= now) {
		if (d->rest != 0)
			dest_rest_over(d);
		else
			dest_set_clock(d);
	}
	group = round_wake(now);
	return d == NULL || group < d->wake ? group : d->wake;
}

void
dest_wake_all(void)
{
	struct dest *d;
	size_t i;

	for (i = 0; i < DEST_BUCKETS; i++)
		for (d = dests.bucket[i]; d != NULL; d = d->hash_next)
			dest_rest_over(d);
}
