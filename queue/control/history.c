/*
 * control_history: history and why.
 *
 * Called by control_verbs. Both read the history block by block, in slices, since nothing in it is indexed; why then says how the
 * message stands and what comes next, in words: its record tells of which class it is, so how long it is tried. Who may only see their
 * own mail sees what they submitted.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "mail/addr.h"
#include "proc/clock.h"
#include "control/history.h"
#include "proc/ev.h"
#include "core/history.h"
#include "core/policy.h"
#include "mail/qid.h"
#include "core/ready.h"
#include "mail/reply.h"
#include "core/rows.h"
#include "core/sched.h"
#include "control/show.h"
#include "core/suspend.h"
#include "base/xmalloc.h"

#define PART	100			/* recipients at once */

struct past {
	struct client	*c;
	uint64_t	 id;
	bool		 has_id;
	char		*to, *from, *message_id, *domain;
	uint64_t	 seq, found;
	bool		 walking;		/* the history is not read to its end yet */
	bool		 why, there;		/* there: in the queue */
	struct spool_env env;			/* why: its own */
	bool		 has_env;
	uint32_t	 at;			/* why: the next recipient to be told of; UINT32_MAX: none */
};

static void
past_free(void *arg)
{
	struct past *p = arg;

	free(p->to);
	free(p->from);
	free(p->message_id);
	free(p->domain);
	if (p->has_env)
		spool_env_free(&p->env);
	free(p);
}

/* ---- one result ---- */

static bool
same_id(const char *want, const char *have)
{
	size_t n = strlen(have);

	if (strcmp(want, have) == 0)
		return true;
	return n > 2 && *have == '<' && strlen(want) == n - 2 && strncmp(want, have + 1, n - 2) == 0;
}

static bool
wanted(const struct past *p, const struct history_result *h)
{
	int64_t sees = client_sees(p->c);

	return (!p->has_id || h->id == p->id) && (sees < 0 || h->uid == sees) && (p->to == NULL || strcasecmp(p->to, h->addr) == 0) &&
	    (p->from == NULL || strcasecmp(p->from, h->sender) == 0) &&
	    (p->domain == NULL || strcasecmp(p->domain, addr_domain(h->addr)) == 0) &&
	    (p->message_id == NULL || same_id(p->message_id, h->message_id));
}

static const char *
date_of(int64_t ms, char *s, size_t size)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	strftime(s, size, "%Y-%m-%d %H:%M:%S", localtime_r(&t, &tm));
	return s;
}

static void
say_text(struct client *c, const struct history_result *h, const char *reply)
{
	char date[64];

	say(c, "%s  %s  %-8s  <%s> to <%s>%s%s: %s", date_of(h->when, date, sizeof(date)), qid_text(h->id).s,
	    history_word(h->what), h->sender, h->addr, *h->relay != '\0' ? " by " : "", h->relay, reply);
}

static void
say_json(struct client *c, const struct history_result *h, const char *reply)
{
	struct buf b = BUF_INIT;

	buf_addf(&b, "{\"time\": %lld.%03lld", (long long)h->when / 1000, (long long)h->when % 1000);
	json_field(&b, "id", qid_text(h->id).s);
	json_field(&b, "result", history_word(h->what));
	json_field(&b, "from", h->sender);
	json_field(&b, "to", h->addr);
	json_field(&b, "message_id", h->message_id);
	json_field(&b, "relay", h->relay);
	buf_addf(&b, ", \"code\": %u", h->code);
	json_field(&b, "dsn", h->dsn);
	json_field(&b, "reply", reply);
	buf_addf(&b, ", \"attempt\": %u, \"delay\": %lld}", h->attempt, (long long)(h->when > h->arrival ? h->when - h->arrival : 0) / 1000);
	say_buf(c, &b);
	buf_free(&b);
}

static void
one(void *arg, const struct history_result *h)
{
	struct past *p = arg;
	struct buf b = BUF_INIT;

	if (!wanted(p, h))
		return;
	p->found++;
	reply_whole(&b, h->code, h->dsn, h->text);
	(p->c->json ? say_json : say_text)(p->c, h, buf_str(&b));
	buf_free(&b);
}

/* ---- what comes next ---- */

/* Its place is counted up to here. */
#define PLACES	10000

static char *
in_line(const struct view *v, const struct index_rcpt *r, const struct dest_policy *p)
{
	unsigned before = index_before(control_index(), r->action, r->domain, r->due, v->msg.id, PLACES);
	const char *least = before == PLACES ? "at least " : "";

	if (p->rate == 0)
		return xasprintf("attempt %u is due: it stands in line for %s, at place %s%u", r->attempts + 1, r->domain, least, before + 1);
	return xasprintf("attempt %u is due: it stands in line for %s, at place %s%u; its rate lets it go in %s%s or so", r->attempts + 1,
	    r->domain, least, before + 1, least, span((int64_t)(before * 3600000ULL / p->rate)).s);
}

static char *
next_of(const struct view *v, const struct p_env *e, uint32_t i)
{
	const struct index_rcpt *r = &v->msg.rcpts[i];
	struct message *m = ready_find(v->msg.id);
	struct dest_policy p = policy_for(e, r->action, r->domain, r->relay);
	int64_t end = (int64_t)p.lifetime - clock_age(v->msg.arrival);
	enum rstate state = m != NULL ? m->rcpts[r->n].state : R_IDLE;
	enum act pending = view_pending(v, i);

	if (r->mark == MARK_HELD)
		return xasprintf("nothing is tried until \"posternctl queue release %s\"", qid_text(v->msg.id).s);
	if (pending != ACT_NONE)
		return xasprintf("a delivery is under way now; if it fails, it is %s when that returns", act_words[pending].did);
	if (state == R_FLYING)
		return xstrdup("a delivery is under way now");
	if (state == R_OWED || state == R_NOTICE)
		return xstrdup("it has ended; the sender's notice is being written");
	if (suspend_has(SUSPEND_DOMAIN, r->domain))
		return xasprintf("deliveries to %s are suspended, until \"posternctl resume domain %s\"", r->domain, r->domain);
	if (sched_paused())
		return xstrdup("deliveries are paused, until \"posternctl resume delivery\"");
	if (v->active[i])
		return in_line(v, r, &p);
	if (end <= 0)
		return xasprintf("attempt %u, the last one, is in %s", r->attempts + 1, span(r->due - clock_now()).s);
	return xasprintf("attempt %u is in %s; it %s if it is not delivered in %s", r->attempts + 1, span(r->due - clock_now()).s,
	    *e->sender != '\0' ? "goes back to the sender" : "is given up", span(end).s);
}

static void
say_next(struct client *c, const struct view *v, const struct p_env *e, uint32_t i)
{
	const struct index_rcpt *r = &v->msg.rcpts[i];
	char *next = next_of(v, e, i);
	struct buf b = BUF_INIT;

	if (!c->json)
		say(c, "now: <%s> is %s, tried %s%s%s: %s", r->addr, view_rcpt_state(v, i), plural(r->attempts, "time").s,
		    *r->reply != '\0' ? ", last reply: " : "", r->reply, next);
	else {
		buf_adds(&b, "{\"id\": ");
		json_str(&b, qid_text(v->msg.id).s);
		json_field(&b, "to", r->addr);
		json_field(&b, "state", view_rcpt_state(v, i));
		buf_addf(&b, ", \"attempts\": %u", r->attempts);
		json_field(&b, "reply", r->reply);
		json_field(&b, "next", next);
		buf_adds(&b, "}");
		say_buf(c, &b);
	}
	buf_free(&b);
	free(next);
}

/* Some of its recipients, if it is in the queue and this client may know. */
static void
say_now(struct client *c, struct past *p)
{
	struct view v;
	uint32_t i;

	if (!view_part(&v, control_index(), p->id, p->at, PART)) {
		p->at = UINT32_MAX;
		return;
	}
	p->there = client_sees(c) < 0 || v.msg.uid == client_sees(c);
	if (p->there && !p->has_env)
		p->has_env = spool_read_env(control_spool(), v.msg.loc, &p->env) == 0;
	if (p->there && !p->has_env)
		complain(c, "%s: its record cannot be read", qid_text(p->id).s);
	for (i = 0; p->has_env && i < v.msg.nrcpt; i++)
		say_next(c, &v, &p->env.env, i);
	p->at = p->has_env ? v.more : UINT32_MAX;
	view_free(&v);
}

/* ---- the verbs ---- */

static bool
past_step(struct client *c)
{
	struct past *p = c->query;

	while (p->walking || (p->why && p->at != UINT32_MAX)) {
		if (p->walking)
			p->walking = history_page(&p->seq, one, p);
		else
			say_now(c, p);
		if (client_pause(c))
			return false;
	}
	if (p->why && !p->there && p->found > 0 && !c->json)
		say(c, "now: it is not in the queue any more");
	if (p->found == 0 && !p->there)
		complain(c, p->why ? "no such message in the queue, nor in the history" : "nothing in the history fits");
	client_done(c, p->found > 0 || p->there ? 0 : 1);
	return true;
}

static struct past *
begin(struct client *c)
{
	struct past *p = xcalloc(1, sizeof(*p));

	p->c = c;
	p->walking = true;
	c->query = p;
	c->drop = past_free;
	return p;
}

static const struct condition {
	const char	*begins;
	size_t		 field;
	bool		 address;		/* it may stand in <>; the <> of a message-id are its own */
	bool		 empty;			/* nobody is a sender, too */
} conditions[] = {
	{ "to=",	offsetof(struct past, to),		true,	false },
	{ "from=",	offsetof(struct past, from),		true,	true },
	{ "domain=",	offsetof(struct past, domain),		false,	false },
	{ "message-id=", offsetof(struct past, message_id),	false,	false },
};

/* -> NULL, or what is wrong */
static char *
set_text(struct past *p, const struct condition *c, const char *value)
{
	char **to = (char **)(void *)((char *)p + c->field);
	size_t n = strlen(value);

	if (*to != NULL)
		return xasprintf("%s was given twice", c->begins);
	if (c->address)
		value = addr_inside(value, &n);
	if (n == 0 && !c->empty)
		return xasprintf("%s: a value is missing", c->begins);
	*to = xstrndup(value, n);
	return NULL;
}

static char *
set_id(struct past *p, const char *value)
{
	if (p->has_id)
		return xstrdup("history has one id at a time");
	p->has_id = qid_parse(value, &p->id);
	return p->has_id ? NULL : xasprintf("\"%s\" is no queue id", value);
}

static char *
take(struct past *p, const char *word)
{
	uint64_t id;
	size_t i, n;

	for (i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++)
		if (strncmp(word, conditions[i].begins, n = strlen(conditions[i].begins)) == 0)
			return set_text(p, &conditions[i], word + n);
	if (strncmp(word, "id=", 3) == 0)
		return set_id(p, word + 3);
	if (qid_parse(word, &id))
		return set_id(p, word);
	return xasprintf("\"%s\": there are id= to= from= domain= message-id=", word);
}

void
verb_history(struct client *c, char **argv, int argc)
{
	struct past *p = begin(c);
	char *wrong;
	int i;

	for (i = 0; i < argc; i++)
		if ((wrong = take(p, argv[i])) != NULL) {
			complain(c, "%s", wrong);
			free(wrong);
			client_done(c, 64);
			return;
		}
	c->step = past_step;
	ev_wake();
}

void
verb_why(struct client *c, char **argv, int argc)
{
	struct past *p = begin(c);

	(void)argc;
	if (!qid_parse(argv[0], &p->id)) {
		complain(c, "\"%s\" is no queue id", argv[0]);
		client_done(c, 64);
		return;
	}
	p->has_id = p->why = true;
	rows_flush();
	c->ticket = rows_ticket();
	c->step = past_step;
	ev_wake();
}
