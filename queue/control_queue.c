/*
 * control_queue: queue list, show, cat, and mailq.
 *
 * Called by control_verbs. What may be long goes on in steps (a batch of rows, a piece of a message), so that a queue of a million
 * messages is listed without holding up the mail. A message that is in memory is shown as it is there, any other as its row.
 * Owns nothing between the steps but what is in struct client.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "class.h"
#include "clock.h"
#include "control_queue.h"
#include "ev.h"
#include "qid.h"
#include "query.h"
#include "show.h"
#include "xmalloc.h"

#define BATCH	32
#define PIECE	(64 * 1024)

/* ---- lists ---- */

static void
list_text(struct client *c, const struct view *v)
{
	uint32_t i;

	if (c->count == 0)
		say(c, "%-13s  %6s  %4s  %-8s  %s", "ID", "size", "age", "state", "from, to");
	say(c, "%-13s  %6s  %4s  %-8s  <%s>", qid_text(v->msg.id).s, size_text(v->msg.size).s,
	    span(clock_now() - v->msg.arrival).s, view_state(v), v->msg.sender);
	for (i = 0; i < v->msg.nrcpt; i++) {
		const struct index_rcpt *r = &v->msg.rcpts[i];

		if (r->attempts == 0 && *r->reply == '\0')
			say(c, "%40s<%s>", "", r->addr);
		else
			say(c, "%40s<%s> %s, tried %u times, next %s: %s", "", r->addr, view_rcpt_state(v, i), r->attempts,
			    next_text(v, i).s, r->reply);
	}
}

/* The listing that mailq has had since Sendmail. */
static void
list_classic(struct client *c, const struct view *v)
{
	time_t t = (time_t)(v->msg.arrival / 1000);
	const char *state = view_state(v), *last = "";
	char date[32];
	struct tm tm;
	uint32_t i;

	if (c->count == 0)
		say(c, "%-15s %8s ----Arrival Time---- -Sender/Recipient-------", "-Queue ID-", "--Size--");
	strftime(date, sizeof(date), "%a %b %d %H:%M:%S", localtime_r(&t, &tm));
	say(c, "%s%c %9llu %s  %s", qid_text(v->msg.id).s, *state == 'a' ? '*' : *state == 'h' ? '!' : ' ',
	    (unsigned long long)v->msg.size, date, *v->msg.sender != '\0' ? v->msg.sender : "MAILER-DAEMON");
	for (i = 0; i < v->msg.nrcpt; i++) {
		const struct index_rcpt *r = &v->msg.rcpts[i];

		if (*r->reply != '\0' && strcmp(r->reply, last) != 0)
			say(c, "%*s(%s)", 8, "", r->reply);
		last = r->reply;
		say(c, "%45s%s", "", r->addr);
	}
	say(c, "%s", "");
}

/* Of a message only the recipients that were asked for. */
static void
keep_selected(const struct query *q, struct view *v)
{
	uint32_t i, n = 0;

	for (i = 0; i < v->msg.nrcpt; i++)
		if (query_shows(q, v, i)) {
			v->msg.rcpts[n] = v->msg.rcpts[i];
			v->active[n++] = v->active[i];
		}
	v->msg.nrcpt = n;
}

static void
list_one(struct client *c, uint64_t id)
{
	struct buf b = BUF_INIT;
	struct view v;

	if (!view_get(&v, control_index(), id, NULL))
		return;
	keep_selected(c->query, &v);
	if (v.msg.nrcpt > 0) {
		if (c->classic)
			list_classic(c, &v);
		else if (!c->json)
			list_text(c, &v);
		else {
			view_json(&b, &v);
			buf_adds(&b, "}");
			say_buf(c, &b);
		}
		c->count++;
		c->bytes += v.msg.size;
	}
	view_free(&v);
	buf_free(&b);
}

static void
list_end(struct client *c)
{
	const struct query *q = c->query;

	if (!c->classic && c->count == 0 && !c->json)
		say(c, q->s.whole ? "the queue is empty" : "nothing in the queue is meant by this");
	else if (c->classic && c->count == 0)
		say(c, "Mail queue is empty");
	else if (c->classic)
		say(c, "-- %llu Kbytes in %llu Requests.", (unsigned long long)(c->bytes + 1023) / 1024, (unsigned long long)c->count);
}

struct found { uint64_t id[BATCH]; size_t n; struct query *q; };

static void
note_id(void *arg, const struct index_hit *h)
{
	struct found *f = arg;

	if (f->q->messages > f->n)
		f->id[f->n++] = h->id;
}

/* q->messages counts those of this page: each message is listed once. */
static bool
list_step(struct client *c)
{
	struct found f = { .q = c->query };
	bool more;
	size_t i;

	do {
		f.n = 0;
		f.q->messages = 0;
		more = query_page(f.q, BATCH, note_id, &f);
		for (i = 0; i < f.n; i++)
			list_one(c, f.id[i]);
	} while (more && !control_overrun() && io_pending(c->io) < CONTROL_HIGH);
	if (more)
		return false;
	list_end(c);
	return true;
}

void
verb_list(struct client *c, char **argv, int argc)
{
	if (query_begin(c, argv, argc, WALK_NEED_KEY, false, false) != NULL)
		c->step = list_step;
}

void
verb_mailq(struct client *c, char **argv, int argc)
{
	c->classic = true;
	c->json = false;
	verb_list(c, argv, argc);
}

/* ---- one message ---- */

static void
no_such(struct client *c, const char *id)
{
	complain(c, "%s: no such message in the queue", id);
	client_done(c, 1);
}

/* The view of a message that this client may see. */
static bool
may_see(struct client *c, const char *word, struct view *v)
{
	uint64_t id;

	if (!qid_parse(word, &id) || !view_get(v, control_index(), id, NULL)) {
		no_such(c, word);
		return false;
	}
	if (client_sees(c) != -1 && v->msg.uid != client_sees(c)) {
		view_free(v);
		no_such(c, word);
		return false;
	}
	return true;
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
show_json(struct client *c, const struct view *v, const struct p_env *e)
{
	struct buf b = BUF_INIT;
	uint32_t i;

	view_json(&b, v);
	json_field(&b, "class", class_name(class_of(e)));
	buf_addf(&b, ", \"arrival\": %lld, \"uid\": %lld", (long long)v->msg.arrival / 1000, (long long)v->msg.uid);
	json_field(&b, "message_id", v->msg.message_id);
	for (i = 0; i < sizeof(env_fields) / sizeof(env_fields[0]); i++)
		json_field(&b, env_fields[i].name, env_field(e, i));
	buf_adds(&b, ", \"recipients\": [");
	for (i = 0; i < v->msg.nrcpt; i++) {
		const struct index_rcpt *r = &v->msg.rcpts[i];

		buf_adds(&b, i > 0 ? ", {\"to\": " : "{\"to\": ");
		json_str(&b, r->addr);
		json_field(&b, "action", r->action);
		json_field(&b, "state", view_rcpt_state(v, i));
		buf_addf(&b, ", \"attempts\": %u, \"code\": %u", r->attempts, r->code);
		json_field(&b, "reply", r->reply);
		buf_adds(&b, "}");
	}
	buf_adds(&b, "]}");
	say_buf(c, &b);
	buf_free(&b);
}

static void
show_text(struct client *c, const struct view *v, const struct p_env *e)
{
	char date[64];
	time_t t = (time_t)(v->msg.arrival / 1000);
	struct tm tm;
	uint32_t i;

	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S %z", localtime_r(&t, &tm));
	say(c, "%-12s %s", "id", qid_text(v->msg.id).s);
	say(c, "%-12s %s", "state", view_state(v));
	say(c, "%-12s %s", "class", class_name(class_of(e)));
	say(c, "%-12s %s (%s ago)", "arrival", date, span(clock_now() - v->msg.arrival).s);
	say(c, "%-12s %llu bytes", "size", (unsigned long long)v->msg.size);
	say(c, "%-12s <%s>", "from", v->msg.sender);
	if (*v->msg.message_id != '\0')
		say(c, "%-12s %s", "message-id", v->msg.message_id);
	if (v->msg.uid >= 0)
		say(c, "%-12s %lld", "uid", (long long)v->msg.uid);
	for (i = 0; i < sizeof(env_fields) / sizeof(env_fields[0]); i++)
		if (*env_field(e, i) != '\0')
			say(c, "%-12s %s", env_fields[i].name, env_field(e, i));
	for (i = 0; i < v->msg.nrcpt; i++) {
		const struct index_rcpt *r = &v->msg.rcpts[i];

		say(c, "%-12s <%s> by action %s: %s, tried %u times, next %s", "to", r->addr, r->action, view_rcpt_state(v, i),
		    r->attempts, next_text(v, i).s);
		if (*r->reply != '\0')
			say(c, "%-12s   last reply: %s", "", r->reply);
	}
}

void
verb_show(struct client *c, char **argv, int argc)
{
	struct spool_env se;
	struct view v;

	(void)argc;
	if (!may_see(c, argv[0], &v))
		return;
	if (spool_read_env(control_spool(), v.msg.loc, &se) == -1) {
		complain(c, "%s: its record cannot be read", argv[0]);
		client_done(c, 1);
	} else {
		if (c->json)
			show_json(c, &v, &se.env);
		else
			show_text(c, &v, &se.env);
		spool_env_free(&se);
		client_done(c, 0);
	}
	view_free(&v);
}

/* ---- cat ---- */

enum { CAT_ALL, CAT_HEADERS, CAT_BODY, CAT_ENVELOPE };

struct cat {
	int		 part;
	bool		 blank;			/* the header's end was seen */
	size_t		 line;			/* bytes of the line that was begun */
};

/* Shows what belongs to the part. *over: nothing more does. */
static void
cat_piece(struct client *c, int part, uint8_t *p, size_t n, bool *over)
{
	struct cat *k = c->query;
	size_t begin = 0, i;

	*over = false;
	for (i = 0; i < n && !k->blank; i++) {
		k->blank = p[i] == '\n' && k->line == 0;
		k->line = p[i] == '\n' ? 0 : k->line + (p[i] != '\r');
		if (k->blank)
			begin = i + 1;
	}
	if (part == CAT_HEADERS && k->blank) {
		*over = true;
		n = begin;
	}
	if (part == CAT_BODY && !k->blank)
		return;
	if (part == CAT_BODY) {
		p += begin;
		n -= begin;
	}
	say_raw(c, p, n);
}

/* Looks each time whether it is still there: a segment that nobody needs is used again. */
static bool
cat_step(struct client *c)
{
	static uint8_t piece[PIECE];
	struct cat *k = c->query;
	struct spool_env se;
	struct view v;
	ssize_t n = -1;
	bool over = false;

	if (!view_get(&v, control_index(), c->id, NULL)) {
		complain(c, "the message left the queue");
		client_done(c, 1);
		return true;
	}
	if (spool_read_env(control_spool(), v.msg.loc, &se) == 0) {
		size_t left = (size_t)(se.body_len - c->at);

		n = spool_read(control_spool(), v.msg.loc.seg, se.body_off + c->at, piece, left < PIECE ? left : PIECE);
		spool_env_free(&se);
	}
	if (n > 0)
		cat_piece(c, k->part, piece, (size_t)n, &over);
	c->at += n > 0 ? (uint64_t)n : 0;
	if (n <= 0 || over || c->at >= v.msg.size) {
		if (c->count > 0)
			io_write(c->io, "\n", 1);
		client_done(c, n < 0 ? 1 : 0);
	}
	view_free(&v);
	return c->closing;
}

static int
cat_part(const char *word)
{
	static const char *const parts[] = { [CAT_HEADERS] = "headers", [CAT_BODY] = "body", [CAT_ENVELOPE] = "envelope" };
	int i;

	for (i = CAT_HEADERS; i <= CAT_ENVELOPE; i++)
		if (strcmp(word, parts[i]) == 0)
			return i;
	return -1;
}

void
verb_cat(struct client *c, char **argv, int argc)
{
	int part = argc > 1 ? cat_part(argv[1]) : CAT_ALL;
	struct cat *k;
	struct view v;

	if (part == -1) {
		complain(c, "cat ID headers, body or envelope");
		client_done(c, 64);
		return;
	}
	if (part == CAT_ENVELOPE) {
		verb_show(c, argv, 1);
		return;
	}
	if (!may_see(c, argv[0], &v))
		return;
	c->id = v.msg.id;
	view_free(&v);
	c->query = k = xcalloc(1, sizeof(*k));
	c->drop = free;
	k->part = part;
	c->step = cat_step;
	ev_wake();
}
