/*
 * idset: see idset.h. An id's part follows from its hash; a part is a table with open addressing, at most half full. Ids are never 0.
 */
#include <stdlib.h>
#include "control/idset.h"
#include "base/xmalloc.h"

static uint64_t
hash(uint64_t id)
{
	return id * 0x9e3779b97f4a7c15;
}

static uint64_t *
slot(uint64_t *v, uint32_t cap, uint64_t id)
{
	uint32_t at = (uint32_t)(hash(id) >> 20) & (cap - 1);

	while (v[at] != 0 && v[at] != id)
		at = (at + 1) & (cap - 1);
	return &v[at];
}

static void
grow(struct idset_part *p)
{
	uint32_t cap = p->cap * 2 + (p->cap == 0) * 4, i;
	uint64_t *v = xcalloc(cap, sizeof(*v));

	for (i = 0; i < p->cap; i++)
		if (p->v[i] != 0)
			*slot(v, cap, p->v[i]) = p->v[i];
	free(p->v);
	p->v = v;
	p->cap = cap;
}

bool
idset_add(struct idset *s, uint64_t id)
{
	struct idset_part *p = &s->part[hash(id) >> 52];
	uint64_t *at;

	if (p->n * 2 >= p->cap)
		grow(p);
	at = slot(p->v, p->cap, id);
	if (*at == id)
		return false;
	*at = id;
	p->n++;
	s->n++;
	return true;
}

bool
idset_next(const struct idset *s, struct idset_at *at, uint64_t *id)
{
	for (; at->part < IDSET_PARTS; at->part++, at->i = 0)
		while (at->i < s->part[at->part].cap)
			if ((*id = s->part[at->part].v[at->i++]) != 0)
				return true;
	return false;
}

void
idset_free(struct idset *s)
{
	uint32_t k;

	for (k = 0; k < IDSET_PARTS; k++)
		free(s->part[k].v);
	*s = (struct idset){ .n = 0 };
}
