/*
 * notice: what stands in a notice: facts of a message and its recipients, as dsn.h wants them.
 *
 * Called by bounce (and recovery, for the trail). Owns nothing. A message that cannot be read back is told of with what there is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "program/child.h"
#include "proc/clock.h"
#include "base/crc32c.h"
#include "notice/dsn.h"
#include "proc/ev.h"
#include "notice/notice.h"
#include "mail/qid.h"
#include "core/result.h"
#include "base/xmalloc.h"

#define RETURN_MAX	(50 * 1024)
#define LISTED_MAX	1000		/* recipients; of the others it is said how many there are */

/* The recipients as "0-3,7". */
void
notice_trail(struct buf *b, const struct notice *no)
{
	uint32_t i, j;

	for (i = 0; i < no->n; i = j) {
		for (j = i + 1; j < no->n && no->rcpt[j] == no->rcpt[j - 1] + 1; j++)
			;
		buf_addf(b, "%s%u", i > 0 ? "," : "", no->rcpt[i]);
		if (j > i + 1)
			buf_addf(b, "-%u", no->rcpt[j - 1]);
	}
}

void
notice_trail_each(const char *s, void (*cb)(void *, uint32_t), void *arg)
{
	unsigned long from, to;
	char *end;

	while (*s >= '0' && *s <= '9') {
		from = to = strtoul(s, &end, 10);
		if (*end == '-')
			to = strtoul(end + 1, &end, 10);
		for (; from <= to && to < 10 * 1000 * 1000; from++)
			cb(arg, (uint32_t)from);
		s = *end == ',' ? end + 1 : "";
	}
}

static enum dsn_action
action_of(const struct message *m, const struct notice *no, uint32_t n)
{
	const struct conf *c = child_conf();
	int i;

	if (no->kind == BIRTH_DELAY || no->kind == BIRTH_DAMAGED)
		return DSN_DELAYED;
	if (m->rcpts[n].fate == MARK_BOUNCED)
		return DSN_FAILED;
	if (m->rcpts[n].fate == MARK_EXPANDED)
		return DSN_EXPANDED;
	i = conf_action(c, m->env.rcpts[n].action);
	return i >= 0 && c->action[i].kind == ACTION_RELAY ? DSN_RELAYED : DSN_DELIVERED;
}

static bool
goes_nowhere(const struct p_env_rcpt *e)
{
	int i = conf_action(child_conf(), e->action);

	return i >= 0 && child_conf()->action[i].kind == ACTION_DISCARD;
}

static struct dsn_rcpt
dsn_rcpt(const struct message *m, const struct notice *no, uint32_t n)
{
	const struct p_env_rcpt *e = &m->env.rcpts[n];
	static const struct last none = { .text = "", .relay = "" };
	const struct last *l = m->rcpts[n].last != NULL ? m->rcpts[n].last : &none;
	struct dsn_rcpt r = { .addr = e->addr, .orig = e->orig, .orcpt = e->orcpt, .action = action_of(m, no, n),
	    .expired = m->rcpts[n].expired, .tried = m->rcpts[n].attempts > 0, .discarded = goes_nowhere(e),
	    .told = e->notify == NOTIFY_DEFAULT || (e->notify & NOTIFY_FAILURE) != 0, .status = l->dsn, .code = l->code, .text = l->text, .relay = l->relay,
	    .when = l->when != 0 ? clock_wall(l->when) : 0 };

	if (r.action == DSN_DELAYED && no->kind != BIRTH_DAMAGED)
		r.until = clock_wall(clock_born(m->env.arrival) + (int64_t)result_policy(m, n).lifetime);
	return r;
}

static bool
needs_utf8(const struct message *m, const struct notice *no, uint32_t listed)
{
	uint32_t i;

	if (!dsn_is_ascii(no->to))
		return true;
	for (i = 0; i < listed; i++)
		if (!dsn_is_ascii(m->env.rcpts[no->rcpt[i]].addr))
			return true;
	return (m->env.flags & MAIL_UTF8HDR) != 0 && m->env.smtputf8;
}

/* What is returned of the message; NULL when it cannot be read. */
static uint8_t *
read_back(struct spool *sp, const struct message *m, bool header_only, struct dsn *d)
{
	size_t len = m->len < RETURN_MAX ? (size_t)m->len : RETURN_MAX;
	uint8_t *p = xmalloc(len + 1);
	ssize_t got = spool_read(sp, m->loc.seg, m->body_off, p, len);

	/* What is not what was accepted is nobody's words. */
	if (d->damaged || (got == (ssize_t)m->len && crc32c(0, p, len) != m->crc))
		got = 0;
	d->headers_only = header_only || m->env.ret == RET_HDRS || m->len > RETURN_MAX || got != (ssize_t)len;
	d->returned = (struct blob){ p, got > 0 ? (size_t)got : 0 };
	d->eightbit = false;
	if (got > 0 && (m->env.flags & MAIL_8BIT)) {
		size_t n = d->headers_only ? dsn_header_len(d->returned) : (size_t)got, i;

		for (i = 0; i < n && !d->eightbit; i++)
			d->eightbit = p[i] >= 0x80;
	}
	return p;
}

void
notice_compose(struct spool *sp, const struct message *m, const struct notice *no, struct buf *out)
{
	struct qid_text id = qid_text(no->id), parent = qid_text(no->parent);
	char boundary[40];
	uint32_t listed = no->n < LISTED_MAX ? no->n : LISTED_MAX;
	struct dsn_rcpt *v = xcalloc(listed, sizeof(*v));
	struct dsn d = { .hostname = child_conf()->hostname, .to = no->to, .id = id.s, .parent = parent.s, .boundary = boundary,
	    .postmaster = no->kind == BIRTH_POSTMASTER, .damaged = no->kind == BIRTH_DAMAGED,
	    .archive = no->kind == BIRTH_POSTMASTER && m->env.birth == BIRTH_ARCHIVE,
	    .now = ev_time_ms(), .arrival = m->env.arrival,
	    .envid = m->env.envid, .message_id = m->message_id, .size = m->len, .rcpts = v, .nrcpt = listed,
	    .more = no->n - listed, .utf8 = needs_utf8(m, no, listed) };
	uint8_t *body;
	uint32_t i;

	snprintf(boundary, sizeof(boundary), "=_%08x%08x%08x", arc4random(), arc4random(), arc4random());
	for (i = 0; i < listed; i++)
		v[i] = dsn_rcpt(m, no, no->rcpt[i]);
	body = read_back(sp, m, no->kind != BIRTH_FAILURE && no->kind != BIRTH_POSTMASTER, &d);	/* RFC 3461 4.3: RET is about failures */
	dsn_write(out, &d);
	free(body);
	free(v);
}
