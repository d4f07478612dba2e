/*
 * bounce: gathers the ends of a message that somebody must be told of, and has one notice written, stored and only then the
 * marks set.
 *
 * Called by result (bounce_owes, bounce_add) and the main loop (bounce_run). Owns the list of messages that owe, and the notices
 * that are being made. A notice is a record whose id derives from (parent, kind, lowest recipient): after a crash it
 * is found by recovery, which sets the parent's marks from the list in its trail. What cannot be stored now is tried again; what
 * cannot be routed goes to the postmaster, or on his list (doubles), and what even he cannot get is logged and dropped.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/act.h"
#include "mail/addr.h"
#include "notice/bounce.h"
#include "program/child.h"
#include "proc/clock.h"
#include "core/nexthop.h"
#include "notice/doubles.h"
#include "notice/dsn.h"
#include "proc/ev.h"
#include "core/id.h"
#include "core/job.h"
#include "base/log.h"
#include "notice/notice.h"
#include "mail/qid.h"
#include "core/ready.h"
#include "mail/reply.h"
#include "core/rows.h"
#include "core/rules.h"
#include "core/sched.h"
#include "core/stats.h"
#include "base/xmalloc.h"

#define GATHER_MS	30000		/* failures and delays, while jobs of the message are in flight */
#define SUCCESS_MS	1000		/* what was delivered waits for its mark: not longer than that */
#define AGAIN_MS	10000
#define LISTED_MOST	50		/* recipients of one message on the postmaster's list */
#define MAKING_MAX	50		/* notices at once */
#define SETTLE_PART	500		/* recipients whose marks are set at once */
#define SETTLE_US	2000		/* of a turn, for more of them */

static struct {
	struct spool		*spool;
	struct message_list	 owed;
	TAILQ_HEAD(, notice)	 settling;	/* stored; marks are still to be set */
	struct ev_timer		 timer;
	unsigned		 making;
	bool			 look;		/* something changed since the last look */
	int64_t			 not_before;	/* after a failure of the disk or of lookup */
} bo = { .owed = TAILQ_HEAD_INITIALIZER(bo.owed), .settling = TAILQ_HEAD_INITIALIZER(bo.settling) };

/* ---- who is owed ---- */

enum mark
bounce_fate(uint8_t birth)
{
	static const enum mark fate[] = { [BIRTH_NONE] = MARK_PENDING, [BIRTH_FAILURE] = MARK_BOUNCED,
	    [BIRTH_SUCCESS] = MARK_DELIVERED, [BIRTH_POSTMASTER] = MARK_BOUNCED, [BIRTH_DELAY] = MARK_PENDING,
	    [BIRTH_ARCHIVE] = MARK_PENDING, [BIRTH_DAMAGED] = MARK_PENDING };

	return birth < sizeof(fate) / sizeof(fate[0]) ? fate[birth] : MARK_PENDING;
}

static bool
wants_failure(uint8_t notify)
{
	return notify == NOTIFY_DEFAULT || (notify & NOTIFY_FAILURE) != 0;
}

bool
bounce_owes(const struct message *m, uint32_t n, enum mark fate)
{
	uint8_t notify = m->env.rcpts[n].notify;

	if (fate != MARK_BOUNCED)
		return (notify & NOTIFY_SUCCESS) != 0 && (notify & NOTIFY_NEVER) == 0 && *m->env.sender != '\0' &&
		    !m->rcpts[n].remote_dsn;
	if (m->env.birth == BIRTH_POSTMASTER || m->env.birth == BIRTH_SUCCESS || m->env.birth == BIRTH_DELAY ||
	    m->env.birth == BIRTH_DAMAGED) {
		log_as("bounce", LOG_LV_WARN, "%s: the notice to <%s> cannot be delivered: dropped", qid_text(m->id).s,
		    m->env.rcpts[n].addr);
		return false;
	}
	return wants_failure(notify) || (*m->env.sender == '\0' && m->env.birth != BIRTH_NONE);
}

void
bounce_look(void)
{
	bo.look = true;
}

void
bounce_gone(struct message *m)
{
	if (m->owed)
		TAILQ_REMOVE(&bo.owed, m, owed_link);
	m->owed = false;
}

void
bounce_add(struct message *m)
{
	bo.look = true;
	if (m->owed)
		return;
	m->owed = true;
	m->owed_since = clock_now();
	TAILQ_INSERT_TAIL(&bo.owed, m, owed_link);
}

bool
bounce_delay(struct message *m, uint32_t n)
{
	struct rcpt *r = &m->rcpts[n];
	uint8_t notify = m->env.rcpts[n].notify;
	bool first = !m->owed;

	if (r->notified || r->delay != DELAY_NONE || r->last == NULL || *m->env.sender == '\0' || r->later == ACT_REMOVE)
		return false;
	if (notify != NOTIFY_DEFAULT && ((notify & NOTIFY_DELAY) == 0 || (notify & NOTIFY_NEVER) != 0))
		return false;
	r->delay = DELAY_OWED;
	m->delays++;
	bounce_add(m);
	return first;
}

/* ---- its end ---- */

static void
notice_free(struct notice *no)
{
	free(no->rcpt);
	free(no->to);
	free(no->action);
	free(no);
	bo.making--;
	bo.look = true;
	ev_wake();
}

/* The row first: the index may note that the notice's record need not be scanned again only behind it. */
static void
settle_delay(struct message *m, const struct notice *no)
{
	uint32_t i;

	for (i = 0; i < no->n; i++) {
		m->rcpts[no->rcpt[i]].notified = true;
		m->rcpts[no->rcpt[i]].delay = DELAY_NONE;
		m->delays--;
	}
	rows_put(m);
}

/* The marks that waited for it, a part of them. */
static void
settle_ends(struct message *m, struct notice *no)
{
	uint32_t end = no->n - no->settled < SETTLE_PART ? no->n : no->settled + SETTLE_PART;

	for (; no->settled < end; no->settled++) {
		struct rcpt *r = &m->rcpts[no->rcpt[no->settled]];
		struct job *j = r->job;

		r->job = NULL;
		ready_mark(m, no->rcpt[no->settled], r->fate);
		job_owed_done(j);
	}
}

/* They are held already. */
static void
settle_damaged(struct message *m, struct notice *no)
{
	m->pins--;
	no->settled = no->n;
}

/* -> nothing of it is left to be done, and it is gone. A message stays in memory until all of its recipients are settled. */
static bool
settle_part(struct notice *no)
{
	struct message *m = ready_find(no->parent);

	if (m != NULL && no->kind == BIRTH_DELAY)
		settle_delay(m, no);
	else if (m != NULL && no->kind == BIRTH_DAMAGED)
		settle_damaged(m, no);
	else if (m != NULL)
		settle_ends(m, no);
	if (m != NULL && no->kind != BIRTH_DELAY && no->settled < no->n)
		return false;
	notice_free(no);
	if (m != NULL)
		ready_settle(m);
	return true;
}

/* Of many recipients a part now, the others in later turns. */
static void
settle(struct notice *no)
{
	if (settle_part(no))
		return;
	TAILQ_INSERT_TAIL(&bo.settling, no, link);
	ev_wake();
}

static void
settle_more(void)
{
	uint64_t until = ev_busy_us() + SETTLE_US;
	struct notice *no;

	while (ev_busy_us() < until && (no = TAILQ_FIRST(&bo.settling)) != NULL) {
		TAILQ_REMOVE(&bo.settling, no, link);
		if (!settle_part(no))
			TAILQ_INSERT_HEAD(&bo.settling, no, link);
	}
	if (!TAILQ_EMPTY(&bo.settling))
		ev_wake();
}

static void
give_back(struct notice *no)
{
	struct message *m = ready_find(no->parent);
	uint32_t i;

	if (no->kind == BIRTH_DAMAGED) {
		log_error("%s: the postmaster cannot be told that it is damaged", qid_text(no->parent).s);
		settle(no);
		return;
	}
	for (i = 0; m != NULL && i < no->n; i++)
		if (no->kind == BIRTH_DELAY)
			m->rcpts[no->rcpt[i]].delay = DELAY_OWED;
		else
			rcpt_set(m, no->rcpt[i], R_OWED);
	if (m != NULL)
		bounce_add(m);
	bo.not_before = clock_now() + AGAIN_MS;
	ev_timer_set(&bo.timer, AGAIN_MS);
	notice_free(no);
}

static void
stored(void *arg, int error, struct loc loc, uint64_t body_off)
{
	static const char *const what[] = { [BIRTH_FAILURE] = "sender non-delivery notification",
	    [BIRTH_SUCCESS] = "sender delivery status notification", [BIRTH_POSTMASTER] = "postmaster non-delivery notification",
	    [BIRTH_DELAY] = "sender delay notification", [BIRTH_DAMAGED] = "postmaster damage notification" };
	struct notice *no = arg;
	struct message *m = no->m;

	if (error != 0) {
		log_warn("%s: a notice cannot be stored: %s", qid_text(no->parent).s, strerror(error));
		message_free(m);
		give_back(no);
		return;
	}
	log_as("bounce", LOG_LV_INFO, "%s: %s: %s", qid_text(no->parent).s, what[no->kind], qid_text(no->id).s);
	log_as("cleanup", LOG_LV_INFO, "%s: message-id=%s", qid_text(no->id).s, m->message_id);
	log_as("qmgr", LOG_LV_INFO, "%s: from=<>, size=%llu, nrcpt=1 (queue active)", qid_text(no->id).s, (unsigned long long)m->len);
	stats.notices++;
	m->loc = loc;
	m->body_off = body_off;
	settle(no);
	if (ready_find(m->id) == NULL) {
		sched_fresh(m);
		return;
	}
	/* The same birth twice, after a first that was thought lost: one of them is enough. */
	spool_mark(bo.spool, loc, 0, MARK_REMOVED);
	spool_final(bo.spool, loc);
	message_free(m);
}

/* ---- writing it ---- */

static void
store(struct notice *no)
{
	struct message *m = ready_find(no->parent);
	struct buf text = BUF_INIT, list = BUF_INIT;
	struct p_env_rcpt to = { .addr = no->to, .orig = "", .orcpt = "", .notify = NOTIFY_NEVER, .action = no->action, .sender = "" };
	struct p_env env = { .version = 1, .id = no->id, .arrival = ev_time_ms(), .sender = "", .envid = "", .body = BODY_NONE,
	    .client_addr = "", .client_name = "", .helo = "", .proto = "local", .user = "", .uid = -1, .tag = "",
	    .parent = no->parent, .birth = no->kind, .birth_attempt = no->rcpt[0], .rcpts = &to, .rcpts_n = 1 };
	struct body *body;

	if (m == NULL) {
		notice_free(no);
		return;
	}
	notice_compose(bo.spool, m, no, &text);
	env.smtputf8 = !dsn_is_ascii(no->to);
	notice_trail(&list, no);
	to.trail = buf_str(&list);
	no->m = message_new(&env);
	body = body_new(bo.spool, &no->m->env);
	body_add(body, buf_data(&text), text.len);
	bodyscan_end(&body->scan);
	ready_text(no->m, body);
	message_ready(no->m, NULL);
	buf_free(&text);
	buf_free(&list);
	spool_commit(bo.spool, body, &no->m->env, stored, no);
	ev_wake();		/* this turn's group is gone already */
}

/* ---- where it goes ---- */

static void start(struct notice *);

/* He heard of another within a day: these are for his list. Then their marks are set. */
static void
on_the_list(struct notice *no, const struct message *m)
{
	struct buf why = BUF_INIT;
	const struct last *l;
	uint32_t i;

	for (i = 0; i < no->n && i < LISTED_MOST; i++) {
		buf_reset(&why, 1024);
		if ((l = m->rcpts[no->rcpt[i]].last) != NULL)
			reply_whole(&why, l->code, l->dsn, l->text);
		doubles_note(no->parent, m->env.rcpts[no->rcpt[i]].addr, buf_str(&why));
	}
	doubles_more(no->n - i);
	log_as("bounce", LOG_LV_WARN, "%s: <%s>%s cannot be told; the postmaster is, with others", qid_text(no->parent).s,
	    m->env.rcpts[no->rcpt[0]].addr, no->n > 1 ? " and further ones" : "");
	buf_free(&why);
	settle(no);
}

/* The sender cannot be told: the postmaster is, once. The archive is his own, so of its copies he hears at once. */
static void
to_postmaster(struct notice *no)
{
	const struct message *m = ready_find(no->parent);

	if (m != NULL && m->env.birth != BIRTH_ARCHIVE && !doubles_first()) {
		on_the_list(no, m);
		return;
	}
	free(no->to);
	no->to = xasprintf("postmaster@%s", child_conf()->domain);
	no->kind = BIRTH_POSTMASTER;
	no->id = id_birth(no->parent, no->kind, no->rcpt[0]);
	start(no);
}

static void
routed(void *arg, enum match_result result, const struct match *mt)
{
	struct notice *no = arg;

	if (result == MATCH_OK) {
		no->action = xstrdup(mt->held ? ACTION_NONE : child_conf()->action[mt->action].name);
		if (mt->to[0] != '\0') {
			free(no->to);
			no->to = xstrdup(mt->to);
		}
		store(no);
	} else if (mt->code < 500) {
		give_back(no);
	} else if (no->kind == BIRTH_FAILURE) {
		to_postmaster(no);
	} else {
		log_as("bounce", LOG_LV_WARN, "%s: nobody can be told: <%s>: %s", qid_text(no->parent).s, no->to, mt->text);
		settle(no);
	}
}

static void
start(struct notice *no)
{
	struct match_facts f = route_own();

	route_ask(&f, no->to, routed, no);
}

/* Is the recipient one of those that a notice of this kind is for? Then it is being written now. */
static bool
take(struct message *m, uint32_t n, enum birth kind)
{
	struct rcpt *r = &m->rcpts[n];

	if (kind == BIRTH_DELAY) {
		if (r->delay != DELAY_OWED)
			return false;
		r->delay = r->state <= R_FLYING ? DELAY_WRITING : DELAY_NONE;
		m->delays -= r->delay == DELAY_NONE;	/* it has come to its end meanwhile, or is held */
		return r->delay == DELAY_WRITING;
	}
	if (r->state != R_OWED || (r->fate == MARK_BOUNCED) != (kind == BIRTH_FAILURE))
		return false;
	rcpt_set(m, n, R_NOTICE);
	return true;
}

/* NULL: there is none for it. */
static struct notice *
gather(struct message *m, enum birth kind)
{
	struct notice *no = xcalloc(1, sizeof(*no));
	uint32_t i;

	no->rcpt = xcalloc(m->count[R_OWED] + m->delays + 1, sizeof(*no->rcpt));
	for (i = 0; i < m->env.rcpts_n; i++)
		if (take(m, i, kind))
			no->rcpt[no->n++] = i;
	bo.making++;
	if (no->n == 0) {
		notice_free(no);
		return NULL;
	}
	no->parent = m->id;
	no->kind = (uint8_t)kind;
	no->to = xstrdup(m->env.sender);
	no->id = id_birth(no->parent, no->kind, no->rcpt[0]);
	return no;
}

static void
write_notices(struct message *m)
{
	bool null = *m->env.sender == '\0';
	struct notice *good, *bad, *late;

	TAILQ_REMOVE(&bo.owed, m, owed_link);
	m->owed = false;
	good = gather(m, BIRTH_SUCCESS);
	bad = gather(m, BIRTH_FAILURE);
	late = gather(m, BIRTH_DELAY);
	if (good != NULL)
		start(good);
	if (bad != NULL && null)
		to_postmaster(bad);
	else if (bad != NULL)
		start(bad);
	if (late != NULL)
		start(late);
	if (good == NULL && bad == NULL && late == NULL)
		ready_settle(m);
}

void
bounce_damaged(struct message *m)
{
	struct notice *no = xcalloc(1, sizeof(*no));
	uint32_t i;

	no->rcpt = xcalloc(m->env.rcpts_n + 1, sizeof(*no->rcpt));
	for (i = 0; i < m->env.rcpts_n; i++)
		if (m->rcpts[i].state == R_HELD)
			no->rcpt[no->n++] = i;
	bo.making++;
	if (no->n == 0 || m->env.birth == BIRTH_DAMAGED) {
		notice_free(no);
		return;
	}
	m->pins++;		/* until it is told */
	no->parent = m->id;
	no->kind = BIRTH_DAMAGED;
	no->to = xasprintf("postmaster@%s", child_conf()->domain);
	no->id = id_birth(no->parent, no->kind, no->rcpt[0]);
	start(no);
}

static bool
success_waits(const struct message *m)
{
	uint32_t i;

	for (i = 0; i < m->env.rcpts_n; i++)
		if (m->rcpts[i].state == R_OWED && m->rcpts[i].fate != MARK_BOUNCED)
			return true;
	return false;
}

/* One notice tells of all that a pass through the recipients brings. */
static bool
gathered(const struct message *m, int64_t waited)
{
	return m->count[R_FLYING] + m->count[R_QUEUED] == 0 || waited >= GATHER_MS || (waited >= SUCCESS_MS && success_waits(m));
}

void
bounce_run(void)
{
	struct message *m, *next;
	int64_t now = clock_now();

	settle_more();
	if (!bo.look || now < bo.not_before)
		return;
	bo.look = false;
	TAILQ_FOREACH_SAFE(m, &bo.owed, owed_link, next) {
		if (bo.making >= MAKING_MAX)
			break;
		if (gathered(m, now - m->owed_since))
			write_notices(m);
	}
	if (!TAILQ_EMPTY(&bo.owed) && bo.timer.due == 0)
		ev_timer_set(&bo.timer, 1000);
}

static void
timer(void *arg)
{
	(void)arg;
	bo.look = true;
}

void
bounce_init(struct spool *sp)
{
	bo.spool = sp;
	ev_timer_init(&bo.timer, timer, NULL);
}
