/*
 * message: messages in memory, each in one arena of chunks.
 *
 * Called by intake, load and bounce (make), ready (free) and everybody (states). Owns the arenas. Cannot fail: sizes were
 * bounded by whoever decoded the envelope.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/act_mark.h"
#include "proc/clock.h"
#include "core/message.h"
#include "mail/reply.h"
#include "base/xmalloc.h"

#define CHUNK		2000		/* holds a usual message with its first recipients */
#define CHUNK_MANY	32000		/* of a message with many recipients */
#define MANY		500
#define IN_ARENA	16		/* more recipients than these have a block of their own, which grows in place */
#define SPARE_MAX	512
#define LOOK_BACK	8		/* answers among which the same one is looked for */

struct arena_chunk {
	struct arena_chunk	*next;
	size_t			 used, size;
	uint64_t		 data[];
};

/* Chunks of the usual size, to be used again. */
static struct {
	struct arena_chunk	*first;
	unsigned		 n;
} spare;

static struct arena_chunk *
chunk_new(size_t need)
{
	size_t size = need > CHUNK ? need : CHUNK;
	struct arena_chunk *c = spare.first;

	if (size == CHUNK && c != NULL) {
		spare.first = c->next;
		spare.n--;
	} else
		c = xmalloc(sizeof(*c) + size);
	c->next = NULL;
	c->used = 0;
	c->size = size;
	return c;
}

static void
chunk_free(struct arena_chunk *c)
{
	if (c->size != CHUNK || spare.n >= SPARE_MAX) {
		free(c);
		return;
	}
	c->next = spare.first;
	spare.first = c;
	spare.n++;
}

static void *
chunk_take(struct arena_chunk *c, size_t n)
{
	void *p = (char *)c->data + c->used;

	c->used += n;
	return p;
}

void *
message_alloc(struct message *m, size_t n)
{
	struct arena_chunk *c = m->mem;

	n = (n + 7) & ~(size_t)7;
	if (c->size - c->used < n) {
		c = chunk_new(m->cap > MANY && n < CHUNK_MANY ? CHUNK_MANY : n);
		c->next = m->mem;
		m->mem = c;
	}
	return chunk_take(c, n);
}

const char *
message_strdup(struct message *m, const char *s)
{
	size_t n;
	char *p;

	if (s == NULL || *s == '\0')
		return "";
	n = strlen(s) + 1;
	p = message_alloc(m, n);
	memcpy(p, s, n);
	return p;
}

/* Of half a million recipients each byte counts: what is the same is kept once. */
static const char *
dup_or_same(struct message *m, const char *s, const char *had)
{
	return s != NULL && strcmp(s, had) == 0 ? had : message_strdup(m, s);
}

static void
copy_rcpt(struct message *m, struct p_env_rcpt *to, const struct p_env_rcpt *from, const char *action)
{
	*to = *from;
	to->addr = message_strdup(m, from->addr);
	to->orig = dup_or_same(m, from->orig, to->addr);
	to->orcpt = message_strdup(m, from->orcpt);
	to->action = dup_or_same(m, from->action, action);
	to->sender = message_strdup(m, from->sender);
	to->trail = message_strdup(m, from->trail);
}

static void
make_room(struct message *m, uint32_t need)
{
	uint32_t cap = m->cap * 2 > need ? m->cap * 2 : need;
	struct p_env_rcpt *more;

	if (m->cap > IN_ARENA)
		more = xreallocarray(m->env.rcpts, cap, sizeof(*more));
	else {
		more = cap > IN_ARENA ? xreallocarray(NULL, cap, sizeof(*more)) : message_alloc(m, cap * sizeof(*more));
		if (m->env.rcpts_n > 0)
			memcpy(more, m->env.rcpts, m->env.rcpts_n * sizeof(*more));
	}
	m->env.rcpts = more;
	m->cap = cap;
}

void
message_add(struct message *m, const struct p_env_rcpt *v, uint32_t n)
{
	const char *action = "";
	uint32_t i;

	if (m->env.rcpts_n + n > m->cap)
		make_room(m, m->env.rcpts_n + n);
	for (i = 0; i < n; i++) {
		if (m->env.rcpts_n > 0)
			action = m->env.rcpts[m->env.rcpts_n - 1].action;
		copy_rcpt(m, &m->env.rcpts[m->env.rcpts_n++], &v[i], action);
	}
}

struct message *
message_new(const struct p_env *env)
{
	struct arena_chunk *c = chunk_new(sizeof(struct message));
	struct message *m = chunk_take(c, (sizeof(*m) + 7) & ~(size_t)7);

	memset(m, 0, sizeof(*m));
	m->mem = c;
	m->id = env->id;
	m->env = *env;
	m->env.rcpts = NULL;
	m->env.rcpts_n = 0;
	m->env.sender = message_strdup(m, env->sender);
	m->env.envid = message_strdup(m, env->envid);
	m->env.client_addr = message_strdup(m, env->client_addr);
	m->env.client_name = message_strdup(m, env->client_name);
	m->env.helo = message_strdup(m, env->helo);
	m->env.proto = message_strdup(m, env->proto);
	m->env.user = message_strdup(m, env->user);
	m->env.tag = message_strdup(m, env->tag);
	m->message_id = "";
	message_add(m, env->rcpts, env->rcpts_n);
	return m;
}

static enum rstate
state_of(uint8_t mark)
{
	return mark == MARK_HELD ? R_HELD : mark_final(mark) ? R_FINAL : R_IDLE;
}

void
message_ready(struct message *m, const uint8_t *marks)
{
	uint32_t i, n = m->env.rcpts_n;

	m->rcpts = message_alloc(m, n * sizeof(*m->rcpts));
	memset(m->rcpts, 0, n * sizeof(*m->rcpts));
	m->marks = message_alloc(m, n);
	for (i = 0; i < n; i++) {
		m->marks[i] = marks != NULL ? marks[i] : MARK_PENDING;
		m->rcpts[i].state = (uint8_t)state_of(m->marks[i]);
		m->rcpts[i].later = (uint8_t)act_of_mark(m->marks[i]);
		m->later = m->later || m->rcpts[i].later != ACT_NONE;
		m->rcpts[i].next = UINT32_MAX;
		m->count[m->rcpts[i].state]++;
	}
}

void
message_free(struct message *m)
{
	struct arena_chunk *c, *next;

	if (m == NULL)
		return;
	if (m->cap > IN_ARENA)
		free(m->env.rcpts);
	for (c = m->mem; c != NULL; c = next) {
		next = c->next;
		chunk_free(c);
	}
}

void
rcpt_set(struct message *m, uint32_t n, enum rstate state)
{
	m->count[m->rcpts[n].state]--;
	m->rcpts[n].state = (uint8_t)state;
	m->count[state]++;
}

void
rcpt_due(struct message *m, uint32_t n, int64_t due)
{
	m->rcpts[n].due = due;
	if (due < m->look)
		m->look = due;
}

static void
set_text(struct message *m, struct last *l, const char *dsn, const char *text)
{
	struct buf b = BUF_INIT;

	reply_whole(&b, l->code, dsn, text);
	l->full = message_strdup(m, buf_str(&b));
	l->text = reply_behind_code(l->full, l->code);
	buf_free(&b);
}

/* Is that text the one of l, which begins with the code? */
static bool
same_text(const struct last *l, const char *dsn, const char *text)
{
	size_t n = strlen(dsn);

	return strcmp(l->text, text) == 0 ||
	    (n > 0 && strncmp(l->text, dsn, n) == 0 && l->text[n] == ' ' && strcmp(l->text + n + 1, text) == 0);
}

/* Among the latest ones: where destinations alternate, so do their answers. */
static struct last *
find_last(const struct message *m, unsigned code, const char *dsn, const char *text, const char *relay, int64_t when)
{
	struct last *l = m->latest;
	unsigned i;

	for (i = 0; i < LOOK_BACK && l != NULL; i++, l = l->before)
		if (l->code == code && l->when == when && strcmp(l->dsn, dsn) == 0 && strcmp(l->relay, relay) == 0 && same_text(l, dsn, text))
			return l;
	return NULL;
}

/* The recipients of a job often get the same answer: they share it. What is shared is not changed any more. */
void
rcpt_last_at(struct message *m, uint32_t n, unsigned code, const char *dsn, const char *text, const char *relay, int64_t when)
{
	struct last *l;
	size_t len = strspn(text, "0123456789.");
	const char *usual;
	char code_text[sizeof(l->dsn)];

	strlcpy(code_text, dsn, sizeof(code_text));
	if (*dsn == '\0' && len >= 5 && len < sizeof(code_text) && text[1] == '.')
		snprintf(code_text, sizeof(code_text), "%.*s", (int)len, text);	/* from an index row */
	else if (*dsn == '\0' && code != 0 && (usual = reply_meaning(STAGE_RCPT, code, "")->dsn) != NULL)
		strlcpy(code_text, usual, sizeof(code_text));
	if ((l = find_last(m, code, code_text, text, relay, when)) == NULL) {
		l = message_alloc(m, sizeof(*l));
		*l = (struct last){ .code = code, .relay = message_strdup(m, relay), .when = when, .before = m->latest };
		set_text(m, l, dsn, text);
		strlcpy(l->dsn, code_text, sizeof(l->dsn));
		m->latest = l;
	}
	m->rcpts[n].last = l;
}

void
rcpt_last(struct message *m, uint32_t n, unsigned code, const char *dsn, const char *text, const char *relay)
{
	rcpt_last_at(m, n, code, dsn, text, relay, clock_now());
}

enum line
message_line(const struct message *m)
{
	return m->old ? LINE_OLD : LINE_NEW;
}

void
rcpt_reason(struct message *m, uint32_t n, const struct last *why)
{
	const struct last *had = m->rcpts[n].last;

	/* The same once more is no news, and no reason to write its row again. */
	if (why == NULL || (had != NULL && had->code == why->code && strcmp(had->relay, why->relay) == 0 && same_text(had, why->dsn, why->text)))
		return;
	if (had == NULL || m->rcpts[n].attempts == 0 || strcmp(why->dsn, DSN_OURS) == 0)
		rcpt_last_at(m, n, why->code, why->dsn, why->text, why->relay, why->when);
}

uint32_t
message_live(const struct message *m)
{
	return m->env.rcpts_n - m->count[R_FINAL];
}

bool
message_busy(const struct message *m)
{
	return m->pins > 0 || m->awaited || m->count[R_ROUTING] + m->count[R_QUEUED] + m->count[R_FLYING] + m->count[R_OWED] + m->count[R_NOTICE] +
	    m->delays > 0;
}
