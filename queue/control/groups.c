/* groups: see groups.h. A hash table of bounded size; the text of the last call is looked at first, since rows come in order. */
#include <stdlib.h>
#include <string.h>
#include "control/groups.h"
#include "base/xmalloc.h"

#define SLOTS	(64 * 1024)

struct groups *
groups_new(void)
{
	struct groups *g = xcalloc(1, sizeof(*g));

	g->v = xcalloc(GROUPS_MAX, sizeof(*g->v));
	g->nslot = SLOTS;
	g->slot = xcalloc(SLOTS, sizeof(*g->slot));
	return g;
}

static uint32_t
hash(const char *s)
{
	uint32_t h = 2166136261;

	for (; *s != '\0'; s++)
		h = (h ^ ((uint8_t)*s | 0x20)) * 16777619;
	return h;
}

void
groups_add(struct groups *g, const char *text, uint64_t n)
{
	uint32_t at;

	if (g->n > 0 && strcasecmp(g->v[g->last].text, text) == 0) {
		g->v[g->last].n += n;
		return;
	}
	for (at = hash(text) % SLOTS; g->slot[at] != 0 && strcasecmp(g->v[g->slot[at] - 1].text, text) != 0; at = (at + 1) % SLOTS)
		;
	if (g->slot[at] == 0 && g->n == GROUPS_MAX) {
		g->others += n;
		return;
	}
	if (g->slot[at] == 0) {
		g->v[g->n++] = (struct group){ xstrdup(text), 0 };
		g->slot[at] = g->n;
	}
	g->last = g->slot[at] - 1;
	g->v[g->last].n += n;
}

static int
more_first(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	return x->n != y->n ? (x->n < y->n ? 1 : -1) : strcmp(x->text, y->text);
}

void
groups_sort(struct groups *g)
{
	qsort(g->v, g->n, sizeof(*g->v), more_first);
}

void
groups_free(struct groups *g)
{
	uint32_t i;

	if (g == NULL)
		return;
	for (i = 0; i < g->n; i++)
		free(g->v[i].text);
	free(g->v);
	free(g->slot);
	free(g);
}
