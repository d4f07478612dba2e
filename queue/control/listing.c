/*
 * listing: see listing.h. Each form is a row of a table: what is written before the recipients, for each of them, and behind them.
 *
 * A message that is in memory is shown as it is there, any other as its rows. One that leaves the queue between two parts ends
 * where it was; what was begun is closed. Owns the sum over its recipients and, for `show`, its envelope.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core/retry.h"
#include "proc/clock.h"
#include "control/listing.h"
#include "mail/qid.h"
#include "control/show.h"
#include "base/xmalloc.h"

#define PART	100			/* recipients at once */

struct form {
	bool	 envelope;			/* it tells what only the record has */
	void	 (*head)(struct client *, struct listing *, const struct view *);
	void	 (*rcpt)(struct client *, struct listing *, const struct view *, uint32_t);
	void	 (*middle)(struct client *, struct listing *, const struct view *);	/* NULL: rcpt2 is not there either */
	void	 (*rcpt2)(struct client *, struct listing *, const struct view *, uint32_t);	/* all of them once more */
	void	 (*tail)(struct client *, struct listing *, const struct view *);
};

enum stage { SUMMING, FIRST, SECOND, OVER };

struct listing {
	const struct form *form;
	const struct query *q;
	const struct pick *pick;		/* NULL: any */
	size_t		 npick;
	uint64_t	 id, count, bytes;
	enum stage	 stage;
	uint32_t	 at;			/* the next part begins with this recipient, or this pick */
	uint32_t	 shown;			/* of this stage */
	struct view_sum	 sum;
	struct spool_env env;
	bool		 has_env;
	char		*last;			/* mailq: the reply that was written last */
};

/* ---- for people ---- */

static void
text_head(struct client *c, struct listing *l, const struct view *v)
{
	if (l->count == 0)
		say(c, "%-13s  %6s  %5s  %-8s  %s", "ID", "size", "age", "state", "from, to");
	say(c, "%-13s  %6s  %5s  %-8s  <%s>", qid_text(v->msg.id).s, size_text(v->msg.size).s,
	    span(clock_age(v->msg.arrival)).s, view_sum_state(&l->sum), v->msg.sender);
}

static void
text_rcpt(struct client *c, struct listing *l, const struct view *v, uint32_t i)
{
	const struct index_rcpt *r = &v->msg.rcpts[i];

	(void)l;
	if (r->attempts == 0 && *r->reply == '\0')
		say(c, "%40s<%s>", "", r->addr);
	else
		say(c, "%40s<%s> %s, tried %s, next %s: %s", "", r->addr, view_rcpt_state(v, i), plural(r->attempts, "time").s,
		    next_text(v, i).s, r->reply);
}

/* The listing that mailq has had since Sendmail. */
static void
mailq_head(struct client *c, struct listing *l, const struct view *v)
{
	time_t t = (time_t)(v->msg.arrival / 1000);
	const char *state = view_sum_state(&l->sum);
	char date[32];
	struct tm tm;

	if (l->count == 0)
		say(c, "%-15s %8s ----Arrival Time---- -Sender/Recipient-------", "-Queue ID-", "--Size--");
	strftime(date, sizeof(date), "%a %b %d %H:%M:%S", localtime_r(&t, &tm));
	say(c, "%s%c %9llu %s  %s", qid_text(v->msg.id).s, *state == 'a' ? '*' : *state == 'h' ? '!' : ' ',
	    (unsigned long long)v->msg.size, date, *v->msg.sender != '\0' ? v->msg.sender : "MAILER-DAEMON");
}

static void
mailq_rcpt(struct client *c, struct listing *l, const struct view *v, uint32_t i)
{
	const struct index_rcpt *r = &v->msg.rcpts[i];

	if (*r->reply != '\0' && (l->last == NULL || strcmp(r->reply, l->last) != 0))
		say(c, "%*s(%s)", 8, "", r->reply);
	free(l->last);
	l->last = xstrdup(r->reply);
	say(c, "%45s%s", "", r->addr);
}

static void
mailq_tail(struct client *c, struct listing *l, const struct view *v)
{
	(void)l;
	(void)v;
	say(c, "%s", "");
}

static const struct { const char *name; size_t off; } env_fields[] = {
	{ "client_addr", offsetof(struct p_env, client_addr) }, { "client_name", offsetof(struct p_env, client_name) },
	{ "helo", offsetof(struct p_env, helo) }, { "proto", offsetof(struct p_env, proto) }, { "user", offsetof(struct p_env, user) },
	{ "tag", offsetof(struct p_env, tag) }, { "envid", offsetof(struct p_env, envid) },
};

static const char *
env_field(const struct p_env *e, size_t i)
{
	const char *s;

	memcpy(&s, (const char *)e + env_fields[i].off, sizeof(s));
	return s;
}

static void
show_head(struct client *c, struct listing *l, const struct view *v)
{
	char date[64];
	time_t t = (time_t)(v->msg.arrival / 1000);
	struct tm tm;
	size_t i;

	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S %z", localtime_r(&t, &tm));
	say(c, "%-12s %s", "id", qid_text(v->msg.id).s);
	say(c, "%-12s %s", "state", view_sum_state(&l->sum));
	say(c, "%-12s %s", "class", class_name(class_of(&l->env.env)));
	say(c, "%-12s %s (%s ago)", "arrival", date, span(clock_age(v->msg.arrival)).s);
	say(c, "%-12s %llu bytes", "size", (unsigned long long)v->msg.size);
	say(c, "%-12s <%s>", "from", v->msg.sender);
	if (*v->msg.message_id != '\0')
		say(c, "%-12s %s", "message-id", v->msg.message_id);
	if (v->msg.uid >= 0)
		say(c, "%-12s %lld", "uid", (long long)v->msg.uid);
	for (i = 0; i < sizeof(env_fields) / sizeof(env_fields[0]); i++)
		if (*env_field(&l->env.env, i) != '\0')
			say(c, "%-12s %s", env_fields[i].name, env_field(&l->env.env, i));
}

static void
show_rcpt(struct client *c, struct listing *l, const struct view *v, uint32_t i)
{
	const struct index_rcpt *r = &v->msg.rcpts[i];
	enum act pending = view_pending(v, i);

	(void)l;
	say(c, "%-12s <%s> by action %s: %s, tried %s, next %s", "to", r->addr, r->action, view_rcpt_state(v, i),
	    plural(r->attempts, "time").s, next_text(v, i).s);
	if (pending != ACT_NONE)
		say(c, "%-12s   %s when the delivery under way returns", "", act_words[pending].did);
	if (*r->reply != '\0')
		say(c, "%-12s   last reply: %s", "", r->reply);
}

/* ---- JSON: an object is written piece by piece ---- */

static void
json_head(struct client *c, struct listing *l, const struct view *v)
{
	struct buf b = BUF_INIT;

	(void)l;
	say_begin(c);
	buf_adds(&b, "{\"id\": ");
	json_str(&b, qid_text(v->msg.id).s);
	json_field(&b, "from", v->msg.sender);
	buf_adds(&b, ", \"to\": [");
	say_more(c, &b);
	buf_free(&b);
}

static void
json_rcpt(struct client *c, struct listing *l, const struct view *v, uint32_t i)
{
	struct buf b = BUF_INIT;

	buf_adds(&b, l->shown > 0 ? ", " : "");
	json_str(&b, v->msg.rcpts[i].addr);
	say_more(c, &b);
	buf_free(&b);
}

/* The contract's other fields, without a brace. */
static void
json_sum(struct buf *b, const struct listing *l, const struct view *v)
{
	buf_addf(b, "], \"size\": %llu, \"age\": %lld, \"state\": \"%s\", \"attempts\": %u, \"next\": ",
	    (unsigned long long)v->msg.size, (long long)clock_age(v->msg.arrival) / 1000, view_sum_state(&l->sum),
	    l->sum.attempts);
	if (l->sum.next == -1)
		buf_adds(b, "null");
	else
		buf_addf(b, "%lld", (long long)l->sum.next);
	json_field(b, "reply", l->sum.reply != NULL ? l->sum.reply : "");
}

static void
json_tail(struct client *c, struct listing *l, const struct view *v)
{
	struct buf b = BUF_INIT;

	json_sum(&b, l, v);
	buf_adds(&b, "}");
	say_more(c, &b);
	say_end(c);
	buf_free(&b);
}

static void
json_middle(struct client *c, struct listing *l, const struct view *v)
{
	struct buf b = BUF_INIT;
	size_t i;

	json_sum(&b, l, v);
	json_field(&b, "class", class_name(class_of(&l->env.env)));
	buf_addf(&b, ", \"arrival\": %lld, \"uid\": %lld", (long long)v->msg.arrival / 1000, (long long)v->msg.uid);
	json_field(&b, "message_id", v->msg.message_id);
	for (i = 0; i < sizeof(env_fields) / sizeof(env_fields[0]); i++)
		json_field(&b, env_fields[i].name, env_field(&l->env.env, i));
	buf_adds(&b, ", \"recipients\": [");
	say_more(c, &b);
	buf_free(&b);
}

static void
json_rcpt2(struct client *c, struct listing *l, const struct view *v, uint32_t i)
{
	const struct index_rcpt *r = &v->msg.rcpts[i];
	enum act pending = view_pending(v, i);
	struct buf b = BUF_INIT;

	buf_adds(&b, l->shown > 0 ? ", {\"to\": " : "{\"to\": ");
	json_str(&b, r->addr);
	json_field(&b, "action", r->action);
	json_field(&b, "state", view_rcpt_state(v, i));
	buf_addf(&b, ", \"attempts\": %u, \"code\": %u", r->attempts, r->code);
	json_field(&b, "reply", r->reply);
	if (pending != ACT_NONE)
		json_field(&b, "pending", act_words[pending].name);
	else
		buf_adds(&b, ", \"pending\": null");
	buf_adds(&b, "}");
	say_more(c, &b);
	buf_free(&b);
}

static void
json_tail2(struct client *c, struct listing *l, const struct view *v)
{
	struct buf b = BUF_INIT;

	(void)l;
	(void)v;
	buf_adds(&b, "]}");
	say_more(c, &b);
	say_end(c);
	buf_free(&b);
}

static const struct form forms[] = {
	[LIST_TEXT] = { false, text_head, text_rcpt, NULL, NULL, NULL },
	[LIST_MAILQ] = { false, mailq_head, mailq_rcpt, NULL, NULL, mailq_tail },
	[LIST_JSON] = { false, json_head, json_rcpt, NULL, NULL, json_tail },
	[LIST_SHOW_TEXT] = { true, show_head, show_rcpt, NULL, NULL, NULL },
	[LIST_SHOW_JSON] = { true, json_head, json_rcpt, json_middle, json_rcpt2, json_tail2 },
};

/* ---- parts ---- */

/* Of a message only the recipients that were asked for. */
static void
keep_selected(const struct query *q, struct view *v)
{
	uint32_t i, n = 0;

	for (i = 0; q != NULL && i < v->msg.nrcpt; i++)
		if (query_shows(q, v, i)) {
			v->msg.rcpts[n] = v->msg.rcpts[i];
			v->active[n++] = v->active[i];
		}
	if (q != NULL)
		v->msg.nrcpt = n;
}

static void
recipients(struct client *c, struct listing *l, const struct view *v,
    void (*write)(struct client *, struct listing *, const struct view *, uint32_t))
{
	uint32_t i;

	for (i = 0; i < v->msg.nrcpt; i++) {
		write(c, l, v, i);
		l->shown++;
	}
}

static void
close_message(struct client *c, struct listing *l, const struct view *v)
{
	if (l->form->tail != NULL)
		l->form->tail(c, l, v);
	l->count++;
	l->bytes += v->msg.size;
	l->stage = OVER;
}

/* What the sum says is known. -> the recipients of v are to be written now, since it has all of them */
static bool
open_message(struct client *c, struct listing *l, const struct view *v)
{
	bool all = l->at == 0;

	if (l->sum.n == 0 || (l->form->envelope && spool_read_env(control_spool(), v->msg.loc, &l->env) == -1)) {
		l->stage = OVER;
		return false;
	}
	l->has_env = l->form->envelope;
	l->form->head(c, l, v);
	l->stage = FIRST;
	l->shown = 0;
	l->at = 0;
	return all;
}

/* A stage is behind its last recipient. */
static void
next_stage(struct client *c, struct listing *l, const struct view *v)
{
	if (l->stage == FIRST && l->form->rcpt2 != NULL) {
		l->form->middle(c, l, v);
		l->stage = SECOND;
		l->shown = 0;
		l->at = 0;
	} else
		close_message(c, l, v);
}

static void
written(struct client *c, struct listing *l, const struct view *v)
{
	recipients(c, l, v, l->stage == FIRST ? l->form->rcpt : l->form->rcpt2);
	l->at = v->more;
	if (v->more == UINT32_MAX)
		next_stage(c, l, v);
}

static void
summed(struct client *c, struct listing *l, const struct view *v)
{
	view_sum_add(&l->sum, v);
	if (v->more != UINT32_MAX)
		l->at = v->more;
	else if (open_message(c, l, v))
		written(c, l, v);
}

/* It is gone: nothing more can be read of it. */
static void
cut_off(struct client *c, struct listing *l)
{
	struct view none = { .msg = { .id = l->id, .sender = "", .tag = "", .message_id = "" }, .more = UINT32_MAX };

	while (l->stage == FIRST || l->stage == SECOND)
		next_stage(c, l, &none);
	l->stage = OVER;
}

static bool
next_part(const struct listing *l, struct view *v)
{
	uint32_t n[PART];
	size_t i;

	if (l->pick == NULL)
		return view_part(v, control_index(), l->id, l->at, PART);
	for (i = 0; i < PART && l->at + i < l->npick; i++)
		n[i] = l->pick[l->at + i].n;
	if (!view_some(v, control_index(), l->id, n, i))
		return false;
	if (l->at + i < l->npick)
		v->more = l->at + (uint32_t)i;
	return true;
}

bool
listing_part(struct client *c, struct listing *l)
{
	struct view v;

	if (!next_part(l, &v)) {
		cut_off(c, l);
		return true;
	}
	keep_selected(l->q, &v);
	(l->stage == SUMMING ? summed : written)(c, l, &v);
	view_free(&v);
	return l->stage == OVER;
}

/* ---- life ---- */

static void
forget(struct listing *l)
{
	if (l->has_env)
		spool_env_free(&l->env);
	l->has_env = false;
	free(l->last);
	l->last = NULL;
	view_sum_free(&l->sum);
}

void
listing_begin(struct listing *l, uint64_t id, const struct query *q, const struct pick *pick, size_t npick)
{
	forget(l);
	l->pick = pick;
	l->npick = npick;
	l->id = id;
	l->q = q;
	l->at = l->shown = 0;
	l->stage = SUMMING;
}

struct listing *
listing_new(enum list_form form)
{
	struct listing *l = xcalloc(1, sizeof(*l));

	l->form = &forms[form];
	view_sum_free(&l->sum);
	return l;
}

void
listing_free(struct listing *l)
{
	if (l == NULL)
		return;
	forget(l);
	free(l);
}

uint64_t
listing_count(const struct listing *l)
{
	return l->count;
}

uint64_t
listing_bytes(const struct listing *l)
{
	return l->bytes;
}
