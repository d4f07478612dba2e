/*
 * control_queue: queue list, show, cat, retry, remove, and mailq.
 *
 * Called by control_verbs. What may be long goes on in steps (a batch of rows, a piece of a message), so that a queue of a million
 * messages is listed without holding up the mail. A message that is in memory is shown as it is there, any other as its row.
 * Owns nothing between the steps but what is in struct client.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "clock.h"
#include "control_queue.h"
#include "dest.h"
#include "ev.h"
#include "job.h"
#include "load.h"
#include "log.h"
#include "qid.h"
#include "ready.h"
#include "sched.h"
#include "show.h"
#include "stats.h"
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

static void
list_one(struct client *c, struct index_msg *row)
{
	struct buf b = BUF_INIT;
	struct view v;

	if (!view_get(&v, control_index(), row->id, row))
		return;
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
	if (!c->classic && c->count == 0 && !c->json)
		say(c, "the queue is empty");
	else if (c->classic && c->count == 0)
		say(c, "Mail queue is empty");
	else if (c->classic)
		say(c, "-- %llu Kbytes in %llu Requests.", (unsigned long long)(c->bytes + 1023) / 1024, (unsigned long long)c->count);
}

static bool
list_step(struct client *c)
{
	struct index_msg *rows[BATCH];
	size_t n, i;

	do {
		n = index_list(control_index(), c->after, client_sees(c), rows, BATCH);
		for (i = 0; i < n; i++) {
			c->after = rows[i]->id;
			list_one(c, rows[i]);
		}
	} while (n == BATCH && !control_overrun() && io_pending(c->io) < CONTROL_HIGH);
	if (n == BATCH)
		return false;
	list_end(c);
	return true;
}

void
verb_list(struct client *c, char **argv, int argc)
{
	(void)argv;
	(void)argc;
	ready_flush_rows();
	c->step = list_step;
	ev_wake();
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
	buf_addf(&b, ", \"arrival\": %lld, \"uid\": %lld, \"message_id\": ", (long long)v->msg.arrival / 1000, (long long)v->msg.uid);
	json_str(&b, v->msg.message_id);
	for (i = 0; i < sizeof(env_fields) / sizeof(env_fields[0]); i++) {
		buf_addf(&b, ", \"%s\": ", env_fields[i].name);
		json_str(&b, env_field(e, i));
	}
	buf_adds(&b, ", \"recipients\": [");
	for (i = 0; i < v->msg.nrcpt; i++) {
		const struct index_rcpt *r = &v->msg.rcpts[i];

		buf_adds(&b, i > 0 ? ", {\"to\": " : "{\"to\": ");
		json_str(&b, r->addr);
		buf_adds(&b, ", \"action\": ");
		json_str(&b, r->action);
		buf_addf(&b, ", \"state\": \"%s\", \"attempts\": %u, \"code\": %u, \"reply\": ", view_rcpt_state(v, i), r->attempts,
		    r->code);
		json_str(&b, r->reply);
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

/* Looks each time whether it is still there: a segment that nobody needs is used again. */
static bool
cat_step(struct client *c)
{
	static uint8_t piece[PIECE];
	struct spool_env se;
	struct view v;
	ssize_t n = -1;

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
		say_raw(c, piece, (size_t)n);
	c->at += n > 0 ? (uint64_t)n : 0;
	if (n <= 0 || c->at >= v.msg.size) {
		if (c->count > 0)
			io_write(c->io, "\n", 1);
		client_done(c, n < 0 ? 1 : 0);
	}
	view_free(&v);
	return c->closing;
}

void
verb_cat(struct client *c, char **argv, int argc)
{
	struct view v;

	(void)argc;
	if (!may_see(c, argv[0], &v))
		return;
	c->id = v.msg.id;
	view_free(&v);
	c->step = cat_step;
	ev_wake();
}

/* ---- retry ---- */

static void
retry_message(struct message *m, bool held_too)
{
	uint32_t i;

	for (i = 0; i < m->env.rcpts_n; i++) {
		if (m->rcpts[i].state == R_HELD && held_too)
			ready_mark(m, i, MARK_PENDING);
		if (m->rcpts[i].state == R_IDLE)
			m->rcpts[i].due = clock_now();
	}
	sched_queue(m);
}

static void
retry_in_memory(struct message *m, void *arg)
{
	(void)arg;
	retry_message(m, false);
}

static void
report_count(struct client *c, uint64_t n, const char *done)
{
	if (c->json)
		say(c, "{\"messages\": %llu}", (unsigned long long)n);
	else
		say(c, "%llu messages %s", (unsigned long long)n, done);
	client_done(c, n > 0 ? 0 : 1);
}

void
verb_retry(struct client *c, char **argv, int argc)
{
	struct message *m;
	uint64_t id = 0, n;

	(void)argc;
	dest_wake_all();
	if (strcmp(argv[0], "all") == 0) {
		ready_flush_rows();
		n = index_retry(control_index(), 0);
		ready_each(retry_in_memory, NULL);
		load_all_again();
		log_info("all messages are tried again, by uid %u", c->uid);
		report_count(c, n, "are tried again");
		return;
	}
	if (!qid_parse(argv[0], &id) || (m = load_message(id)) == NULL) {
		no_such(c, argv[0]);
		return;
	}
	retry_message(m, true);
	log_info("%s: tried again, by uid %u", qid_text(id).s, c->uid);
	report_count(c, 1, "is tried again");
}

/* ---- remove ---- */

static void
remove_rcpt(struct message *m, uint32_t n)
{
	struct job *j = m->rcpts[n].job;

	if (m->rcpts[n].state == R_FINAL || m->rcpts[n].state == R_FLYING || m->rcpts[n].state == R_ROUTING ||
	    m->rcpts[n].state == R_NOTICE)
		return;
	stats.removed++;
	m->rcpts[n].job = NULL;
	ready_mark(m, n, MARK_REMOVED);
	job_owed_done(j);
}

/* -> true if it is gone at once; else a delivery is under way, and what it does not deliver is removed then. */
static bool
remove_message(struct message *m, uid_t by)
{
	uint32_t i;

	log_info("%s: removed from the queue by uid %u", qid_text(m->id).s, by);
	dest_drop(m, clock_now());
	m->removed = true;
	for (i = 0; i < m->env.rcpts_n; i++)
		remove_rcpt(m, i);
	return ready_settle(m);
}

static bool
remove_step(struct client *c)
{
	struct index_msg *rows[BATCH];
	struct message *m;
	size_t n, i;

	do {
		n = index_list(control_index(), c->after, -1, rows, BATCH);
		for (i = 0; i < n; i++) {
			c->after = rows[i]->id;
			if ((m = load_message(c->after)) != NULL) {
				remove_message(m, c->uid);
				c->count++;
			}
			index_msg_free(rows[i]);
		}
	} while (n == BATCH && !control_overrun());
	if (n == BATCH)
		return false;
	report_count(c, c->count, "removed");
	return true;
}

void
verb_remove(struct client *c, char **argv, int argc)
{
	struct message *m;
	uint64_t id;

	(void)argc;
	if (strcmp(argv[0], "all") == 0) {
		ready_flush_rows();
		c->step = remove_step;
		ev_wake();
		return;
	}
	if (!qid_parse(argv[0], &id) || (m = load_message(id)) == NULL) {
		no_such(c, argv[0]);
		return;
	}
	if (!remove_message(m, c->uid) && !c->json)
		say(c, "%s: a delivery is under way; what it does not deliver is removed when it returns", qid_text(id).s);
	report_count(c, 1, "removed");
}
