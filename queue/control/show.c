/*
 * show: views of messages, and how JSON is written.
 *
 * Called by the control verbs. A view owns what it was given; its strings live as long as the message or row. Cannot fail; bytes that
 * are no UTF-8 become \u00XX in JSON.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mail/addr.h"
#include "proc/clock.h"
#include "core/nexthop.h"
#include "mail/qid.h"
#include "core/ready.h"
#include "core/rows.h"
#include "control/show.h"
#include "base/xmalloc.h"

static void
room_for(struct view *v, const struct message *m, uint32_t most)
{
	v->msg = rows_head(m);
	v->msg.nrcpt = 0;
	v->msg.rcpts = xcalloc(most + 1, sizeof(*v->msg.rcpts));
	v->active = xcalloc(most + 1, sizeof(bool));
	v->more = UINT32_MAX;
}

bool
view_at_rest(const char *action, const char *domain, struct index_rcpt *r, int64_t now)
{
	const struct dest *d;

	if (r->mark == MARK_HELD || r->due > now || (d = dest_find(action, domain)) == NULL || !dest_rests(d, now))
		return false;
	r->due = d->rest > now ? d->rest : now;
	if (r->attempts == 0 && *r->reply == '\0' && d->why != NULL) {
		r->reply = d->why->full;
		r->relay = d->why->relay;
		r->code = d->why->code;
	}
	return true;
}

static void
add_from_memory(struct view *v, const struct message *m, uint32_t n)
{
	struct index_rcpt *to = &v->msg.rcpts[v->msg.nrcpt];
	const struct rcpt *r = &m->rcpts[n];
	int64_t now = clock_now();

	if (r->state == R_FINAL)
		return;
	*to = rows_rcpt(m, n);
	v->active[v->msg.nrcpt++] = r->state != R_HELD && (r->state != R_IDLE || (r->due <= now && !view_at_rest(to->action, to->domain, to, now)));
}

static void
from_row(struct view *v, struct index_msg *row)
{
	int64_t now = clock_now();
	uint32_t i;

	v->row = row;
	v->msg = *row;
	v->active = xcalloc(row->nrcpt + 1, sizeof(bool));
	for (i = 0; i < row->nrcpt; i++)
		v->active[i] = row->rcpts[i].mark != MARK_HELD && row->rcpts[i].due <= now &&
		    !view_at_rest(row->rcpts[i].action, row->rcpts[i].domain, &row->rcpts[i], now);
	v->more = UINT32_MAX;
}

bool
view_part(struct view *v, struct index *ix, uint64_t id, uint32_t n, uint32_t max)
{
	struct message *m = ready_find(id);
	struct index_msg *row;

	memset(v, 0, sizeof(*v));
	if (m != NULL) {
		room_for(v, m, m->env.rcpts_n < max ? m->env.rcpts_n : max);
		for (; n < m->env.rcpts_n && v->msg.nrcpt < max; n++)
			add_from_memory(v, m, n);
		if (n < m->env.rcpts_n)
			v->more = n;
		return true;
	}
	if ((row = index_part(ix, id, n, max)) == NULL)
		return false;
	from_row(v, row);
	if (row->nrcpt == max && max > 0)
		v->more = row->rcpts[max - 1].n + 1;
	return true;
}

bool
view_some(struct view *v, struct index *ix, uint64_t id, const uint32_t *n, size_t count)
{
	struct message *m = ready_find(id);
	struct index_msg *row;
	size_t i;

	memset(v, 0, sizeof(*v));
	if (m != NULL) {
		room_for(v, m, (uint32_t)count);
		for (i = 0; i < count; i++)
			if (n[i] < m->env.rcpts_n)
				add_from_memory(v, m, n[i]);
		return true;
	}
	if ((row = index_some(ix, id, n, count)) == NULL)
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

/* What was tried before and is under way now is active; its row says that it was tried. */
static void
add_active(struct message *m, void *arg)
{
	uint64_t *active = arg;
	uint32_t i;

	if (message_live(m) == m->count[R_HELD] + m->count[R_IDLE])
		return;
	for (i = 0; i < m->env.rcpts_n; i++)
		*active += m->rcpts[i].attempts > 0 && m->rcpts[i].state != R_IDLE && m->rcpts[i].state != R_HELD && m->rcpts[i].state != R_FINAL;
}

struct totals
view_totals(struct index *ix)
{
	struct index_count n;
	uint64_t active = 0;

	rows_flush();
	index_counts(ix, &n);
	rows_missing(&n);
	ready_each(add_active, &active);
	return (struct totals){ .messages = n.messages, .recipients = n.recipients, .held = n.held, .bytes = n.bytes,
	    .deferred = (n.tried > active ? n.tried - active : 0) + dest_untried() };
}

const char *
view_rcpt_state(const struct view *v, uint32_t i)
{
	if (v->active[i])
		return "active";
	return v->msg.rcpts[i].mark == MARK_HELD ? "held" : "deferred";
}

enum act
view_pending(const struct view *v, uint32_t i)
{
	const struct message *m = ready_find(v->msg.id);
	uint32_t n = v->msg.rcpts[i].n;

	return m != NULL && n < m->env.rcpts_n && m->rcpts[n].state < R_OWED ? m->rcpts[n].later : ACT_NONE;
}

static int64_t
due_in(const struct view *v, uint32_t i)
{
	int64_t ms = v->active[i] ? 0 : v->msg.rcpts[i].due - clock_now();

	return ms > 0 ? ms / 1000 : 0;
}

void
view_sum_free(struct view_sum *s)
{
	free(s->reply);
	*s = (struct view_sum){ .next = -1 };
}

static void
sum_one(struct view_sum *s, const struct view *v, uint32_t i)
{
	const struct index_rcpt *r = &v->msg.rcpts[i];

	s->n++;
	if (r->attempts > s->attempts)
		s->attempts = r->attempts;
	if (*r->reply != '\0' && (s->reply == NULL || strcmp(s->reply, r->reply) != 0)) {
		free(s->reply);
		s->reply = xstrdup(r->reply);
	}
	s->active = s->active || v->active[i];
	if (r->mark == MARK_HELD)
		return;
	s->deferred = true;
	if (s->next == -1 || due_in(v, i) < s->next)
		s->next = due_in(v, i);
}

void
view_sum_add(struct view_sum *s, const struct view *v)
{
	uint32_t i;

	for (i = 0; i < v->msg.nrcpt; i++)
		sum_one(s, v, i);
}

const char *
view_sum_state(const struct view_sum *s)
{
	return s->active ? "active" : s->deferred ? "deferred" : "held";
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

void
json_field(struct buf *b, const char *name, const char *value)
{
	buf_addf(b, ", \"%s\": ", name);
	json_str(b, value);
}
