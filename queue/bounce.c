/*
 * bounce: gathers the ends of a message that somebody must be told of, and has one notice written, stored and only then the
 * marks set.
 *
 * Called by result (bounce_owes, bounce_add) and the main loop (bounce_run). Owns the list of messages that owe, and the notices
 * that are being made. A notice is a record whose id derives from (parent, kind, lowest recipient): after a crash it
 * is found by recovery, which sets the parent's marks from the list in its trail. What cannot be stored now is tried again; what
 * cannot be routed goes to the postmaster, and what even he cannot get is logged and dropped.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "addr.h"
#include "bounce.h"
#include "child.h"
#include "clock.h"
#include "dest.h"
#include "dsn.h"
#include "ev.h"
#include "id.h"
#include "job.h"
#include "log.h"
#include "qid.h"
#include "ready.h"
#include "route.h"
#include "sched.h"
#include "stats.h"
#include "xmalloc.h"

#define GATHER_MS	30000
#define RETURN_MAX	(50 * 1024)
#define AGAIN_MS	10000
#define MAKING_MAX	50		/* notices at once */

struct notice {
	uint64_t	 parent, id;
	uint8_t		 kind;		/* enum birth */
	uint32_t	*rcpt;		/* of the parent */
	uint32_t	 n;
	char		*to, *action;
	struct message	*m;		/* while it is being stored */
};

static struct {
	struct spool		*spool;
	struct message_list	 owed;
	struct ev_timer		 timer;
	unsigned		 making;
	bool			 look;		/* something changed since the last look */
	int64_t			 not_before;	/* after a failure of the disk or of lookup */
} bo = { .owed = TAILQ_HEAD_INITIALIZER(bo.owed) };

/* ---- who is owed ---- */

enum mark
bounce_fate(uint8_t birth)
{
	return birth == BIRTH_SUCCESS ? MARK_DELIVERED : MARK_BOUNCED;
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

	if (fate == MARK_DELIVERED)
		return (notify & NOTIFY_SUCCESS) != 0 && (notify & NOTIFY_NEVER) == 0 && *m->env.sender != '\0';
	if (m->env.birth == BIRTH_POSTMASTER || m->env.birth == BIRTH_SUCCESS) {
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
	m->since = clock_now();
	TAILQ_INSERT_TAIL(&bo.owed, m, owed_link);
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

/* The marks that waited for it. */
static void
settle(struct notice *no)
{
	struct message *m = ready_find(no->parent);
	uint32_t i;

	for (i = 0; m != NULL && i < no->n; i++) {
		struct rcpt *r = &m->rcpts[no->rcpt[i]];
		struct job *j = r->job;

		r->job = NULL;
		ready_mark(m, no->rcpt[i], r->fate);
		job_owed_done(j);
	}
	notice_free(no);
	if (m != NULL)
		ready_settle(m);
}

static void
give_back(struct notice *no)
{
	struct message *m = ready_find(no->parent);
	uint32_t i;

	for (i = 0; m != NULL && i < no->n; i++)
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
	    [BIRTH_SUCCESS] = "sender delivery status notification", [BIRTH_POSTMASTER] = "postmaster non-delivery notification" };
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

/* The recipients as "0-3,7". */
static void
trail(struct buf *b, const struct notice *no)
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
bounce_trail_each(const char *s, void (*cb)(void *, uint32_t), void *arg)
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
action_of(const struct message *m, uint32_t n)
{
	const struct conf *c = child_conf();
	int i;

	if (m->rcpts[n].fate == MARK_BOUNCED)
		return DSN_FAILED;
	i = conf_action(c, m->env.rcpts[n].action);
	return i >= 0 && c->action[i].kind == ACTION_RELAY ? DSN_RELAYED : DSN_DELIVERED;
}

static struct dsn_rcpt
dsn_rcpt(const struct message *m, uint32_t n)
{
	const struct p_env_rcpt *e = &m->env.rcpts[n];
	const struct last *l = m->rcpts[n].last;
	struct dsn_rcpt r = { .addr = e->addr, .orig = e->orig, .orcpt = e->orcpt, .action = action_of(m, n),
	    .expired = m->rcpts[n].expired, .status = l->dsn, .code = l->code, .text = l->text, .relay = l->relay, .when = l->when };

	if (*l->dsn == '\0')
		r.status = r.action == DSN_FAILED ? "5.0.0" : "2.0.0";
	return r;
}

static bool
needs_utf8(const struct message *m, const struct notice *no)
{
	uint32_t i;

	if (!dsn_is_ascii(no->to))
		return true;
	for (i = 0; i < no->n; i++)
		if (!dsn_is_ascii(m->env.rcpts[no->rcpt[i]].addr))
			return true;
	return (m->env.flags & MAIL_UTF8HDR) != 0 && m->env.smtputf8;
}

/* What is returned of the message; NULL when it cannot be read. */
static uint8_t *
read_back(const struct message *m, bool header_only, struct dsn *d)
{
	size_t len = m->len < RETURN_MAX ? (size_t)m->len : RETURN_MAX;
	uint8_t *p = xmalloc(len + 1);
	ssize_t got = spool_read(bo.spool, m->loc.seg, m->body_off, p, len);

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

static void
compose(const struct message *m, const struct notice *no, struct buf *out)
{
	struct qid_text id = qid_text(no->id), parent = qid_text(no->parent);
	char boundary[40];
	struct dsn_rcpt *v = xcalloc(no->n, sizeof(*v));
	struct dsn d = { .hostname = child_conf()->hostname, .to = no->to, .id = id.s, .parent = parent.s, .boundary = boundary,
	    .postmaster = no->kind == BIRTH_POSTMASTER, .now = ev_time_ms(), .arrival = m->env.arrival,
	    .envid = m->env.envid, .message_id = m->message_id, .size = m->len, .rcpts = v, .nrcpt = no->n,
	    .utf8 = needs_utf8(m, no) };
	uint8_t *body;
	uint32_t i;

	snprintf(boundary, sizeof(boundary), "=_%08x%08x%08x", arc4random(), arc4random(), arc4random());
	for (i = 0; i < no->n; i++)
		v[i] = dsn_rcpt(m, no->rcpt[i]);
	body = read_back(m, no->kind == BIRTH_SUCCESS, &d);	/* RFC 3461 4.3: RET is about failures */
	dsn_write(out, &d);
	free(body);
	free(v);
}

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
	compose(m, no, &text);
	env.smtputf8 = !dsn_is_ascii(no->to);
	trail(&list, no);
	to.trail = buf_str(&list);
	no->m = message_new(&env);
	body = body_new(bo.spool, &no->m->env);
	body_add(body, buf_data(&text), text.len);
	bodyscan_end(&body->scan);
	no->m->env.flags = body->scan.flags;
	no->m->message_id = message_strdup(no->m, body->scan.message_id);
	no->m->len = body->len;
	message_ready(no->m, NULL);
	buf_free(&text);
	buf_free(&list);
	spool_commit(bo.spool, body, &no->m->env, stored, no);
	ev_wake();		/* this turn's group is gone already */
}

/* ---- where it goes ---- */

static void start(struct notice *);

/* The sender cannot be told: the postmaster is, once. */
static void
to_postmaster(struct notice *no)
{
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
		no->action = xstrdup(child_conf()->action[mt->action].name);
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

/* Takes the recipients that are owed a notice of that fate. NULL: none */
static struct notice *
gather(struct message *m, enum mark fate)
{
	struct notice *no = xcalloc(1, sizeof(*no));
	uint32_t i;

	no->rcpt = xcalloc(m->count[R_OWED] + 1, sizeof(*no->rcpt));
	for (i = 0; i < m->env.rcpts_n; i++)
		if (m->rcpts[i].state == R_OWED && m->rcpts[i].fate == fate) {
			rcpt_set(m, i, R_NOTICE);
			no->rcpt[no->n++] = i;
		}
	bo.making++;
	if (no->n == 0) {
		notice_free(no);
		return NULL;
	}
	no->parent = m->id;
	no->kind = fate == MARK_DELIVERED ? BIRTH_SUCCESS : BIRTH_FAILURE;
	no->to = xstrdup(m->env.sender);
	no->id = id_birth(no->parent, no->kind, no->rcpt[0]);
	return no;
}

static void
write_notices(struct message *m)
{
	bool null = *m->env.sender == '\0';
	struct notice *good, *bad;

	TAILQ_REMOVE(&bo.owed, m, owed_link);
	m->owed = false;
	good = gather(m, MARK_DELIVERED);
	bad = gather(m, MARK_BOUNCED);
	if (good != NULL)
		start(good);
	if (bad != NULL && null)
		to_postmaster(bad);
	else if (bad != NULL)
		start(bad);
}

static bool
success_waits(const struct message *m)
{
	uint32_t i;

	for (i = 0; i < m->env.rcpts_n; i++)
		if (m->rcpts[i].state == R_OWED && m->rcpts[i].fate == MARK_DELIVERED)
			return true;
	return false;
}

void
bounce_run(void)
{
	struct message *m, *next;
	int64_t now = clock_now();

	if (!bo.look || now < bo.not_before)
		return;
	bo.look = false;
	TAILQ_FOREACH_SAFE(m, &bo.owed, owed_link, next) {
		if (bo.making >= MAKING_MAX)
			break;
		if (m->count[R_FLYING] + m->count[R_QUEUED] == 0 || now - m->since >= GATHER_MS || success_waits(m))
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
