/*
 * job: jobs in flight, the segments that deliver has open, and the start of a new edge (what it still has of before).
 *
 * Called by sched; the on_JOB* handlers by deliver's edge. Owns the jobs and the list of segments told. A job or message that is
 * not known any more is stale: acknowledged and dropped. Of two that have the same recipient the higher number is the truth, since numbers
 * grow from run to run of the queue: the other was sent before it. Deliver that names what cannot be is its own fault: logged, dropped.
 */
#include <sys/tree.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/act.h"
#include "mail/addr.h"
#include "program/child.h"
#include "proc/clock.h"
#include "proc/ev.h"
#include "core/id.h"
#include "core/job.h"
#include "core/load.h"
#include "base/log.h"
#include "mail/qid.h"
#include "core/ready.h"
#include "core/result.h"
#include "core/sched.h"
#include "core/stats.h"
#include "core/suspect.h"
#include "core/suspend.h"
#include "base/xmalloc.h"

MSG_PROTOTYPES(DELIVER_TO_QUEUE)
MSG_SENDER(QUEUE_TO_DELIVER)

#define BUCKETS		4096
#define SEGS_MAX	256		/* descriptors of segments without a job that deliver keeps */

struct seg {
	RB_ENTRY(seg)	 tree;
	TAILQ_ENTRY(seg) link;			/* those without a job, longest unused first */
	uint32_t	 number;
	unsigned	 jobs;
};
RB_HEAD(told, seg);
TAILQ_HEAD(job_list, job);

static struct {
	struct spool	*spool;
	struct edge	*deliver;
	bool		 ready;			/* deliver told what it has */
	uint64_t	 number;
	struct job	*bucket[BUCKETS];
	struct job_list	 jobs;			/* without a result */
	struct job_list	 owing;			/* with one, to be acknowledged after a notice */
	unsigned	 flying;
	struct told	 segs;
	TAILQ_HEAD(, seg) unused;
	unsigned	 n_unused;
} jb;

static int
seg_cmp(const struct seg *a, const struct seg *b)
{
	return a->number < b->number ? -1 : a->number > b->number;
}
RB_GENERATE_INTERNAL(told, seg, tree, seg_cmp, static __attribute__((unused)))

/* ---- segments ---- */

static struct seg *
seg_find(uint32_t number)
{
	struct seg key = { .number = number };

	return RB_FIND(told, &jb.segs, &key);
}

static void
seg_forget(struct seg *s)
{
	if (s->jobs == 0) {
		TAILQ_REMOVE(&jb.unused, s, link);
		jb.n_unused--;
	}
	RB_REMOVE(told, &jb.segs, s);
	free(s);
}

static void
seg_gone(void *arg, uint32_t number)
{
	struct seg *s = seg_find(number);
	struct p_seg p = { .segment = number };

	(void)arg;
	if (s == NULL)
		return;
	seg_forget(s);
	if (jb.deliver != NULL)
		send_SEG_GONE(jb.deliver, 0, &p, -1);
}

void
job_rest_over(void)
{
	if (jb.deliver != NULL)
		send_REST_OVER(jb.deliver, 0, NULL, -1);
}

bool
job_explain(uint32_t id, const struct p_explain *p)
{
	if (jb.deliver == NULL)
		return false;
	send_EXPLAIN(jb.deliver, id, p, -1);
	return true;
}

void
job_tell_suspended(void)
{
	struct p_source names[SUSPEND_SOURCES];
	struct p_sources p = { .sources = names };
	const char *name;

	if (jb.deliver == NULL)
		return;
	while ((name = suspend_nth(SUSPEND_SOURCE, p.sources_n)) != NULL)
		names[p.sources_n++].name = name;
	send_SUSPENDED(jb.deliver, 0, &p, -1);
}

/* Deliver gets the segment's descriptor with the first job in it. -1/errno */
static int
seg_use(uint32_t number)
{
	struct seg *s = seg_find(number);
	struct p_seg p = { .segment = number };
	int fd;

	if (s == NULL) {
		if ((fd = spool_fd(jb.spool, number)) == -1)
			return -1;
		send_SEG(jb.deliver, 0, &p, fd);
		s = xcalloc(1, sizeof(*s));
		s->number = number;
		RB_INSERT(told, &jb.segs, s);
	} else if (s->jobs == 0) {
		TAILQ_REMOVE(&jb.unused, s, link);
		jb.n_unused--;
	}
	s->jobs++;
	return 0;
}

static void
seg_unuse(uint32_t number)
{
	struct seg *s = seg_find(number);

	if (s == NULL || --s->jobs > 0)
		return;
	TAILQ_INSERT_TAIL(&jb.unused, s, link);
	if (++jb.n_unused > SEGS_MAX)
		seg_gone(NULL, TAILQ_FIRST(&jb.unused)->number);
}

/* ---- jobs ---- */

static struct job **
slot(uint64_t number)
{
	struct job **at = &jb.bucket[number % BUCKETS];

	while (*at != NULL && (*at)->number != number)
		at = &(*at)->hash_next;
	return at;
}

static struct job *
job_new(uint64_t number, struct message *m, struct dest *d)
{
	struct job *j = xcalloc(1, sizeof(*j));

	j->number = number;
	j->m = m;
	j->d = d;
	j->first = UINT32_MAX;
	j->segment = UINT32_MAX;
	*slot(number) = j;
	TAILQ_INSERT_TAIL(&jb.jobs, j, link);
	jb.flying++;
	return j;
}

static void
job_free(struct job *j)
{
	struct job **at = slot(j->number);

	*at = j->hash_next;
	free(j);
}

/* It is not in flight any more; its recipients keep their states. */
static void
landed(struct job *j)
{
	TAILQ_REMOVE(&jb.jobs, j, link);
	jb.flying--;
	if (j->segment != UINT32_MAX)
		seg_unuse(j->segment);
	dest_job_done(j->d);
	j->d = NULL;
}

static void
acknowledge(uint64_t number)
{
	struct p_job_ref p = { .job = number };

	if (jb.deliver != NULL)
		send_JOB_ACK(jb.deliver, 0, &p, -1);
}

void
job_owed_done(struct job *j)
{
	if (j == NULL || --j->owed > 0 || j->d != NULL)
		return;
	if (!j->stale)
		acknowledge(j->number);
	TAILQ_REMOVE(&jb.owing, j, link);
	job_free(j);
}

bool
job_told(void)
{
	return jb.deliver != NULL && jb.ready;
}

bool
job_may_send(void)
{
	return job_told() && edge_pending(jb.deliver) < EDGE_HIGH;
}

unsigned
job_flying(void)
{
	return jb.flying;
}

static void
fill_rcpts(const struct job *j, struct p_job *p)
{
	const struct message *m = j->m;
	uint32_t n;

	for (n = j->first; n != UINT32_MAX; n = m->rcpts[n].next) {
		const struct p_env_rcpt *e = &m->env.rcpts[n];

		p->rcpts[p->rcpts_n++] = (struct p_job_rcpt){ .n = n, .addr = e->addr, .orig = e->orig, .orcpt = e->orcpt,
		    .notify = e->notify };
		if (m->rcpts[n].attempts + 1 > p->attempt)
			p->attempt = m->rcpts[n].attempts + 1;
	}
}

static void
tell(const struct job *j)
{
	struct p_job_rcpt rcpts[DEST_JOB];
	const struct message *m = j->m;
	struct p_job p = { .job = j->number, .id = m->id, .generation = child_conf()->generation, .action = (uint16_t)j->d->index,
	    .domain = addr_domain(m->env.rcpts[j->first].addr), .sender = m->env.sender, .ret = m->env.ret, .envid = m->env.envid,
	    .body = m->env.body, .smtputf8 = m->env.smtputf8, .flags = m->env.flags, .arrival = ev_time_ms() - clock_age(m->env.arrival),
	    .handed = ev_time_ms(), .old = m->old, .hurry = j->d->hurry, .ask = j->d->kind == ACTION_RELAY && sched_asks_hosts(j->d),
	    .segment = m->loc.seg, .offset = m->body_off,
	    .length = m->len, .crc = m->crc, .rcpts = rcpts };

	fill_rcpts(j, &p);
	send_JOB(jb.deliver, 0, &p, -1);
}

/* The segment cannot be opened (descriptors are out, perhaps): later, no attempt. */
static void
not_now(struct message *m, uint32_t first)
{
	uint32_t n, next;

	log_warn("%s: its segment cannot be opened: %s", qid_text(m->id).s, strerror(errno));
	for (n = first; n != UINT32_MAX; n = next) {
		next = m->rcpts[n].next;
		rcpt_due(m, n, clock_now() + 60000);
		rcpt_set(m, n, R_IDLE);
	}
	ready_settle(m);
}

void
job_send(struct message *m, struct dest *d, uint32_t first, uint32_t count)
{
	struct job *j;
	uint32_t n;

	if (seg_use(m->loc.seg) == -1) {
		dest_job_done(d);
		not_now(m, first);
		return;
	}
	j = job_new(++jb.number, m, d);
	j->first = first;
	j->count = count;
	j->segment = m->loc.seg;
	for (n = first; n != UINT32_MAX; n = m->rcpts[n].next)
		m->rcpts[n].job = j;
	stats.jobs++;
	tell(j);
	d->hurry = false;
}

/* Recipients that got no result: no attempt, due at once. */
static void
take_back(struct message *m, struct job *j)
{
	uint32_t n, next;

	for (n = j->first; n != UINT32_MAX; n = next) {
		next = m->rcpts[n].next;
		if (m->rcpts[n].state != R_FLYING || m->rcpts[n].job != j)
			continue;
		m->rcpts[n].job = NULL;
		rcpt_due(m, n, clock_now());
		rcpt_set(m, n, R_IDLE);
	}
}

void
on_JOB_RESULT(struct edge *e, uint32_t id, struct p_job_result *p, int fd)
{
	struct job *j = *slot(p->job);
	struct message *m;

	(void)e;
	(void)id;
	(void)fd;
	if (j == NULL || j->m == NULL || j->m->id != p->id) {
		acknowledge(p->job);
		return;
	}
	if (j->d == NULL)
		return;			/* told again while its notice is being written */
	m = j->m;
	suspect_result(m);
	result_take(m, j, p);
	take_back(m, j);
	landed(j);
	if (j->owed == 0) {
		acknowledge(j->number);
		job_free(j);
	} else
		TAILQ_INSERT_TAIL(&jb.owing, j, link);
	result_after(m);
}

void
on_JOB_AT(struct edge *e, uint32_t id, struct p_job_at *p, int fd)
{
	struct job *j = *slot(p->job);

	(void)e;
	(void)id;
	(void)fd;
	if (j != NULL && j->d != NULL)
		dest_set_hosts(j->d, p->hosts, clock_now());
}

/* ---- the edge ---- */

/* Another job, sent later, has it: this one's result says nothing of it. Without any recipient left it is not known any more. */
static void
lose(struct job *j, uint32_t n)
{
	struct rcpt *v = j->m->rcpts;
	uint32_t *at = &j->first;

	while (*at != n)
		at = &v[*at].next;
	*at = v[n].next;
	j->partly = true;
	if (--j->count > 0)
		return;
	landed(j);
	job_free(j);
}

/* Is that recipient in flight with a job of that number, as far as is known? */
static bool
may_claim(struct message *m, uint32_t n, uint64_t number)
{
	struct rcpt *r = &m->rcpts[n];

	if (r->state == R_QUEUED)
		dest_drop(m);
	if (r->state == R_FLYING && r->job->number < number) {
		lose(r->job, n);
		return true;
	}
	if (r->state == R_HELD) {	/* since then: it may be delivered all the same; else it is held again */
		r->later = ACT_HOLD;
		m->later = true;
		return true;
	}
	return r->state == R_IDLE || r->state == R_ROUTING;
}

static void
claim(struct job *j, uint32_t n)
{
	struct rcpt *r = &j->m->rcpts[n];

	rcpt_set(j->m, n, R_FLYING);
	r->job = j;
	r->next = j->first;
	j->first = n;
	j->count++;
}

static struct job *
job_held(uint64_t number, struct message *m, uint32_t n)
{
	const struct p_env_rcpt *e = &m->env.rcpts[n];
	struct job *j = job_new(number, m, dest_get(e->action, addr_domain(e->addr), clock_now()));

	dest_job_held(j->d);
	return j;
}

/* What deliver still has of before this edge: these recipients are in flight. */
void
on_JOB_HELD(struct edge *e, uint32_t id, struct p_job_held *p, int fd)
{
	struct message *m = load_message(p->id);
	struct job *j = NULL;
	uint32_t i, n;

	(void)e;
	(void)id;
	(void)fd;
	if (*slot(p->job) != NULL)
		(*slot(p->job))->stale = false;		/* its result is being worked on: the same deliver is back */
	if (m == NULL || jb.ready || *slot(p->job) != NULL)
		return;
	for (i = 0; i < p->rcpts_n; i++) {
		n = p->rcpts[i].n;
		if (n >= m->env.rcpts_n || !may_claim(m, n, p->job))
			continue;
		if (j == NULL)
			j = job_held(p->job, m, n);
		claim(j, n);
	}
	if (j != NULL)
		j->partly = j->count < p->rcpts_n;
	sched_queue(m);
}

/* What an administrator said of it in an earlier run can be done now, if it is not under way. */
static void
told(struct message *m, void *arg)
{
	(void)arg;
	if (m->later)
		sched_queue(m);
}

void
on_JOBS_TOLD(struct edge *e, uint32_t id, struct p_none *p, int fd)
{
	(void)e;
	(void)id;
	(void)p;
	(void)fd;
	jb.ready = true;
	ready_each(told, NULL);
}

static void
all_back(void)
{
	struct job *j;
	struct message *m;

	while ((j = TAILQ_FIRST(&jb.jobs)) != NULL) {
		m = j->m;
		take_back(m, j);
		landed(j);
		suspect_lost(m);
		job_free(j);
		sched_queue(m);
	}
	TAILQ_FOREACH(j, &jb.owing, link)
		j->stale = true;
}

void
job_deliver(struct edge *e)
{
	struct seg *s;

	jb.deliver = e;
	jb.ready = false;
	if (e != NULL) {
		job_tell_suspended();
		suspect_edge();
		return;
	}
	all_back();
	suspect_closed();
	while ((s = RB_MIN(told, &jb.segs)) != NULL)
		seg_forget(s);
}

void
job_init(struct spool *sp)
{
	jb.spool = sp;
	jb.number = id_lease(1) << 1;		/* no number of an earlier run */
	RB_INIT(&jb.segs);
	TAILQ_INIT(&jb.jobs);
	TAILQ_INIT(&jb.owing);
	TAILQ_INIT(&jb.unused);
	spool_on_gone(sp, seg_gone, NULL);
}
