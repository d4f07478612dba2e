/*
 * archive: a copy of each message that an `archive` statement takes, for all addresses that it must go to together.
 *
 * Called by intake with a message that is complete and not stored, and by the main loop. Owns the archivings that are under way;
 * a copy that is stored is ready.c's. The order is: which statements take it (tables: lookup is asked), where their addresses go, the
 * copy is written and synced, and only then is the message stored and answered: so no message on the disk lacks its
 * copy. The copy has the original envelope in fields in front of the message, a null sender, and an id made from its
 * parent's. What is in the way (lookup, rules, disk) is an error for the message: its client tries again.
 */
#include <sys/queue.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mail/addr.h"
#include "core/archive.h"
#include "notice/bounce.h"
#include "program/child.h"
#include "base/crc32c.h"
#include "proc/ev.h"
#include "core/id.h"
#include "base/log.h"
#include "mail/qid.h"
#include "core/ready.h"
#include "core/rules.h"
#include "core/sched.h"
#include "base/xmalloc.h"

#define SLICE	(1024 * 1024)		/* bytes copied in a turn */
#define PIECE	(64 * 1024)

struct target {
	char	*addr, *action;
};

struct archive {
	TAILQ_ENTRY(archive) link;
	struct message	*m;		/* the message, and what was sent of it */
	struct body	*body;
	struct target	*to;
	size_t		 n, routed;
	struct message	*copy;
	struct body	*text;
	uint64_t	 done_to;	/* offset in body */
	uint32_t	 crc;		/* of what was copied */
	archive_done	*done;
	void		*arg;
};

static struct {
	struct spool		*spool;
	TAILQ_HEAD(, archive)	 copying;
} ar = { .copying = TAILQ_HEAD_INITIALIZER(ar.copying) };

static void
targets_free(struct archive *a)
{
	size_t i;

	for (i = 0; i < a->n; i++) {
		free(a->to[i].addr);
		free(a->to[i].action);
	}
	free(a->to);
	a->to = NULL;
	a->n = 0;
}

static void
finish(struct archive *a, int error)
{
	archive_done *done = a->done;
	void *arg = a->arg;
	uint64_t id = a->copy != NULL && error == 0 ? a->copy->id : 0;

	targets_free(a);
	free(a);
	done(arg, error, id);
}

/* ---- the copy ---- */

static void
stored(void *arg, int error, struct loc loc, uint64_t body_off)
{
	struct archive *a = arg;
	struct message *copy = a->copy;
	size_t i;

	if (error != 0) {
		log_warn("%s: its copy for the archive cannot be stored: %s", qid_text(a->m->id).s, strerror(error));
		message_free(copy);
		a->copy = NULL;
		finish(a, error);
		return;
	}
	copy->loc = loc;
	copy->body_off = body_off;
	for (i = 0; i < a->n; i++)
		log_as("archive", LOG_LV_INFO, "%s: archived as %s for <%s>", qid_text(a->m->id).s, qid_text(copy->id).s, a->to[i].addr);
	log_as("qmgr", LOG_LV_INFO, "%s: from=<>, size=%llu, nrcpt=%u (queue active)", qid_text(copy->id).s, (unsigned long long)copy->len,
	    copy->env.rcpts_n);
	ready_add_fresh(copy);
	finish(a, 0);
}

static void
commit(struct archive *a)
{
	struct body *text = a->text;

	a->text = NULL;
	bodyscan_end(&text->scan);
	ready_text(a->copy, text);
	message_ready(a->copy, NULL);
	spool_commit(ar.spool, text, &a->copy->env, stored, a);
	ev_wake();
}

/* Up to a slice more; true when all of it is there. */
static bool
copy_slice(struct archive *a)
{
	static uint8_t piece[PIECE];
	uint64_t end = a->body->len - a->done_to > SLICE ? a->done_to + SLICE : a->body->len;
	size_t want;

	while (a->done_to < end && a->text->error == 0) {
		want = end - a->done_to < PIECE ? (size_t)(end - a->done_to) : PIECE;
		if (body_read(a->body, a->done_to, piece, want) == -1) {
			a->text->error = errno;
			break;
		}
		a->crc = crc32c(a->crc, piece, want);
		body_add(a->text, piece, want);
		a->done_to += want;
	}
	if (a->text->error == 0 && a->done_to == a->body->len && a->crc != body_crc(a->body))
		a->text->error = EIO;		/* what came in is not what is read back */
	return a->text->error != 0 || a->done_to == a->body->len;
}

static void
put_envelope(struct archive *a)
{
	const struct p_env *e = &a->m->env;
	struct buf b = BUF_INIT;
	uint32_t i;

	buf_addf(&b, "X-Postern-Archive-Id: %s\r\nX-Postern-Archive-Sender: <%s>\r\n", qid_text(e->id).s, e->sender);
	for (i = 0; i < e->rcpts_n; i++) {
		buf_addf(&b, "X-Postern-Archive-Rcpt: <%s>\r\n", e->rcpts[i].addr);
		if (b.len >= PIECE) {
			body_add(a->text, buf_data(&b), b.len);
			buf_reset(&b, SIZE_MAX);
		}
	}
	body_add(a->text, buf_data(&b), b.len);
	buf_free(&b);
}

static void
make_copy(struct archive *a)
{
	struct p_env_rcpt *to = xcalloc(a->n, sizeof(*to));
	struct p_env env = { .version = 1, .id = id_birth(a->m->id, BIRTH_ARCHIVE, 0), .arrival = ev_time_ms(), .sender = "", .envid = "",
	    .body = BODY_NONE, .smtputf8 = a->m->env.smtputf8, .client_addr = "", .client_name = "", .helo = "", .proto = "local",
	    .user = "", .uid = -1, .tag = "", .parent = a->m->id, .birth = BIRTH_ARCHIVE, .rcpts = to, .rcpts_n = (uint32_t)a->n };
	size_t i;

	for (i = 0; i < a->n; i++)
		to[i] = (struct p_env_rcpt){ .addr = a->to[i].addr, .orig = "", .orcpt = "", .notify = NOTIFY_NEVER,
		    .action = a->to[i].action, .sender = "", .trail = "" };
	a->copy = message_new(&env);
	free(to);
	a->text = body_new(ar.spool, &a->copy->env);
	put_envelope(a);
	if (copy_slice(a)) {
		commit(a);
		return;
	}
	TAILQ_INSERT_TAIL(&ar.copying, a, link);
	ev_wake();
}

void
archive_run(void)
{
	struct archive *a = TAILQ_FIRST(&ar.copying);

	if (a == NULL)
		return;
	TAILQ_REMOVE(&ar.copying, a, link);
	if (copy_slice(a))
		commit(a);
	else
		TAILQ_INSERT_TAIL(&ar.copying, a, link);
	if (!TAILQ_EMPTY(&ar.copying))
		ev_wake();
}

/* ---- where it goes ---- */

static void	route_next(struct archive *);

static void
routed(void *arg, enum match_result result, const struct match *mt)
{
	struct archive *a = arg;

	if (result != MATCH_OK) {
		log_error("%s: not taken, since the archive <%s> cannot be reached: %u %s %s", qid_text(a->m->id).s,
		    a->to[a->routed].addr, mt->code, mt->dsn, mt->text);
		finish(a, EHOSTUNREACH);
		return;
	}
	if (mt->to[0] != '\0') {
		free(a->to[a->routed].addr);
		a->to[a->routed].addr = xstrdup(mt->to);
	}
	a->to[a->routed++].action = xstrdup(mt->held ? ACTION_NONE : child_conf()->action[mt->action].name);
	route_next(a);
}

static void
route_next(struct archive *a)
{
	struct match_facts f = route_own();

	if (a->routed == a->n)
		make_copy(a);
	else
		route_ask(&f, a->to[a->routed].addr, routed, a);
}

/* ---- which statements take it ---- */

static void
target_add(struct archive *a, const char *addr)
{
	size_t i;

	for (i = 0; i < a->n; i++)
		if (strcasecmp(a->to[i].addr, addr) == 0)
			return;
	a->to = xreallocarray(a->to, a->n + 1, sizeof(*a->to));
	a->to[a->n++] = (struct target){ .addr = xstrdup(addr) };
}

/* Any of the recipients. */
static enum match_result
for_fits(const struct message *m, const struct pattern *pat, struct answers *as, bool *yes)
{
	enum match_result result = MATCH_OK, one;
	char full[ADDR_PATH_MAX + ADDR_DOMAIN_MAX + 2];
	uint32_t i;

	*yes = pat->kind == PAT_NONE;
	for (i = 0; i < m->env.rcpts_n && !*yes; i++) {
		const char *addr = m->env.rcpts[i].addr;

		if (*addr_domain(addr) == '\0') {
			snprintf(full, sizeof(full), "%s@%s", addr, child_conf()->domain);
			addr = full;
		}
		one = match_pattern(pat, addr, ASK_ADDRESS, as, yes);
		if (one != MATCH_OK && result != MATCH_REFUSED)
			result = one;
	}
	return *yes ? MATCH_OK : result;
}

/* A route_decide: all statements, so that what must be asked is asked at once. */
static enum match_result
decide(void *arg, struct answers *as, struct match *out)
{
	const struct conf *c = child_conf();
	enum match_result result = MATCH_OK, one;
	struct archive *a = arg;
	bool yes;
	size_t i;

	targets_free(a);
	for (i = 0; i < c->narchive; i++) {
		yes = false;
		one = match_pattern(&c->archive[i].from, a->m->env.sender, ASK_ADDRESS, as, &yes);
		if (one == MATCH_OK && yes)
			one = for_fits(a->m, &c->archive[i].for_, as, &yes);
		if (one == MATCH_OK && yes)
			target_add(a, c->archive[i].to);
		if (one != MATCH_OK && result != MATCH_REFUSED)
			result = one;
	}
	if (result == MATCH_REFUSED)
		strlcpy(out->text, "look-up failed for now", sizeof(out->text));
	return result;
}

static void
decided(void *arg, enum match_result result, const struct match *mt)
{
	struct archive *a = arg;

	if (result == MATCH_OK && a->n == 0) {
		finish(a, 0);
	} else if (result == MATCH_OK) {
		route_next(a);
	} else {
		log_warn("%s: whether it must be archived cannot be told now: %s", qid_text(a->m->id).s, mt->text);
		finish(a, EAGAIN);
	}
}

void
archive_begin(struct message *m, struct body *body, archive_done *done, void *arg)
{
	struct archive *a;

	if (child_conf()->narchive == 0) {
		done(arg, 0, 0);
		return;
	}
	a = xcalloc(1, sizeof(*a));
	a->m = m;
	a->body = body;
	a->done = done;
	a->arg = arg;
	route_decide(decide, a, decided, a);
}

/* ---- what became of the message ---- */

void
archive_keep(uint64_t copy)
{
	struct message *m = copy != 0 ? ready_find(copy) : NULL;

	if (m != NULL)
		sched_queue(m);
}

void
archive_undo(uint64_t copy)
{
	struct message *m = copy != 0 ? ready_find(copy) : NULL;
	uint32_t i;

	for (i = 0; m != NULL && i < m->env.rcpts_n; i++)
		if (m->rcpts[i].state == R_IDLE || m->rcpts[i].state == R_HELD)
			ready_mark(m, i, MARK_NEVER);
	if (m != NULL)
		ready_settle(m);
}

void
archive_init(struct spool *sp)
{
	ar.spool = sp;
}
