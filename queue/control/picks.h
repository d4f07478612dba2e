/*
 * picks: the recipients that a walk met, gathered by message, so that of a message with many only those are read that were asked for.
 * Pure code. Used by control_queue. 16 bytes each, PICKS_MAX at most.
 */
#ifndef PICKS_H
#define PICKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PICKS_MAX	20000

struct pick { uint64_t id; uint32_t n; };
struct picks {				/* all zero: empty */
	struct pick	*v;
	size_t		 n, cap;
	size_t		 at;		/* those before it were handed out */
};

bool	 picks_add(struct picks *, uint64_t id, uint32_t n);	/* false: there are too many */
void	 picks_sort(struct picks *);				/* when all are there */
/* The next message's, in the order of their numbers -> how many; 0: that was all. */
size_t	 picks_next(struct picks *, const struct pick **);
void	 picks_free(struct picks *);

#endif
