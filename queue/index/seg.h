/*
 * index_seg: what the index knows of each segment, in memory: random bytes, how far it was scanned, how many rows point there.
 *
 * Used by index.c alone, which loads it at start and stores what changed with each transaction. Pure code.
 */
#ifndef INDEX_SEG_H
#define INDEX_SEG_H

#include <sys/queue.h>
#include <sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

struct iseg {
	RB_ENTRY(iseg)	 tree;
	TAILQ_ENTRY(iseg) link;
	uint32_t	 no;
	uint8_t		 rnd[16];
	uint64_t	 scanned;
	uint64_t	 live;
	bool		 changed, gone;
};
RB_HEAD(isegs, iseg);
RB_PROTOTYPE(isegs, iseg, tree, iseg_cmp)
TAILQ_HEAD(iseg_list, iseg);

struct iseg_table {
	struct isegs	 all;
	struct iseg_list changed;	/* since the last transaction */
};

void	 iseg_init(struct iseg_table *);
struct iseg *iseg_find(struct iseg_table *, uint32_t no);
struct iseg *iseg_get(struct iseg_table *, uint32_t no);	/* made if it is not there */
void	 iseg_change(struct iseg_table *, struct iseg *);
struct iseg *iseg_take_changed(struct iseg_table *);		/* NULL: no more */
void	 iseg_drop(struct iseg_table *, struct iseg *);
void	 iseg_free(struct iseg_table *);

#endif
