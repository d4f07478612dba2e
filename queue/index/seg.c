/* index_seg: see index_seg.h. */
#include <stdlib.h>
#include "index/seg.h"
#include "base/xmalloc.h"

static int
iseg_cmp(struct iseg *a, struct iseg *b)
{
	return a->no < b->no ? -1 : a->no > b->no;
}

RB_GENERATE(isegs, iseg, tree, iseg_cmp)

void
iseg_init(struct iseg_table *t)
{
	RB_INIT(&t->all);
	TAILQ_INIT(&t->changed);
}

struct iseg *
iseg_find(struct iseg_table *t, uint32_t no)
{
	struct iseg key = { .no = no };

	return RB_FIND(isegs, &t->all, &key);
}

struct iseg *
iseg_get(struct iseg_table *t, uint32_t no)
{
	struct iseg *g = iseg_find(t, no);

	if (g != NULL)
		return g;
	g = xcalloc(1, sizeof *g);
	g->no = no;
	RB_INSERT(isegs, &t->all, g);
	return g;
}

void
iseg_change(struct iseg_table *t, struct iseg *g)
{
	if (g->changed)
		return;
	g->changed = true;
	TAILQ_INSERT_TAIL(&t->changed, g, link);
}

struct iseg *
iseg_take_changed(struct iseg_table *t)
{
	struct iseg *g = TAILQ_FIRST(&t->changed);

	if (g != NULL) {
		g->changed = false;
		TAILQ_REMOVE(&t->changed, g, link);
	}
	return g;
}

void
iseg_drop(struct iseg_table *t, struct iseg *g)
{
	if (g->changed)
		TAILQ_REMOVE(&t->changed, g, link);
	RB_REMOVE(isegs, &t->all, g);
	free(g);
}

void
iseg_free(struct iseg_table *t)
{
	struct iseg *g;

	while ((g = RB_MIN(isegs, &t->all)) != NULL)
		iseg_drop(t, g);
}
