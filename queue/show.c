/*
 * show: views of messages, and how sizes, spans and JSON are written.
 *
 * Called by the control verbs. A view owns what it was given; its strings live as long as the message or row. Cannot fail; bytes that
 * are no UTF-8 become \u00XX in JSON.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "addr.h"
#include "clock.h"
#include "qid.h"
#include "ready.h"
#include "retry.h"
#include "show.h"
#include "xmalloc.h"

static void
from_memory(struct view *v, const struct message *m)
{
	uint32_t i;

	v->msg = ready_row(m);
	v->active = xcalloc(v->msg.nrcpt + 1, sizeof(bool));
	for (i = 0; i < v->msg.nrcpt; i++) {
		const struct rcpt *r = &m->rcpts[v->msg.rcpts[i].n];

		v->active[i] = r->state != R_HELD && (r->state != R_IDLE || r->due <= clock_now());
	}
}

static void
from_row(struct view *v, struct index_msg *row)
{
	uint32_t i;

	v->row = row;
	v->msg = *row;
	v->active = xcalloc(row->nrcpt + 1, sizeof(bool));
	for (i = 0; i < row->nrcpt; i++)
		v->active[i] = row->rcpts[i].mark != MARK_HELD && row->rcpts[i].due <= clock_now();
}

bool
view_get(struct view *v, struct index *ix, uint64_t id, struct index_msg *row)
{
	struct message *m = ready_find(id);

	memset(v, 0, sizeof(*v));
	if (m != NULL) {
		if (row != NULL)
			index_msg_free(row);
		from_memory(v, m);
		return true;
	}
	if (row == NULL && (row = index_get(ix, id)) == NULL)
		return false;
	from_row(v, row);
	return true;
}

void
view_free(struct view *v)
{
	if (v->row != NULL)
		index_msg_free(v->row);
	else
		free(v->msg.rcpts);
	free(v->active);
}

static void
add_active(struct message *m, void *arg)
{
	uint64_t *active = arg;

	*active += message_live(m) - m->count[R_HELD] - m->count[R_IDLE];
}

struct totals
view_totals(struct index *ix)
{
	struct index_count n;
	uint64_t active = 0;

	ready_flush_rows();
	index_counts(ix, &n);
	ready_each(add_active, &active);
	return (struct totals){ .messages = n.messages, .recipients = n.recipients, .held = n.held, .bytes = n.bytes,
	    .deferred = n.recipients > n.held + active ? n.recipients - n.held - active : 0 };
}

const char *
view_rcpt_state(const struct view *v, uint32_t i)
{
	if (v->active[i])
		return "active";
	return v->msg.rcpts[i].mark == MARK_HELD ? "held" : "deferred";
}

const char *
view_state(const struct view *v)
{
	const char *state = "held";
	uint32_t i;

	for (i = 0; i < v->msg.nrcpt; i++) {
		if (v->active[i])
			return "active";
		if (v->msg.rcpts[i].mark != MARK_HELD)
			state = "deferred";
	}
	return state;
}

/* ---- spans and sizes ---- */

struct span
span(int64_t ms)
{
	static const struct { int64_t ms; char unit; } units[] = { { 86400000, 'd' }, { 3600000, 'h' }, { 60000, 'm' }, { 1000, 's' } };
	struct span t;
	size_t i;

	if (ms < 0)
		ms = 0;
	for (i = 0; i < 3 && ms < 2 * units[i].ms; i++)
		;
	snprintf(t.s, sizeof(t.s), "%lld%c", (long long)(ms / units[i].ms), units[i].unit);
	return t;
}

struct span
size_text(uint64_t n)
{
	struct span t;

	if (n < 10000)
		snprintf(t.s, sizeof(t.s), "%llu", (unsigned long long)n);
	else if (n < 10000 * 1024ULL)
		snprintf(t.s, sizeof(t.s), "%lluK", (unsigned long long)n / 1024);
	else
		snprintf(t.s, sizeof(t.s), "%lluM", (unsigned long long)n / 1024 / 1024);
	return t;
}

struct span
next_text(const struct view *v, uint32_t i)
{
	struct span t;

	if (v->active[i])
		strlcpy(t.s, "now", sizeof(t.s));
	else if (v->msg.rcpts[i].mark == MARK_HELD)
		strlcpy(t.s, "never", sizeof(t.s));
	else
		snprintf(t.s, sizeof(t.s), "in %.20s", span(v->msg.rcpts[i].due - clock_now()).s);
	return t;
}

/* ---- JSON ---- */

void
json_str(struct buf *b, const char *s)
{
	bool utf8 = utf8_valid(s, strlen(s));

	put_u8(b, '"');
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			buf_addf(b, "\\%c", c);
		else if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8))
			buf_addf(b, "\\u%04x", c);
		else
			put_u8(b, c);
	}
	put_u8(b, '"');
}

static int64_t
due_in(const struct view *v, uint32_t i)
{
	int64_t ms = v->active[i] ? 0 : v->msg.rcpts[i].due - clock_now();

	return ms > 0 ? ms / 1000 : 0;
}

/* The next of them that is not held; -1: all are. */
static int64_t
soonest(const struct view *v)
{
	int64_t least = -1, s;
	uint32_t i;

	for (i = 0; i < v->msg.nrcpt; i++) {
		if (v->msg.rcpts[i].mark == MARK_HELD)
			continue;
		s = due_in(v, i);
		if (least == -1 || s < least)
			least = s;
	}
	return least;
}

static void
list_to(struct buf *b, const struct view *v, uint32_t *attempts, const char **reply)
{
	uint32_t i;

	*attempts = 0;
	*reply = "";
	for (i = 0; i < v->msg.nrcpt; i++) {
		const struct index_rcpt *r = &v->msg.rcpts[i];

		if (i > 0)
			buf_adds(b, ", ");
		json_str(b, r->addr);
		if (r->attempts > *attempts)
			*attempts = r->attempts;
		if (*r->reply != '\0')
			*reply = r->reply;
	}
}

static void
json_next(struct buf *b, int64_t s)
{
	if (s == -1)
		buf_adds(b, "null");
	else
		buf_addf(b, "%lld", (long long)s);
}

/* The contract's fields: id, from, to, size, age, state, attempts, next, reply. No brace at the end: more may follow. */
void
view_json(struct buf *b, const struct view *v)
{
	const char *reply;
	uint32_t attempts;

	buf_adds(b, "{\"id\": ");
	json_str(b, qid_text(v->msg.id).s);
	buf_adds(b, ", \"from\": ");
	json_str(b, v->msg.sender);
	buf_adds(b, ", \"to\": [");
	list_to(b, v, &attempts, &reply);
	buf_addf(b, "], \"size\": %llu, \"age\": %lld, \"state\": \"%s\", \"attempts\": %u, \"next\": ",
	    (unsigned long long)v->msg.size, (long long)retry_age(v->msg.arrival, clock_now()) / 1000, view_state(v), attempts);
	json_next(b, soonest(v));
	buf_adds(b, ", \"reply\": ");
	json_str(b, reply);
}
