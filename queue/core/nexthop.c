/*
 * dest: the destinations: their table, where each stands, and when it looks again. Pure code.
 *
 * Called by sched.c and load.c. Owns the destinations. Cannot fail.
 */
#include <stdlib.h>
#include <string.h>
#include "core/nexthop_priv.h"
#include "base/xmalloc.h"

struct dests dests;

static int
wake_cmp(const struct dest *a, const struct dest *b)
{
	if (a->wake != b->wake)
		return a->wake < b->wake ? -1 : 1;
	return a < b ? -1 : a > b;
}
RB_GENERATE(dest_clock, dest, entry, wake_cmp)

void
dest_init(void (*policy)(struct dest *), uint32_t generation)
{
	TAILQ_INIT(&dests.idle);
	TAILQ_INIT(&dests.resting);
	TAILQ_INIT(&dests.wants);
	TAILQ_INIT(&dests.aging);
	RB_INIT(&dests.clock);
	dests.policy = policy;
	dests.generation = generation;
}

/* ---- names ---- */

static int
lower(int c)
{
	return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

uint64_t
dest_key(const char *action, const char *domain)
{
	uint64_t h = 0xcbf29ce484222325;

	for (; *action != '\0'; action++)
		h = (h ^ (uint8_t)*action) * 0x100000001b3;
	h *= 31;
	for (; *domain != '\0'; domain++)
		h = (h ^ (uint8_t)lower(*domain)) * 0x100000001b3;
	return h ^ h >> 32;
}

bool
dest_same_domain(const struct dest *d, const char *domain)
{
	const char *kept = d->domain;

	for (; *kept != '\0' && *kept == lower(*domain); kept++)
		domain++;
	return *kept == '\0' && *domain == '\0';
}

static struct dest *
find(const char *action, const char *domain, uint64_t hash)
{
	struct dest *d;

	for (d = dests.bucket[hash % DEST_BUCKETS]; d != NULL; d = d->hash_next)
		if (d->hash == hash && strcmp(d->action, action) == 0 && dest_same_domain(d, domain))
			return d;
	return NULL;
}

struct dest *
dest_find(const char *action, const char *domain)
{
	return find(action, domain, dest_key(action, domain));
}

const char *
dest_mx(const char *action, const char *domain)
{
	struct dest *d = dest_find(action, domain);

	return d != NULL ? d->mx : NULL;
}

/* ---- where it is ---- */

bool
dest_rests(const struct dest *d, int64_t until)
{
	return d->suspended || d->rest > until;
}

static void
no_clock(struct dest *d)
{
	if (d->clock == CLOCK_SET)
		RB_REMOVE(dest_clock, &dests.clock, d);
	else if (d->clock == CLOCK_WANTS)
		TAILQ_REMOVE(&dests.wants, d, wants);
	d->clock = CLOCK_NONE;
}

/* When it looks again: at the end of its rest, or when something is due in the index. */
void
dest_set_clock(struct dest *d)
{
	bool stored = d->due != INT64_MAX || d->early.on, due = d->due <= dests.now || d->early.on;
	bool wants = stored && due && !dest_rests(d, 0) && d->lines[LINE_OLD] < DEST_LOW;
	int64_t wake = d->suspended || (d->line == 0 && !stored) ? INT64_MAX : d->rest != 0 ? d->rest : due ? INT64_MAX : d->due;

	if (wants && d->clock == CLOCK_WANTS)
		return;
	if (d->clock == CLOCK_SET && !wants && d->wake == wake)
		return;
	no_clock(d);
	if (wants) {
		TAILQ_INSERT_TAIL(&dests.wants, d, wants);
		d->clock = CLOCK_WANTS;
	} else if (wake != INT64_MAX) {
		d->wake = wake;
		RB_INSERT(dest_clock, &dests.clock, d);
		d->clock = CLOCK_SET;
	}
}

static void
stand(struct dest *d, bool on)
{
	struct flow *f;

	if (d->flow == NULL)
		return;
	for (f = d->flow; f < d->flow + LINE__N * ROUND_LANES; f++)
		if (on && f->n > 0 && f->group == NULL)
			round_stand(f, d->group);
		else if (!on)
			round_leave(f);
}

static void
leave(struct dest *d)
{
	if (d->where == DEST_IDLE) {
		TAILQ_REMOVE(&dests.idle, d, link);
		dests.n_idle--;
	} else if (d->where == DEST_RESTING)
		TAILQ_REMOVE(&dests.resting, d, link);
	else if (d->where == DEST_READY)
		stand(d, false);
}

static void
leave_group(struct dest *d)
{
	struct group *g = d->group;

	if (g == NULL)
		return;
	stand(d, false);
	round_fly(g, -(int)d->flying);
	LIST_REMOVE(d, glink);
	d->group = NULL;
	round_drop(g);
}

void
dest_aged(struct dest *d)
{
	if (d->ages.on)
		TAILQ_REMOVE(&dests.aging, d, aging);
	d->ages.on = false;
}

static void
forget(struct dest *d)
{
	struct dest **at = &dests.bucket[d->hash % DEST_BUCKETS];

	while (*at != d)
		at = &(*at)->hash_next;
	*at = d->hash_next;
	leave(d);
	no_clock(d);
	dest_aged(d);
	leave_group(d);
	dests.untried -= d->untried;
	free(d->flow);
	free(d->action);
	free(d->domain);
	free(d->why);
	free(d->mx);
	free(d);
}

/* Of those without work in memory only the last ones keep what they know; what waits in the index has what is needed to come back. */
void
dest_idle(struct dest *d)
{
	struct dest *old;

	free(d->flow);
	d->flow = d->next = NULL;
	d->where = DEST_IDLE;
	TAILQ_INSERT_TAIL(&dests.idle, d, link);
	if (++dests.n_idle <= DEST_IDLE_MAX)
		return;
	old = TAILQ_FIRST(&dests.idle);
	if (old->due == INT64_MAX && !old->early.on) {
		forget(old);
		return;
	}
	TAILQ_REMOVE(&dests.idle, old, link);
	dests.n_idle--;
	old->where = DEST_STORED;
}

static bool
working(const struct dest *d)
{
	return d->where == DEST_WAITING || d->where == DEST_READY || d->where == DEST_RESTING;
}

/* Puts it where it belongs. */
void
dest_place(struct dest *d)
{
	int was = d->where, is = d->line == 0 && d->flying == 0 ? DEST_IDLE : d->line == 0 || d->flying >= d->window ? DEST_WAITING :
	    dest_rests(d, 0) ? DEST_RESTING : DEST_READY;
	bool same = is == was || (is == DEST_IDLE && was == DEST_STORED);

	if (!same) {
		dests.n_work -= working(d);
		leave(d);
		d->where = is;
		dests.n_work += working(d);
	}
	if (is == DEST_READY)
		stand(d, true);
	else if (is == DEST_RESTING && !same)
		TAILQ_INSERT_TAIL(&dests.resting, d, link);
	dest_set_clock(d);
	if (is == DEST_IDLE && !same)
		dest_idle(d);
}

void
dest_rest_over(struct dest *d)
{
	d->rest = 0;
	free(d->why);
	d->why = NULL;
	dests.untried -= d->untried;
	d->untried = 0;
	dest_aged(d);
	dest_place(d);
}

/* ---- life ---- */

static struct dest *
dest_new(const char *action, const char *domain, uint64_t hash)
{
	struct dest *d = xcalloc(1, sizeof(*d));
	char *p;

	d->action = xstrdup(action);
	d->domain = xstrdup(domain);
	for (p = d->domain; *p != '\0'; p++)
		*p = (char)lower(*p);
	d->hash = hash;
	d->due = INT64_MAX;
	d->hash_next = dests.bucket[hash % DEST_BUCKETS];
	dests.bucket[hash % DEST_BUCKETS] = d;
	d->generation = dests.generation;
	dests.policy(d);
	dest_place(d);
	return d;
}

static void
policy_anew(struct dest *d)
{
	dests.policy(d);
	dest_place(d);
}

/* Takes the configuration's values anew if they are of an older one. */
void
dest_refresh(struct dest *d)
{
	if (d->generation == dests.generation)
		return;
	d->generation = dests.generation;
	policy_anew(d);
}

void
dest_join(struct dest *d, uint64_t key, unsigned window, unsigned group_window, bool local)
{
	if (d->group == NULL || d->group->key != key) {
		leave_group(d);
		d->group = round_group(key);
		LIST_INSERT_HEAD(&d->group->dests, d, glink);
		round_window(d->group, group_window, local);
		round_fly(d->group, (int)d->flying);
		d->group->down = d->group->down || d->down;
	} else
		round_window(d->group, group_window, local);
	d->window = window;
}

void
dest_set_mx(struct dest *d, const char *mx)
{
	if (d->mx != NULL && strcmp(d->mx, mx) == 0)
		return;
	free(d->mx);
	d->mx = xstrdup(mx);
	policy_anew(d);
}

void
dest_set_hosts(struct dest *d, uint64_t hosts, int64_t now)
{
	bool same = d->hosts == hosts;

	d->hosts = hosts;
	d->hosts_at = now;
	if (!same)
		policy_anew(d);
}

struct dest *
dest_get(const char *action, const char *domain, int64_t now)
{
	uint64_t h = dest_key(action, domain);
	struct dest *d = find(action, domain, h);

	if (d == NULL)
		return dest_new(action, domain, h);
	dest_refresh(d);
	if (d->rest != 0 && d->rest <= now)
		dest_rest_over(d);
	return d;
}

uint64_t
dest_untried(void)
{
	return dests.untried;
}

unsigned
dest_count(void)
{
	return dests.n_work;
}
