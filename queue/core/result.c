/*
 * result: from outcomes to marks, due times and notices that are owed.
 *
 * Called by job and sched. Owns nothing. The order is: mark on disk first, the index when the message leaves memory, the
 * acknowledgement last (job.c). Recipients that deliver has no business with are logged and passed over.
 */
#include <stdlib.h>
#include <string.h>
#include "core/act.h"
#include "mail/addr.h"
#include "notice/bounce.h"
#include "program/child.h"
#include "core/damage.h"
#include "proc/clock.h"
#include "mail/greylist.h"
#include "core/history.h"
#include "base/log.h"
#include "core/policy.h"
#include "mail/qid.h"
#include "core/ready.h"
#include "core/result.h"
#include "core/retry.h"
#include "core/sched.h"
#include "core/stats.h"
#include "base/xmalloc.h"

#define REST_MAX	(3600 * 1000)
#define GREYLIST_TRIES	4

/* The recipient's end: its mark now, or after the notice that somebody must get. */
static void
end_of(struct message *m, uint32_t n, enum mark fate)
{
	struct rcpt *r = &m->rcpts[n];

	if (fate == MARK_BOUNCED)
		stats.bounced++;
	else
		stats.sent++;
	if (r->later != ACT_REMOVE && bounce_owes(m, n, fate)) {
		r->fate = (uint8_t)fate;
		if (r->job != NULL)
			r->job->owed++;
		rcpt_set(m, n, R_OWED);
		bounce_add(m);
		return;
	}
	r->job = NULL;
	ready_mark(m, n, fate);
}

void
result_refused(struct message *m, uint32_t n, unsigned code, const char *dsn, const char *text)
{
	rcpt_last(m, n, code, dsn, text, "");
	history_add(m, n, HISTORY_BOUNCED, code, dsn, text, "");
	log_as("qmgr", LOG_LV_INFO, "%s: to=<%s>, relay=none, dsn=%s, status=bounced (%s)", qid_text(m->id).s,
	    m->env.rcpts[n].addr, dsn, text);
	m->rcpts[n].job = NULL;
	end_of(m, n, MARK_BOUNCED);
}

void
result_expired(struct message *m, uint32_t n, const char *why)
{
	char *text = xasprintf("%s%s", why, *m->env.sender != '\0' ? ", returned to the sender" : "");

	log_as("qmgr", LOG_LV_INFO, "%s: from=<%s>, to=<%s>, status=expired, returned to sender", qid_text(m->id).s,
	    m->env.sender, m->env.rcpts[n].addr);
	stats.expired++;
	m->rcpts[n].expired = true;
	history_add(m, n, HISTORY_EXPIRED, 0, "", text, "");
	free(text);
	end_of(m, n, MARK_BOUNCED);
}

static void
sent(struct message *m, uint32_t n)
{
	m->rcpts[n].attempts++;
	end_of(m, n, MARK_DELIVERED);
}

static void
bounced(struct message *m, uint32_t n)
{
	m->rcpts[n].attempts++;
	end_of(m, n, MARK_BOUNCED);
}

struct dest_policy
result_policy(const struct message *m, uint32_t n)
{
	const struct p_env_rcpt *e = &m->env.rcpts[n];
	const struct last *l = m->rcpts[n].last;

	return policy_for(&m->env, e->action, addr_domain(e->addr), l != NULL ? l->relay : NULL);
}

/* With the first recipient that is late come all that were tried and are: there is one notice for them. */
static void
tell_delay(struct message *m, uint32_t n, const struct dest_policy *p, int64_t now)
{
	struct dest_policy other;
	int64_t born = clock_born(m->env.arrival);
	uint32_t i;

	if (!retry_delayed(p, born, now) || !bounce_delay(m, n))
		return;
	for (i = 0; i < m->env.rcpts_n; i++) {
		other = result_policy(m, i);
		if (m->rcpts[i].state <= R_FLYING && retry_delayed(&other, born, now))
			bounce_delay(m, i);
	}
}

/* "Not yet" is asked again early, a few times: when the server said, or soon. */
static int64_t
greylist_due(const struct rcpt *r, int64_t now, int64_t due)
{
	const struct last *l = r->last;
	uint64_t hint;

	if (r->attempts > GREYLIST_TRIES || !greylisted(l->code, l->dsn, l->text))
		return due;
	hint = greylist_hint(l->text);
	if (hint > 0)
		return now + (int64_t)hint;
	return due < now + GREYLIST_MS ? due : now + GREYLIST_MS;
}

static void
deferred(struct message *m, uint32_t n, struct dest *d)
{
	struct rcpt *r = &m->rcpts[n];
	struct dest_policy p = result_policy(m, n);
	int64_t now = clock_now(), born = clock_born(m->env.arrival);

	r->attempts++;
	r->tried = true;
	stats.deferred++;
	if (retry_expired(&p, born, now, r->tried)) {
		result_expired(m, n, "given up for its age");
		return;
	}
	if (r->last->code == 0 && strncmp(r->last->dsn, "4.4.", 4) == 0)
		dest_trouble(d);
	rcpt_due(m, n, greylist_due(r, now, retry_due(&p, born, now, r->attempts, arc4random())));
	r->job = NULL;
	rcpt_set(m, n, R_IDLE);
	tell_delay(m, n, &p, now);
}

/* One probe tries for all that wait for the same hosts: what is too old by then has been tried as much as it can be. */
bool
result_at_rest(struct message *m, uint32_t n, const struct last *why, int64_t now)
{
	struct dest_policy p;

	rcpt_reason(m, n, why);
	if (why == NULL)
		return false;
	p = result_policy(m, n);
	if (strcmp(why->dsn, DSN_OURS) == 0 || !retry_expired(&p, clock_born(m->env.arrival), now, true)) {
		tell_delay(m, n, &p, now);
		return false;
	}
	result_expired(m, n, "given up for its age");
	return true;
}

/*
 * No attempt. Either a host is down, of which its destination rests, and its reason can be told: of this recipient if it was not tried yet, and
 * of those who wait for the same hosts. Or there is a rate, for which all rest that share it. Both are not the recipient's: it stays due.
 */
static void
not_before(struct message *m, uint32_t n, struct dest *d, uint64_t rest_ms, const struct last *why)
{
	int64_t now = clock_now(), until = now + (int64_t)(rest_ms < REST_MAX ? rest_ms : REST_MAX);
	bool unknown = d->group->key == ROUND_UNKNOWN;

	if (d->kind == ACTION_RELAY && why == NULL && !unknown)
		round_slow(d->group, until);
	else if (d->kind == ACTION_RELAY)
		dest_rest(d, now, until, why);
	if (result_at_rest(m, n, why, now))
		return;
	rcpt_due(m, n, d->kind == ACTION_RELAY ? m->rcpts[n].due : until);
	m->rcpts[n].job = NULL;
	rcpt_set(m, n, R_IDLE);
}

static void
take_one(struct message *m, struct job *j, const struct p_job_result *p, const struct p_result *r)
{
	struct last why = { .code = r->code, .text = r->text, .relay = r->relay, .when = clock_now() };

	if (r->n >= m->env.rcpts_n || m->rcpts[r->n].state != R_FLYING || m->rcpts[r->n].job != j) {
		if (!j->partly)
			log_warn("%s: deliver has a result for recipient %u, which is not in this job", qid_text(m->id).s, r->n);
		return;
	}
	if (r->outcome == OUT_NOT_BEFORE) {
		strlcpy(why.dsn, r->dsn, sizeof(why.dsn));
		not_before(m, r->n, j->d, p->rest_ms, *r->text != '\0' ? &why : NULL);
		return;
	}
	if (r->outcome == OUT_DAMAGED) {
		damage_found(m, r->n, r->dsn, r->text);
		return;
	}
	m->rcpts[r->n].remote_dsn = r->remote_dsn != 0;
	if (r->outcome != OUT_SENT || m->env.rcpts[r->n].notify & NOTIFY_SUCCESS)
		rcpt_last(m, r->n, r->code, r->dsn, r->text, r->relay);
	history_add(m, r->n, r->outcome == OUT_SENT ? HISTORY_SENT : r->outcome == OUT_BOUNCE ? HISTORY_BOUNCED : HISTORY_DEFERRED,
	    r->code, r->dsn, r->text, r->relay);
	if (r->outcome == OUT_SENT)
		sent(m, r->n);
	else if (r->outcome == OUT_BOUNCE)
		bounced(m, r->n);
	else
		deferred(m, r->n, j->d);
}

void
result_take(struct message *m, struct job *j, const struct p_job_result *p)
{
	bool good = false;
	uint32_t i;

	if (*p->mx != '\0')
		dest_set_mx(j->d, p->mx);
	ready_marks_begin(m);
	for (i = 0; i < p->results_n; i++) {
		take_one(m, j, p, &p->results[i]);
		good = good || p->results[i].outcome == OUT_SENT;
	}
	ready_marks_write();
	damage_tell(m);
	if (good)
		dest_good(j->d);
}

void
result_after(struct message *m)
{
	if (m->owed)
		bounce_look();
	sched_queue(m);
}

void
result_discard(struct message *m, struct dest *d, uint32_t first)
{
	uint32_t n, next;

	for (n = first; n != UINT32_MAX; n = next) {
		next = m->rcpts[n].next;
		log_as("discard", LOG_LV_INFO, "%s: to=<%s>, relay=none, delay=%.2f, dsn=2.0.0, status=sent (discarded by action %s)",
		    qid_text(m->id).s, m->env.rcpts[n].addr, (double)clock_age(m->env.arrival) / 1000, d->action);
		m->rcpts[n].job = NULL;
		rcpt_last(m, n, 250, "2.0.0", "discarded", "");
		history_add(m, n, HISTORY_SENT, 0, "", "discarded", "");
		sent(m, n);
	}
	dest_job_done(d);
	result_after(m);
}
