/*
 * picks: see picks.h. Owns the array. Cannot fail but by being full.
 */
#include <stdlib.h>
#include "control/picks.h"
#include "base/xmalloc.h"

bool
picks_add(struct picks *p, uint64_t id, uint32_t n)
{
	if (p->n >= PICKS_MAX)
		return false;
	if (p->n == p->cap) {
		p->cap = p->cap > 0 ? p->cap * 2 : 64;
		p->v = xreallocarray(p->v, p->cap, sizeof(*p->v));
	}
	p->v[p->n++] = (struct pick){ id, n };
	return true;
}

static int
compare(const void *va, const void *vb)
{
	const struct pick *a = va, *b = vb;

	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return a->n < b->n ? -1 : a->n > b->n;
}

void
picks_sort(struct picks *p)
{
	if (p->n > 0)
		qsort(p->v, p->n, sizeof(*p->v), compare);
}

size_t
picks_next(struct picks *p, const struct pick **first)
{
	size_t begin = p->at;

	while (p->at < p->n && p->v[p->at].id == p->v[begin].id)
		p->at++;
	*first = p->v + begin;
	return p->at - begin;
}

void
picks_free(struct picks *p)
{
	free(p->v);
	*p = (struct picks){ .v = NULL };
}
