/* index_history: the blocks of history.c in index.db. Part of the index (index.h); used by history.c alone. */
#ifndef INDEX_HISTORY_H
#define INDEX_HISTORY_H

#include "base/buf.h"
#include "index/index.h"

int	 index_history_put(struct index *, int64_t at, uint32_t results, struct blob);
uint64_t index_history_sum(struct index *);		/* results in all blocks */
/* Deletes the oldest block if it was put before that time, or anyhow. -> its results; 0: nothing was deleted */
uint32_t index_history_trim(struct index *, int64_t before, bool anyhow);
/* Gives the next block after *seq. false: there is none */
bool	 index_history_next(struct index *, uint64_t *seq, void (*cb)(void *, struct blob), void *arg);

#endif
