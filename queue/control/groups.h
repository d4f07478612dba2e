/*
 * groups: counts by a text, the most frequent first. Pure code. Used by queue summary.
 */
#ifndef GROUPS_H
#define GROUPS_H

#include <stdint.h>

#define GROUPS_MAX	20000		/* texts; what comes beyond is counted as others */

struct group { char *text; uint64_t n; };
struct groups {
	struct group	*v;
	uint32_t	 n, nslot, *slot, last;		/* hash: index + 1 */
	uint64_t	 others;
};

struct groups *groups_new(void);
void	 groups_add(struct groups *, const char *text, uint64_t n);	/* ASCII case is folded */
void	 groups_sort(struct groups *);			/* nothing is added afterwards */
void	 groups_free(struct groups *);

#endif
