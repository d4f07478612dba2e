/*
 * index_read: what waits, read back: one message, lists, and what is due. See index.h. A broken index has nothing.
 */
#include <stdlib.h>
#include <string.h>
#include "index_priv.h"
#include "xmalloc.h"

/* Strings of one message lie behind each other; until it is complete, pointers to them are offsets. */
struct whole {
	struct index_msg msg;		/* what the caller sees; first */
	struct buf	 text;
};

static const char *
keep_text(struct buf *b, const char *s)
{
	size_t at = b->len;

	buf_add(b, s, strlen(s) + 1);
	return (const char *)(uintptr_t)at;
}

static void
settle(const struct whole *w, const char **s)
{
	*s = (const char *)w->text.base + (uintptr_t)*s;
}

static struct whole *
read_msg(struct sqlite3_stmt *st)
{
	struct whole *w = xcalloc(1, sizeof *w);
	struct index_msg *m = &w->msg;

	m->id = (uint64_t)index_int(st, 0);
	m->loc.seg = (uint32_t)index_int(st, 1);
	m->loc.off = (uint64_t)index_int(st, 2);
	m->arrival = index_int(st, 3);
	m->sender = keep_text(&w->text, index_text(st, 4));
	m->tag = keep_text(&w->text, index_text(st, 5));
	m->message_id = keep_text(&w->text, index_text(st, 6));
	m->size = (uint64_t)index_int(st, 7);
	m->uid = index_int(st, 8);
	return w;
}

static void
read_rcpt(struct whole *w, struct sqlite3_stmt *st, struct index_rcpt *r)
{
	r->n = (uint32_t)index_int(st, 0);
	r->addr = keep_text(&w->text, index_text(st, 1));
	r->domain = keep_text(&w->text, index_text(st, 2));
	r->action = keep_text(&w->text, index_text(st, 3));
	r->mark = index_int(st, 4) == MARK_HELD ? MARK_HELD : MARK_PENDING;
	r->due = index_int(st, 5);
	r->attempts = (uint32_t)index_int(st, 6);
	r->code = (unsigned)index_int(st, 7);
	r->relay = keep_text(&w->text, index_text(st, 8));
	r->reply = keep_text(&w->text, index_text(st, 9));
	r->notified = index_int(st, 10) != 0;
}

static struct index_msg *
read_rcpts(struct index *ix, struct whole *w)
{
	struct index_msg *m = &w->msg;
	struct sqlite3_stmt *st = index_ask(ix, ST_RCPTS, "i", (int64_t)m->id);
	uint32_t cap = 0, i;

	while (index_row(ix, st)) {
		if (m->nrcpt == cap) {
			cap = cap > 0 ? cap * 2 : 4;
			m->rcpts = xreallocarray(m->rcpts, cap, sizeof *m->rcpts);
		}
		read_rcpt(w, st, &m->rcpts[m->nrcpt++]);
	}
	settle(w, &m->sender);
	settle(w, &m->tag);
	settle(w, &m->message_id);
	for (i = 0; i < m->nrcpt; i++) {
		settle(w, &m->rcpts[i].addr);
		settle(w, &m->rcpts[i].domain);
		settle(w, &m->rcpts[i].action);
		settle(w, &m->rcpts[i].relay);
		settle(w, &m->rcpts[i].reply);
	}
	return m;
}

struct index_msg *
index_get(struct index *ix, uint64_t id)
{
	struct sqlite3_stmt *st = index_ask(ix, ST_MSG_GET, "i", (int64_t)id);
	struct whole *w;

	if (!index_row(ix, st))
		return NULL;
	w = read_msg(st);
	index_end(st);
	return read_rcpts(ix, w);
}

bool
index_place(struct index *ix, uint64_t id, struct loc *loc)
{
	struct sqlite3_stmt *st = index_ask(ix, ST_MSG_PLACE, "i", (int64_t)id);

	if (!index_row(ix, st))
		return false;
	*loc = (struct loc){ .seg = (uint32_t)index_int(st, 0), .off = (uint64_t)index_int(st, 2) };
	index_end(st);
	return true;
}

bool
index_has(struct index *ix, uint64_t id, struct loc loc)
{
	struct loc at;

	return index_place(ix, id, &at) && at.seg == loc.seg && at.off == loc.off;
}

void
index_msg_free(struct index_msg *m)
{
	struct whole *w = (struct whole *)m;

	if (m == NULL)
		return;
	free(m->rcpts);
	buf_free(&w->text);
	free(w);
}

size_t
index_list(struct index *ix, uint64_t after, int64_t uid, struct index_msg **out, size_t max)
{
	struct sqlite3_stmt *st = uid < 0 ? index_ask(ix, ST_MSG_LIST, "ii", (int64_t)after, (int64_t)max) :
	    index_ask(ix, ST_MSG_LIST_UID, "iii", (int64_t)after, (int64_t)max, uid);
	size_t n = 0, i;

	while (n < max && index_row(ix, st))
		out[n++] = &read_msg(st)->msg;
	if (st != NULL)
		index_end(st);
	for (i = 0; i < n; i++)
		read_rcpts(ix, (struct whole *)out[i]);
	return n;
}

/* ---- scheduling ---- */

static size_t
due_rows(struct index *ix, int64_t by, struct index_due after, struct index_due *out, size_t max)
{
	struct sqlite3_stmt *st = index_ask(ix, ST_DUE, "iiii", by, after.due, (int64_t)after.id, (int64_t)max);
	size_t n = 0;

	while (n < max && index_row(ix, st)) {
		out[n].due = index_int(st, 0);
		out[n].id = (uint64_t)index_int(st, 1);
		out[n].loc.seg = (uint32_t)index_int(st, 2);
		out[n++].loc.off = (uint64_t)index_int(st, 3);
	}
	if (st != NULL)
		index_end(st);
	return n;
}

/* What "retry all" still has to hand out: rows of a later time, which are due now. */
static size_t
sweep(struct index *ix, int64_t by, struct index_due *out, size_t max)
{
	size_t n, i;

	if (ix->sweep_at.due <= by)
		ix->sweep_at = (struct index_due){ .due = by, .id = INT64_MAX };
	n = due_rows(ix, ix->sweep_to, ix->sweep_at, out, max);
	if (n > 0)
		ix->sweep_at = out[n - 1];
	if (n < max)
		ix->sweep_to = INT64_MIN;
	for (i = 0; i < n; i++) {
		index_retry(ix, out[i].id);
		out[i].due = by;
	}
	return n;
}

size_t
index_due(struct index *ix, int64_t by, struct index_due after, struct index_due *out, size_t max)
{
	size_t n = due_rows(ix, by, after, out, max);

	if (n < max && by < ix->sweep_to)
		n += sweep(ix, by, out + n, max - n);
	return n;
}

static int64_t
one_due(struct index *ix, enum st which)
{
	struct sqlite3_stmt *st = index_ask(ix, which, "");
	int64_t due = INT64_MAX;

	if (index_row(ix, st)) {
		due = index_int(st, 0);
		index_end(st);
	}
	return due;
}

int64_t
index_next_due(struct index *ix)
{
	return ix->sweep_to > INT64_MIN ? 0 : one_due(ix, ST_NEXT_DUE);
}

/* All: a million rows are not rewritten here, but one by one when index_due hands them out. */
uint64_t
index_retry(struct index *ix, uint64_t id)
{
	int64_t last;

	if (index_begin(ix) == -1)
		return 0;
	if (id != 0)
		return index_run(ix, ST_RETRY_ONE, "i", (int64_t)id) == 0 && index_changes(ix) > 0;
	last = one_due(ix, ST_LAST_DUE);
	if (last == INT64_MAX)
		return 0;
	ix->sweep_to = last;
	ix->sweep_at = (struct index_due){ .due = INT64_MIN };
	return ix->totals.messages;
}

void
index_counts(struct index *ix, struct index_count *c)
{
	*c = ix->totals;
}
