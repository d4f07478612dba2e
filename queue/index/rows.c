/*
 * index_rows: rows come, change and go, and with them the totals and each segment's count. See index.h.
 *
 * An error is -1, and the index is then broken (index.c has said so).
 */
#include <stdlib.h>
#include <string.h>
#include "index/priv.h"
#include "base/log.h"
#include "base/xmalloc.h"

/* ---- rows go ---- */

static void
live_add(struct index *ix, uint32_t seg, int64_t n)
{
	struct iseg *g = iseg_get(&ix->segs, seg);

	g->live = (uint64_t)((int64_t)g->live + n);
	iseg_change(&ix->segs, g);
}

/* What a recipient in that state adds to the totals. */
static void
count_rcpt(struct index *ix, int64_t mark, int64_t attempts, int64_t sign)
{
	ix->totals.recipients += (uint64_t)sign;
	if (mark == MARK_HELD)
		ix->totals.held += (uint64_t)sign;
	else if (attempts > 0)
		ix->totals.tried += (uint64_t)sign;
}

/* The message's own row, when no recipient's is left. */
static int
delete_msg(struct index *ix, uint64_t id)
{
	struct sqlite3_stmt *st = index_ask(ix, ST_MSG_PLACE, "i", (int64_t)id);
	uint32_t seg;
	uint64_t size;

	if (!index_row(ix, st))
		return ix->broken ? -1 : 0;
	seg = (uint32_t)index_int(st, 0);
	size = (uint64_t)index_int(st, 1);
	index_end(st);
	live_add(ix, seg, -1);
	ix->totals.messages--;
	ix->totals.bytes -= size;
	return index_run(ix, ST_MSG_DEL, "i", (int64_t)id);
}

static void
count_less(struct index *ix, struct sqlite3_stmt *sums)
{
	ix->totals.recipients -= (uint64_t)index_int(sums, 0);
	ix->totals.held -= (uint64_t)index_int(sums, 1);
	ix->totals.tried -= (uint64_t)index_int(sums, 2);
	index_end(sums);
}

int
index_delete_rcpts(struct index *ix, uint64_t id, uint32_t below)
{
	struct sqlite3_stmt *st;

	if (index_begin(ix) == -1 || !index_row(ix, st = index_ask(ix, ST_RCPTS_SUM_TO, "ii", (int64_t)id, (int64_t)below)))
		return -1;
	count_less(ix, st);
	return index_run(ix, ST_RCPTS_DEL_TO, "ii", (int64_t)id, (int64_t)below);
}

int
index_delete(struct index *ix, uint64_t id)
{
	struct sqlite3_stmt *st;

	if (index_begin(ix) == -1 || !index_row(ix, st = index_ask(ix, ST_RCPTS_SUM, "i", (int64_t)id)))
		return -1;
	count_less(ix, st);
	return index_run(ix, ST_RCPTS_DEL, "i", (int64_t)id) == -1 ? -1 : delete_msg(ix, id);
}

int
index_rcpt_final(struct index *ix, uint64_t id, uint32_t n)
{
	struct sqlite3_stmt *st;

	if (index_begin(ix) == -1)
		return -1;
	if (!index_row(ix, st = index_ask(ix, ST_RCPT_STATE, "ii", (int64_t)id, (int64_t)n)))
		return ix->broken ? -1 : 0;
	count_rcpt(ix, index_int(st, 0), index_int(st, 1), -1);
	index_end(st);
	if (index_run(ix, ST_RCPT_DEL, "ii", (int64_t)id, (int64_t)n) == -1)
		return -1;
	if (!index_row(ix, st = index_ask(ix, ST_RCPT_ANY, "i", (int64_t)id)))
		return ix->broken ? -1 : delete_msg(ix, id);
	index_end(st);
	return index_run(ix, ST_MSG_LESS, "i", (int64_t)id);
}

/* ---- segments ---- */

/* Rows that point to a segment that is not the one they mean. Reads every message's row; happens after losses only. */
static int
drop_rows(struct index *ix, uint32_t seg)
{
	uint64_t *ids = NULL;
	size_t n = 0, i;
	struct sqlite3_stmt *st = index_ask(ix, ST_SEG_MSGS, "i", (int64_t)seg);
	int rc = 0;

	while (index_row(ix, st)) {
		ids = xreallocarray(ids, n + 1, sizeof *ids);
		ids[n++] = (uint64_t)index_int(st, 0);
	}
	if (n > 0)
		log_warn("%zu rows of the index point into segment %08x, which is not there any more", n, seg);
	for (i = 0; i < n && rc == 0; i++)
		rc = index_delete(ix, ids[i]);
	free(ids);
	return ix->broken ? -1 : rc;
}

uint64_t
index_scanned(struct index *ix, uint32_t seg, const uint8_t rnd[16])
{
	static const uint8_t unknown[16];
	struct iseg *g = iseg_find(&ix->segs, seg);

	if (g == NULL || g->gone || ix->broken)
		return 0;
	/* In memory: the last run may have ended for that very reason, in the midst of a transaction. All rows are compared with the marks. */
	if (memcmp(g->rnd, rnd, sizeof g->rnd) == 0)
		return ix->memory == NULL ? g->scanned : 0;
	/* Rows came, but nobody said yet which segment it is: they may be good. */
	if (memcmp(g->rnd, unknown, sizeof g->rnd) != 0 && g->live > 0 && index_begin(ix) == 0)
		drop_rows(ix, seg);
	g->scanned = 0;
	return 0;
}

int
index_segment(struct index *ix, uint32_t seg, const uint8_t rnd[16], uint64_t scanned)
{
	struct iseg *g;

	if (index_begin(ix) == -1)
		return -1;
	g = iseg_get(&ix->segs, seg);
	if (g->scanned == scanned && memcmp(g->rnd, rnd, sizeof g->rnd) == 0 && !g->gone)
		return 0;
	memcpy(g->rnd, rnd, sizeof g->rnd);
	g->scanned = scanned;
	g->gone = false;
	iseg_change(&ix->segs, g);
	return 0;
}

int
index_segment_gone(struct index *ix, uint32_t seg)
{
	struct iseg *g = iseg_find(&ix->segs, seg);

	if (g == NULL)
		return 0;
	if (index_begin(ix) == -1)
		return -1;
	if (g->live > 0 && drop_rows(ix, seg) == -1)
		return -1;
	g->gone = true;
	iseg_change(&ix->segs, g);
	return 0;
}

int
index_segment_emptied(struct index *ix, uint32_t seg)
{
	struct iseg *g = iseg_find(&ix->segs, seg);

	return g == NULL || g->live > 0 ? 0 : index_segment_gone(ix, seg);
}

void
index_live(struct index *ix, void (*cb)(void *, uint32_t, uint64_t), void *arg)
{
	struct iseg *g;

	RB_FOREACH(g, isegs, &ix->segs.all)
		if (!g->gone)
			cb(arg, g->no, g->live);
}

static int
by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

int
index_prune(struct index *ix, const uint32_t *have, size_t n)
{
	struct iseg *g;

	if (ix->broken)
		return -1;
	RB_FOREACH(g, isegs, &ix->segs.all)
		if (!g->gone && bsearch(&g->no, have, n, sizeof *have, by_number) == NULL &&
		    index_segment_gone(ix, g->no) == -1)
			return -1;
	return 0;
}

/* ---- messages ---- */

static int
put_msg(struct index *ix, const struct index_msg *m)
{
	return index_run(ix, ST_MSG_PUT, "iiiitttiii", (int64_t)m->id, (int64_t)m->loc.seg, (int64_t)m->loc.off, m->arrival, m->sender,
	    m->tag, m->message_id, (int64_t)m->size, m->uid, (int64_t)m->nrcpt);
}

static int
put_rcpt(struct index *ix, uint64_t id, const struct index_rcpt *r)
{
	count_rcpt(ix, r->mark, r->attempts, 1);
	return index_run(ix, ST_RCPT_PUT, "iitttiiiitti", (int64_t)id, (int64_t)r->n, r->addr, r->domain, r->action, (int64_t)r->mark,
	    r->due, (int64_t)r->attempts, (int64_t)r->code, r->relay, r->reply, (int64_t)r->notified);
}

int
index_put_msg(struct index *ix, const struct index_msg *m)
{
	if (index_begin(ix) == -1 || put_msg(ix, m) == -1)
		return -1;
	if (index_changes(ix) == 0 && (index_delete(ix, m->id) == -1 || put_msg(ix, m) == -1))
		return -1;
	ix->totals.messages++;
	ix->totals.bytes += m->size;
	live_add(ix, m->loc.seg, 1);
	return 0;
}

int
index_msg_live(struct index *ix, uint64_t id, uint32_t n)
{
	return index_run(ix, ST_MSG_LIVE, "ii", (int64_t)id, (int64_t)n);
}

int
index_put_rcpts(struct index *ix, uint64_t id, const struct index_rcpt *v, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		if (put_rcpt(ix, id, &v[i]) == -1)
			return -1;
	return 0;
}

int
index_move(struct index *ix, uint64_t id, struct loc to)
{
	struct loc from;

	if (index_begin(ix) == -1)
		return -1;
	if (!index_place(ix, id, &from))
		return ix->broken ? -1 : 1;
	live_add(ix, from.seg, -1);
	live_add(ix, to.seg, 1);
	return index_run(ix, ST_MSG_MOVE, "iii", (int64_t)id, (int64_t)to.seg, (int64_t)to.off);
}

int
index_put(struct index *ix, const struct index_msg *m)
{
	return index_put_msg(ix, m) == -1 ? -1 : index_put_rcpts(ix, m->id, m->rcpts, m->nrcpt);
}

int
index_rcpt(struct index *ix, uint64_t id, const struct index_rcpt *r)
{
	struct sqlite3_stmt *st;

	if (index_begin(ix) == -1)
		return -1;
	if (!index_row(ix, st = index_ask(ix, ST_RCPT_STATE, "ii", (int64_t)id, (int64_t)r->n)))
		return ix->broken ? -1 : 1;
	count_rcpt(ix, index_int(st, 0), index_int(st, 1), -1);
	index_end(st);
	count_rcpt(ix, r->mark, r->attempts, 1);
	return index_run(ix, ST_RCPT_SET, "iiiiiittit", (int64_t)id, (int64_t)r->n, (int64_t)r->mark, r->due, (int64_t)r->attempts,
	    (int64_t)r->code, r->relay, r->reply, (int64_t)r->notified, r->action);
}
