/*
 * control_verbs: the table of verbs, who may use them, and the short ones.
 *
 * control.c calls control_dispatch with a client's line. A verb answers at once, or leaves a step that goes on in slices
 * (control_queue.c), or waits for the parent (reload). Owns the last list of processes that the parent told.
 */
#include <sys/types.h>
#include <stdlib.h>
#include <string.h>
#include "program/child.h"
#include "proc/clock.h"
#include "control/control.h"
#include "control/explain.h"
#include "control/history.h"
#include "control/pause.h"
#include "control/queue.h"
#include "core/nexthop.h"
#include "proc/ev.h"
#include "core/steptime.h"
#include "core/job.h"
#include "base/log.h"
#include "conf/match.h"
#include "core/ready.h"
#include "core/sched.h"
#include "control/show.h"
#include "core/stats.h"
#include "base/xmalloc.h"

MSG_PROTOTYPES(PARENT_TO_QUEUE)
MSG_SENDER(QUEUE_TO_PARENT)

static struct {
	struct buf	 raw;			/* the payload of the last PROCS */
} vb;

void
on_PROCS(struct edge *e, uint32_t id, struct p_procs *p, int fd)
{
	(void)e;
	(void)id;
	(void)fd;
	buf_reset(&vb.raw, SIZE_MAX);
	p_procs_put(&vb.raw, p);
}

/* ---- status, stats ---- */

static void
status_json(struct client *c, const struct p_procs *p, const struct totals *n, const struct spool_stat *st)
{
	struct buf b = BUF_INIT;
	uint32_t i;

	buf_adds(&b, "{\"version\": ");
	json_str(&b, p->version);
	buf_addf(&b, ", \"uptime\": %lld, \"generation\": %u, ", p->started != 0 ? (long long)(ev_time_ms() - p->started) / 1000 : 0,
	    p->generation);
	pause_json(&b, DELIVERY);
	buf_adds(&b, ", ");
	pause_json(&b, LISTENERS);
	buf_addf(&b, ", \"messages\": %llu, "
	    "\"recipients\": %llu, \"deferred\": %llu, \"held\": %llu, \"bytes\": %llu, \"in_memory\": %u, \"in_flight\": %u, "
	    "\"space_low\": %s, \"index\": \"%s\", \"postmaster\": \"%s\", \"processes\": [", (unsigned long long)n->messages, (unsigned long long)n->recipients,
	    (unsigned long long)n->deferred, (unsigned long long)n->held, (unsigned long long)n->bytes, ready_count(), job_flying(),
	    st->low ? "true" : "false", index_memory(control_index()) != NULL ? "memory" : "disk",
	    match_holds_postmaster(child_conf(), true) ? "held" : "delivered");
	for (i = 0; i < p->procs_n; i++) {
		buf_adds(&b, i > 0 ? ", {\"name\": " : "{\"name\": ");
		json_str(&b, p->procs[i].name);
		buf_addf(&b, ", \"pid\": %u, \"uptime\": %lld, \"restarts\": %u}", p->procs[i].pid,
		    (long long)(ev_time_ms() - p->procs[i].started) / 1000, p->procs[i].restarts);
	}
	buf_adds(&b, "]}");
	say_buf(c, &b);
	buf_free(&b);
}

static void
say_spool(struct client *c, const struct spool_stat *st)
{
	const char *why = index_memory(control_index());

	say(c, "spool      %llu segments, %s bytes%s", (unsigned long long)st->segments, size_text(st->bytes).s,
	    st->low ? "; SPACE IS LOW: new mail is put off" : "");
	if (why != NULL)
		say(c, "index      IN MEMORY, since %s; it goes back to the disk by itself", why);
}

static void
status_text(struct client *c, const struct p_procs *p, const struct totals *n, const struct spool_stat *st)
{
	struct buf delivery = BUF_INIT, listeners = BUF_INIT;
	uint32_t i;

	if (p->started == 0)
		say(c, "Postern, whose queue was started again just now");
	else
		say(c, "Postern %s, up %s, configuration generation %u", p->version, span(ev_time_ms() - p->started).s, p->generation);
	pause_text(&delivery, DELIVERY);
	pause_text(&listeners, LISTENERS);
	say(c, "delivery   %s, %u in flight, %u messages in memory", buf_str(&delivery), job_flying(), ready_count());
	say(c, "listeners  %s", buf_str(&listeners));
	buf_free(&delivery);
	buf_free(&listeners);
	say(c, "queue      %s for %s, %s bytes; %s deferred, %llu held", plural(n->messages, "message").s,
	    plural(n->recipients, "recipient").s, size_text(n->bytes).s, plural(n->deferred, "recipient").s,
	    (unsigned long long)n->held);
	say_spool(c, st);
	if (match_holds_postmaster(child_conf(), true))
		say(c, "postmaster NOBODY: mail for root and postmaster is held; add `postmaster ADDRESS' to the configuration");
	say(c, "%s", "");
	say(c, "%-22s %8s %6s %9s", "process", "pid", "up", "restarts");
	for (i = 0; i < p->procs_n; i++)
		say(c, "%-22s %8u %6s %9u", p->procs[i].name, p->procs[i].pid, span(ev_time_ms() - p->procs[i].started).s,
		    p->procs[i].restarts);
}

static void
verb_status(struct client *c, char **argv, int argc)
{
	struct rd rd = { buf_data(&vb.raw), vb.raw.len, false };
	struct totals n = view_totals(control_index());
	struct spool_stat st;
	struct p_procs p;

	(void)argv;
	(void)argc;
	memset(&st, 0, sizeof(st));
	spool_stat(control_spool(), &st);
	p_procs_get(&rd, &p);
	if (c->json)
		status_json(c, &p, &n, &st);
	else
		status_text(c, &p, &n, &st);
	p_procs_free(&p);
	client_done(c, 0);
}

struct number {
	const char	*name, *text;
	uint64_t	 value;
};

static void
say_numbers(struct client *c, const struct number *v, size_t n)
{
	struct buf b = BUF_INIT;
	size_t i;

	for (i = 0; i < n; i++) {
		if (c->json)
			buf_addf(&b, "%s\"%s\": %llu", i > 0 ? ", " : "{", v[i].name, (unsigned long long)v[i].value);
		else
			say(c, "%12llu  %s", (unsigned long long)v[i].value, v[i].text);
	}
	if (c->json) {
		buf_adds(&b, "}");
		say_buf(c, &b);
	}
	buf_free(&b);
}

#define STATS_NUMBER(name, text)	{ #name, text, stats.name },
#define HELD_NUMBER(name, text)	{ "held_" #name, text, held_most(HELD_##name) },

static void
verb_stats(struct client *c, char **argv, int argc)
{
	struct spool_stat st;

	(void)argv;
	(void)argc;
	memset(&st, 0, sizeof(st));
	spool_stat(control_spool(), &st);
	const struct number v[] = {
		STATS(STATS_NUMBER)
		{ "in_memory", "messages in memory", ready_count() },
		{ "in_flight", "jobs in flight", job_flying() },
		{ "destinations", "destinations with work", dest_count() },
		{ "segments", "segments", st.segments },
		{ "spool_bytes", "bytes of the spool", st.bytes },
		{ "syncs", "syncs", st.syncs },
		{ "commits", "messages in them", st.commits },
		{ "body_memory", "bytes of messages coming in", st.memory },
		HELD_STEPS(HELD_NUMBER)
	};

	say_numbers(c, v, sizeof(v) / sizeof(v[0]));
	if (!c->json)
		say(c, "the longest step of the main loop in the last two minutes was \"%s\": %llu us", held_name(held_longest()),
		    (unsigned long long)held_most(held_longest()));
	client_done(c, 0);
}

/* ---- the rest ---- */

static void
verb_reload(struct client *c, char **argv, int argc)
{
	(void)argv;
	(void)argc;
	c->waits = true;
	send_RELOAD(child_parent(), c->number, NULL, -1);
}

static void
verb_stop(struct client *c, char **argv, int argc)
{
	(void)argv;
	(void)argc;
	log_info("stopped by uid %u", c->uid);
	say(c, c->json ? "{\"stopping\": true}" : "stopping");
	client_done(c, 0);
	send_STOP(child_parent(), 0, NULL, -1);
}

/* ---- the table ---- */

#define ANY	CONTROL_WORDS

static const struct verb {
	const char	*name, *sub;		/* sub: the second word, NULL: none */
	int		 args, most;		/* words behind it, at least and at most */
	enum rights	 least;
	void		(*run)(struct client *, char **argv, int argc);
} verbs[] = {
	{ "status",	NULL,		0, 0, MAY_OWN,	verb_status },
	{ "stats",	NULL,		0, 0, MAY_READ,	verb_stats },
	{ "mailq",	NULL,		0, 0, MAY_OWN,	verb_mailq },
	{ "queue",	"list",		0, ANY, MAY_OWN, verb_list },
	{ "queue",	"count",	0, ANY, MAY_OWN, verb_count },
	{ "queue",	"summary",	0, ANY, MAY_OWN, verb_summary },
	{ "queue",	"show",		1, 1, MAY_OWN, verb_show },
	{ "queue",	"cat",		1, 2, MAY_OWN,	verb_cat },
	{ "queue",	"retry",	1, ANY, MAY_ALL, verb_retry },
	{ "queue",	"hold",		1, ANY, MAY_ALL, verb_act },
	{ "queue",	"release",	1, ANY, MAY_ALL, verb_act },
	{ "queue",	"remove",	1, ANY, MAY_ALL, verb_act },
	{ "queue",	"bounce",	1, ANY, MAY_ALL, verb_act },
	{ "queue",	"expire",	1, ANY, MAY_ALL, verb_act },
	{ "queue",	"reroute",	1, ANY, MAY_ALL, verb_act },
	{ "explain",	NULL,		1, ANY, MAY_READ, verb_explain },
	{ "history",	NULL,		0, ANY, MAY_OWN, verb_history },
	{ "why",	NULL,		1, 1, MAY_OWN,	verb_why },
	{ "pause",	NULL,		0, 3, MAY_ALL,	verb_pause },
	{ "suspend",	"domain",	1, 1, MAY_ALL,	verb_suspend_domain },
	{ "suspend",	"source",	1, 1, MAY_ALL,	verb_suspend_source },
	{ "suspend",	NULL,		0, 0, MAY_READ,	verb_suspended },
	{ "resume",	"domain",	1, 1, MAY_ALL,	verb_resume_domain },
	{ "resume",	"source",	1, 1, MAY_ALL,	verb_resume_source },
	{ "resume",	NULL,		0, 1, MAY_ALL,	verb_resume },
	{ "reload",	NULL,		0, 0, MAY_ALL,	verb_reload },
	{ "stop",	NULL,		0, 0, MAY_ALL,	verb_stop },
};

static const struct verb *
find_verb(char **words, int n)
{
	size_t i;

	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, words[0]) == 0 &&
		    (verbs[i].sub == NULL || (n > 1 && strcmp(verbs[i].sub, words[1]) == 0)))
			return &verbs[i];
	return NULL;
}

static void
run_verb(struct client *c, char **words, int n)
{
	const struct verb *v = find_verb(words, n);
	int used = v != NULL && v->sub != NULL ? 2 : 1;

	if (v == NULL || n - used < v->args || n - used > v->most) {
		complain(c, v == NULL ? "no such command: %s%s%s" : "wrong number of arguments: %s%s%s", words[0], n > 1 ? " " : "",
		    n > 1 ? words[1] : "");
		client_done(c, 64);
	} else if (c->rights < v->least) {
		complain(c, "not permitted; ask as root or as the owner of the spool");
		client_done(c, 1);
	} else {
		c->sub = v->sub;
		v->run(c, words + used, n - used);
	}
}

void
control_dispatch(struct client *c, char *line)
{
	char *words[CONTROL_WORDS + 1], *word;
	int n = 0;

	while ((word = strsep(&line, "\t")) != NULL && n <= CONTROL_WORDS)
		words[n++] = word;
	if (n < 2 || n > CONTROL_WORDS || (strcmp(words[0], "text") != 0 && strcmp(words[0], "json") != 0)) {
		complain(c, n > CONTROL_WORDS ? "too many words" : "not understood");
		client_done(c, 64);
		return;
	}
	c->json = words[0][0] == 'j';
	run_verb(c, words + 1, n - 1);
}
