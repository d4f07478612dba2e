/*
 * index_read: what waits, read back: one message, lists, and what is due. See index.h. A broken index has nothing.
 */
#include <stdlib.h>
#include <string.h>
#include "index/priv.h"
#include "base/log.h"
#include "base/xmalloc.h"

/* Strings of one message lie behind each other; until it is complete, pointers to them are offsets. */
struct whole {
	struct index_msg msg;		/* what the caller sees; first */
	struct buf	 text;
	uint32_t	 cap;
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
	m->arrival = index_time(index_int(st, 3));
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
	r->due = index_time(index_int(st, 5));
	r->attempts = (uint32_t)index_int(st, 6);
	r->code = (unsigned)index_int(st, 7);
	r->relay = keep_text(&w->text, index_text(st, 8));
	r->reply = keep_text(&w->text, index_text(st, 9));
	r->notified = index_int(st, 10) != 0;
}

static void
add_rcpt(struct whole *w, struct sqlite3_stmt *st)
{
	struct index_msg *m = &w->msg;

	if (m->nrcpt == w->cap) {
		w->cap = w->cap > 0 ? w->cap * 2 : 4;
		m->rcpts = xreallocarray(m->rcpts, w->cap, sizeof *m->rcpts);
	}
	read_rcpt(w, st, &m->rcpts[m->nrcpt++]);
}

static struct index_msg *
complete(struct whole *w)
{
	struct index_msg *m = &w->msg;
	uint32_t i;

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

static struct whole *
get_msg(struct index *ix, uint64_t id)
{
	struct sqlite3_stmt *st = index_ask(ix, ST_MSG_GET, "i", (int64_t)id);
	struct whole *w;

	if (!index_row(ix, st))
		return NULL;
	w = read_msg(st);
	index_end(st);
	return w;
}

struct index_msg *
index_part(struct index *ix, uint64_t id, uint32_t from, uint32_t max)
{
	struct whole *w = get_msg(ix, id);
	struct sqlite3_stmt *st;

	if (w == NULL)
		return NULL;
	st = index_ask(ix, ST_RCPTS, "iii", (int64_t)id, (int64_t)from, (int64_t)max);
	while (index_row(ix, st))
		add_rcpt(w, st);
	return complete(w);
}

struct index_msg *
index_some(struct index *ix, uint64_t id, const uint32_t *n, size_t count)
{
	struct whole *w = get_msg(ix, id);
	struct sqlite3_stmt *st;
	size_t i;

	if (w == NULL)
		return NULL;
	for (i = 0; i < count; i++) {
		st = index_ask(ix, ST_RCPT_GET, "ii", (int64_t)id, (int64_t)n[i]);
		if (!index_row(ix, st))
			continue;
		add_rcpt(w, st);
		index_end(st);
	}
	return complete(w);
}

struct index_msg *
index_get(struct index *ix, uint64_t id)
{
	return index_part(ix, id, 0, UINT32_MAX);
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

/* ---- scheduling ---- */

size_t
index_due(struct index *ix, const char *action, const char *domain, int64_t due, uint64_t id, struct index_due *out, size_t max)
{
	struct sqlite3_stmt *st = index_ask(ix, ST_DUE, "ttiii", domain, action, due, (int64_t)id, (int64_t)max);
	size_t n = 0;

	while (n < max && index_row(ix, st)) {
		out[n].due = index_int(st, 0);
		out[n].id = (uint64_t)index_int(st, 1);
		out[n].arrival = index_time(index_int(st, 2));
		out[n].unreached = index_int(st, 3) != 0;
		out[n].notified = index_int(st, 4) != 0;
		out[n++].tried = index_int(st, 5) != 0;
	}
	index_end(st);
	return n;
}

static void
set(struct buf *b, const char *text)
{
	buf_reset(b, SIZE_MAX);
	buf_adds(b, text);
}

void
index_damaged(struct index *ix)
{
	if (ix->broken)
		return;
	log_error("index%s: a row stands where it cannot stand; the queue starts again", ix->memory != NULL ? " in memory" : ".db");
	ix->broken = true;
	if (ix->memory == NULL)
		index_files_set_aside();
}

bool
index_next_dest(struct index *ix, struct buf *action, struct buf *domain, int64_t *due)
{
	struct sqlite3_stmt *st = index_ask(ix, ST_NEXT_DEST, "tt", buf_str(domain), buf_str(action));
	int c;

	if (!index_row(ix, st))
		return false;
	c = strcasecmp(index_text(st, 0), buf_str(domain));
	if (c < 0 || (c == 0 && strcmp(index_text(st, 1), buf_str(action)) <= 0)) {	/* damage: they would come again and again */
		index_end(st);
		index_damaged(ix);
		return false;
	}
	set(domain, index_text(st, 0));
	set(action, index_text(st, 1));
	*due = index_int(st, 2);
	index_end(st);
	return true;
}

unsigned
index_before(struct index *ix, const char *action, const char *domain, int64_t due, uint64_t id, unsigned max)
{
	struct sqlite3_stmt *st = index_ask(ix, ST_BEFORE, "ttiii", domain, action, due, (int64_t)id, (int64_t)max);
	unsigned n = 0;

	if (index_row(ix, st)) {
		n = (unsigned)index_int(st, 0);
		index_end(st);
	}
	return n;
}

size_t
index_ids(struct index *ix, uint64_t after, uint64_t *out, size_t max)
{
	struct sqlite3_stmt *st = index_ask(ix, ST_MSG_IDS, "ii", (int64_t)after, (int64_t)max);
	size_t n = 0;

	while (n < max && index_row(ix, st))
		out[n++] = (uint64_t)index_int(st, 0);
	if (st != NULL)
		index_end(st);
	return n;
}

uint64_t
index_last_id(struct index *ix)
{
	struct sqlite3_stmt *st = index_ask(ix, ST_MSG_LAST, "");
	uint64_t id = 0;

	if (index_row(ix, st)) {
		id = (uint64_t)index_int(st, 0);
		index_end(st);
	}
	return id;
}

void
index_counts(struct index *ix, struct index_count *c)
{
	*c = ix->totals;
}
