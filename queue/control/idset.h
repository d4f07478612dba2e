/*
 * idset: a set of queue ids that grows without a long stop: it is many small ones. Pure code.
 *
 * Used by the control verbs, to count a message once and to remember what a selection meant. 16 to 32 bytes an id.
 */
#ifndef IDSET_H
#define IDSET_H

#include <stdbool.h>
#include <stdint.h>

#define IDSET_PARTS 4096

struct idset_part { uint64_t *v; uint32_t n, cap; };
struct idset {				/* all zero: empty */
	struct idset_part part[IDSET_PARTS];
	uint64_t	 n;
};
struct idset_at { uint32_t part, i; };	/* all zero: at the beginning */

bool	 idset_add(struct idset *, uint64_t id);	/* false: it is there already */
/* The next one, in no order; nothing may be added meanwhile. false: that was all */
bool	 idset_next(const struct idset *, struct idset_at *, uint64_t *id);
void	 idset_free(struct idset *);			/* what it holds, not itself */

#endif
