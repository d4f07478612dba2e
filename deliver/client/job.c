/*
 * job: see job.h. The jobs by number, their results, and what a new queue is told. Handlers of JOB and JOB_ACK stand here.
 *
 * A queue that was started again may use a number that an old job still has: jobs are told apart by the run of the queue
 * that sent them, and an acknowledgement is for the oldest finished job of its number. A job is one allocation with its strings.
 */
#include <stdlib.h>
#include <string.h>
#include "client/convert.h"
#include "proc/ev.h"
#include "client/job.h"
#include "base/log.h"
#include "client/nexthop.h"
#include "client/seg.h"
#include "base/xmalloc.h"

MSG_PROTOTYPES(QUEUE_TO_DELIVER)
MSG_SENDER(DELIVER_TO_QUEUE)

#define RESULT_BYTES	(240 * 1024)	/* one result: a frame holds MSG_MAX */
#define RESULT_FIXED	32		/* bytes per recipient without the text */

static int
compare(const struct job *a, const struct job *b)
{
	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	return a->run < b->run ? -1 : a->run > b->run;
}

RB_HEAD(job_tree, job);
RB_GENERATE_INTERNAL(job_tree, job, entry, compare, static __attribute__((unused)))

static struct {
	struct job_tree	 tree;
	struct edge	*queue;
	unsigned	 run;
	size_t		 unsettled;
} jobs;

/* ---- making and freeing ---- */

static size_t
text_size(const struct p_job *p)
{
	size_t n = strlen(p->domain) + strlen(p->sender) + strlen(p->envid) + 3;
	uint32_t i;

	for (i = 0; i < p->rcpts_n; i++)
		n += strlen(p->rcpts[i].addr) + strlen(p->rcpts[i].orig) + strlen(p->rcpts[i].orcpt) + 3;
	return n;
}

static const char *
keep(char **at, const char *s)
{
	size_t n = strlen(s) + 1;
	char *to = *at;

	memcpy(to, s, n);
	*at += n;
	return to;
}

static struct job *
job_new(const struct p_job *p)
{
	size_t fixed = sizeof(struct job) + p->rcpts_n * sizeof(struct rcpt);
	struct job *j = xmalloc(fixed + text_size(p));
	char *at = (char *)j + fixed;
	uint32_t i;

	memset(j, 0, fixed);
	j->number = p->job;
	j->id = p->id;
	j->run = jobs.run;
	j->generation = p->generation;
	j->action = p->action;
	j->ret = p->ret;
	j->body = p->body;
	j->smtputf8 = p->smtputf8;
	j->flags = p->flags;
	j->attempt = p->attempt;
	j->old = p->old != 0;
	j->hurry = p->hurry != 0;
	j->ask = p->ask != 0;
	j->domain = keep(&at, p->domain);
	j->sender = keep(&at, p->sender);
	j->envid = keep(&at, p->envid);
	j->arrival = p->arrival;
	j->handed = p->handed;
	j->offset = p->offset;
	j->length = p->length;
	j->crc = p->crc;
	j->nrcpt = j->open = p->rcpts_n;
	for (i = 0; i < p->rcpts_n; i++) {
		j->rcpts[i].n = p->rcpts[i].n;
		j->rcpts[i].notify = p->rcpts[i].notify;
		j->rcpts[i].addr = keep(&at, p->rcpts[i].addr);
		j->rcpts[i].orig = keep(&at, p->rcpts[i].orig);
		j->rcpts[i].orcpt = keep(&at, p->rcpts[i].orcpt);
	}
	return j;
}

static void
job_free(struct job *j)
{
	struct job_relay *r;
	uint32_t i;

	for (i = 0; i < j->nrcpt; i++)
		free(j->rcpts[i].text);
	while ((r = j->relay) != NULL) {
		j->relay = r->next;
		free(r);
	}
	free(j->mx);
	convert_plan_free(j->plan);
	free(j);
}

void
job_hold(struct job *j)
{
	j->held++;
}

void
job_drop(struct job *j)
{
	if (--j->held == 0 && j->acked)
		job_free(j);
}

/* ---- results ---- */

static void
send_result(struct job *j)
{
	struct p_result few[8], *r = j->nrcpt <= 8 ? few : xcalloc(j->nrcpt, sizeof *r);
	size_t share = RESULT_BYTES / j->nrcpt, fixed, most;
	uint32_t i;

	for (i = 0; i < j->nrcpt; i++) {
		const struct verdict *v = &j->rcpts[i].verdict;
		const char *relay = v->relay != NULL ? v->relay : "";

		fixed = RESULT_FIXED + strlen(relay);
		most = share > fixed ? share - fixed : 0;
		if (j->rcpts[i].text != NULL && strlen(j->rcpts[i].text) > most)
			j->rcpts[i].text[most] = '\0';
		r[i] = (struct p_result){ j->rcpts[i].n, v->outcome, (uint16_t)v->code, v->dsn, v->text,
		    j->rcpts[i].remote_dsn, relay };
	}
	send_JOB_RESULT(jobs.queue, 0, &(struct p_job_result){ .job = j->number, .id = j->id,
	    .mx = j->mx != NULL ? j->mx : "", .rest_ms = j->rest_ms,
	    .results = r, .results_n = j->nrcpt }, -1);
	j->sent = true;
	if (r != few)
		free(r);
}

static void
job_done(struct job *j)
{
	seg_drop(j->seg);
	j->seg = NULL;
	jobs.unsettled--;
	if (jobs.queue != NULL)
		send_result(j);
}

struct verdict
verdict_damaged(void)
{
	return verdict(OUT_DAMAGED, "4.3.0", "the message is damaged on this host's disk");
}

struct verdict
verdict(enum outcome outcome, const char *dsn, const char *text)
{
	struct verdict v = { .outcome = outcome, .text = text };

	strlcpy(v.dsn, dsn, sizeof v.dsn);
	return v;
}

/* -> its name, as long as the job lives; it stands first if it is the last one tried. */
static const char *
relay_name(struct job *j, const char *name, bool last)
{
	struct job_relay **at = &j->relay, *r;
	size_t n = strlen(name) + 1;

	while ((r = *at) != NULL && strcmp(r->name, name) != 0)
		at = &r->next;
	if (r != NULL && !last)
		return r->name;
	if (r != NULL)
		*at = r->next;
	else {
		r = xmalloc(sizeof *r + n);
		memcpy(r->name, name, n);
	}
	for (at = &j->relay; !last && *at != NULL; at = &(*at)->next)
		;
	r->next = *at;
	*at = r;
	return r->name;
}

static void
keep_verdict(struct job *j, struct rcpt *r, const struct verdict *v)
{
	char *text = v->given[0] != '\0' ? xasprintf("%s %s", v->given, v->text) : xstrdup(v->text);	/* may be the one we have */

	free(r->text);
	r->verdict = *v;
	r->verdict.given[0] = '\0';
	r->verdict.text = r->text = text;
	if (v->relay != NULL)
		r->verdict.relay = relay_name(j, v->relay, false);
	else if (j->relay != NULL)
		r->verdict.relay = j->relay->name;
}

void
rcpt_note(struct job *j, struct rcpt *r, const struct verdict *v)
{
	if (r->noted && r->verdict.outcome == OUT_DEFER && v->outcome != OUT_DEFER && v->outcome != OUT_DAMAGED)
		return;
	r->noted = true;
	keep_verdict(j, r, v);
}

void
rcpt_settle(struct job *j, struct rcpt *r, const struct verdict *v)
{
	if (r->done)
		fatalx("recipient %u of job %llu settled twice", r->n, (unsigned long long)j->number);
	keep_verdict(j, r, v);
	r->done = true;
	r->busy = false;
	report(j, r);
	if (--j->open == 0)
		job_done(j);
}

void
job_settle(struct job *j, const struct verdict *v)
{
	uint32_t i, n = j->nrcpt;

	for (i = 0; i < n; i++)
		if (!j->rcpts[i].done && !j->rcpts[i].busy)
			rcpt_settle(j, &j->rcpts[i], v);
}

void
job_put_off(struct job *j, uint64_t ms, const char *dsn, const char *why)
{
	struct verdict v = verdict(OUT_NOT_BEFORE, dsn, why);

	j->rest_ms = ms;
	job_settle(j, &v);
}

void
job_not_before(struct job *j, uint64_t ms)
{
	job_put_off(j, ms, "", "");
}

void
job_relay(struct job *j, const char *relay)
{
	relay_name(j, relay, true);
}

void
job_mx(struct job *j, const char *mx)
{
	free(j->mx);
	j->mx = mx != NULL ? xstrdup(mx) : NULL;
}

void
job_at(struct job *j, const char *hosts)
{
	uint64_t h = 0xcbf29ce484222325;

	if (!j->ask || jobs.queue == NULL || j->run != jobs.run)
		return;
	for (; *hosts != '\0'; hosts++)
		h = (h ^ (uint8_t)*hosts) * 0x100000001b3;
	send_JOB_AT(jobs.queue, 0, &(struct p_job_at){ .job = j->number, .hosts = h > 0 ? h : 1 }, -1);
	j->ask = false;
}

/* ---- the queue ---- */

static void
tell(const struct job *j)
{
	struct p_held_rcpt *r = xcalloc(j->nrcpt, sizeof *r);
	uint32_t i;

	for (i = 0; i < j->nrcpt; i++)
		r[i].n = j->rcpts[i].n;
	send_JOB_HELD(jobs.queue, 0, &(struct p_job_held){ .job = j->number, .id = j->id, .rcpts = r, .rcpts_n = j->nrcpt }, -1);
	free(r);
}

void
job_queue(struct edge *queue)
{
	struct job *j;

	jobs.queue = queue;
	seg_forget_all();
	if (queue == NULL)
		return;
	jobs.run++;
	RB_FOREACH(j, job_tree, &jobs.tree)
		tell(j);
	send_JOBS_TOLD(queue, 0, NULL, -1);
	RB_FOREACH(j, job_tree, &jobs.tree) {
		j->sent = false;
		if (j->open == 0)
			send_result(j);
	}
}

bool
job_all_done(void)
{
	return jobs.unsettled == 0 && (jobs.queue == NULL || RB_EMPTY(&jobs.tree));
}

void
on_JOB(struct edge *queue, uint32_t id, struct p_job *p, int fd)
{
	struct verdict v = verdict(OUT_DEFER, "4.3.0", "message file is not at hand");
	struct job *j;

	(void)queue;
	(void)id;
	(void)fd;
	if (p->rcpts_n == 0) {
		log_error("job %llu has no recipients", (unsigned long long)p->job);
		return;
	}
	j = job_new(p);
	if (RB_INSERT(job_tree, &jobs.tree, j) != NULL) {
		log_error("job %llu came twice", (unsigned long long)p->job);
		free(j);
		return;
	}
	jobs.unsettled++;
	j->seg = seg_hold(p->segment);
	if (j->seg == NULL)
		job_settle(j, &v);
	else
		route(j);
}

void
on_JOB_ACK(struct edge *queue, uint32_t id, struct p_job_ref *p, int fd)
{
	struct job key = { .number = p->job }, *j;

	(void)queue;
	(void)id;
	(void)fd;
	for (j = RB_NFIND(job_tree, &jobs.tree, &key); j != NULL && j->number == p->job; j = RB_NEXT(job_tree, &jobs.tree, j))
		if (j->sent) {
			RB_REMOVE(job_tree, &jobs.tree, j);
			j->acked = true;
			if (j->held == 0)
				job_free(j);
			return;
		}
	log_warn("job %llu is acknowledged, and was not reported", (unsigned long long)p->job);
}
