/* index_history: see index_history.h. An error breaks the index as everywhere in it; the caller then just has no history. */
#include "index/history.h"
#include "index/priv.h"

int
index_history_put(struct index *ix, int64_t at, uint32_t results, struct blob block)
{
	if (index_begin(ix) == -1)
		return -1;
	return index_run(ix, ST_HISTORY_PUT, "iib", at, (int64_t)results, block.p, (uint64_t)block.len);
}

uint64_t
index_history_sum(struct index *ix)
{
	struct sqlite3_stmt *st = index_ask(ix, ST_HISTORY_SUM, "");
	uint64_t sum = 0;

	if (index_row(ix, st)) {
		sum = (uint64_t)index_int(st, 0);
		index_end(st);
	}
	return sum;
}

uint32_t
index_history_trim(struct index *ix, int64_t before, bool anyhow)
{
	struct sqlite3_stmt *st = index_ask(ix, ST_HISTORY_OLD, "");
	int64_t seq, at, results;

	if (!index_row(ix, st))
		return 0;
	seq = index_int(st, 0);
	at = index_int(st, 1);
	results = index_int(st, 2);
	index_end(st);
	if ((at >= before && !anyhow) || index_begin(ix) == -1 || index_run(ix, ST_HISTORY_DEL, "i", seq) == -1)
		return 0;
	return results > 0 && results < INT32_MAX ? (uint32_t)results : 1;
}

bool
index_history_next(struct index *ix, uint64_t *seq, void (*cb)(void *, struct blob), void *arg)
{
	struct sqlite3_stmt *st = index_ask(ix, ST_HISTORY_PAGE, "i", (int64_t)*seq);

	if (!index_row(ix, st))
		return false;
	*seq = (uint64_t)index_int(st, 0);
	cb(arg, index_blob(st, 1));
	index_end(st);
	return true;
}
