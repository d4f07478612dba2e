/*
 * batch: see batch.h.
 *
 * Called by cmd, cmd_rcpt and cmd_misc, and by the listener with lookup's answers. A batch lives as long as its questions
 * are open; one is kept for the next, since most are answered at once. Lookup gone or silent: 451 4.4.3.
 */
#include <stdlib.h>
#include <string.h>

#include "listener/batch.h"
#include "listener/door.h"
#include "listener/session_say.h"
#include "listener/tx.h"
#include "program/child.h"
#include "base/log.h"
#include "conf/match.h"
#include "base/xmalloc.h"

MSG_SENDER(LISTENER_TO_LOOKUP)

#define ROUNDS_MAX	64		/* of questions for one batch */
#define ASK_MS		60000
#define SPARE_MAX	16		/* items of the batch that is kept */

struct batch {
	struct item	*items;
	size_t		 n, cap;
	struct answers	 answers;
	uint32_t	 generation;	/* of the configuration that the questions were about */
	unsigned	 rounds;
};

static struct {
	struct edge	*lookup;
	struct batch	*spare;
	char		**action;		/* names that were ever used */
	size_t		 naction;
} batches;

/* ---- items ---- */

struct item *
batch_add(struct session *s)
{
	struct batch *b = s->batch;

	if (b == NULL) {
		b = batches.spare != NULL ? batches.spare : xcalloc(1, sizeof(*b));
		batches.spare = NULL;
		s->batch = b;
	}
	if (b->n == b->cap) {
		b->cap = b->cap == 0 ? 4 : b->cap * 2;
		b->items = xreallocarray(b->items, b->cap, sizeof(*b->items));
	}
	memset(&b->items[b->n], 0, sizeof(b->items[b->n]));
	return &b->items[b->n++];
}

bool
batch_full(const struct session *s)
{
	return s->batch != NULL && s->batch->n >= BATCH_MAX;
}

void
item_refuse(struct item *it, unsigned code, const char *dsn, const char *text)
{
	it->code = code;
	strlcpy(it->dsn, dsn, sizeof(it->dsn));
	it->text = text;
	it->of = MATCH_OF_NOTHING;
}

void
item_keep(struct p_env_rcpt *r, const char *orig, const char *addr, const char *orcpt)
{
	size_t la = strlen(addr) + 1, lo = strcmp(orig, addr) == 0 ? 0 : strlen(orig) + 1, lc = strlen(orcpt) + 1;
	char *block = xmalloc(la + lo + lc);

	memcpy(block, addr, la);
	memcpy(block + la, orig, lo);
	memcpy(block + la + lo, orcpt, lc);
	r->addr = block;
	r->orig = lo == 0 ? block : block + la;
	r->orcpt = block + la + lo;
	r->sender = r->trail = "";
}

static void
free_block(const char *p)
{
	char *block;

	memcpy(&block, &p, sizeof(block));
	free(block);
}

void
batch_end(struct session *s)
{
	struct batch *b = s->batch;
	size_t i;

	if (b == NULL)
		return;
	s->batch = NULL;
	for (i = 0; i < b->n; i++) {
		free_block(b->items[i].rcpt.addr);
		free(b->items[i].own);
	}
	answers_free(&b->answers);
	if (batches.spare != NULL || b->cap > SPARE_MAX) {
		free(b->items);
		free(b);
		return;
	}
	*b = (struct batch){ .items = b->items, .cap = b->cap };
	batches.spare = b;
}

/* ---- through the rules ---- */

/* It goes to another address; what the client said stays as the original one. */
static void
redirect(struct p_env_rcpt *r, const char *to)
{
	struct p_env_rcpt was = *r;

	item_keep(r, was.orig, to, was.orcpt);
	free_block(was.addr);
}

/* The same name for good: it outlives a reload. */
static const char *
action_name(const char *name)
{
	size_t i;

	for (i = 0; i < batches.naction; i++)
		if (strcmp(batches.action[i], name) == 0)
			return batches.action[i];
	batches.action = xreallocarray(batches.action, batches.naction + 1, sizeof(*batches.action));
	return batches.action[batches.naction++] = xstrdup(name);
}

static void
judge(struct item *it, const struct conf *conf, const struct match *m, bool refused)
{
	if (refused) {
		item_refuse(it, m->code, m->dsn, NULL);
		it->own = xstrdup(m->text);
		it->text = it->own;
		it->of = m->of;
		it->own_words = m->own;
		return;
	}
	it->code = 250;
	it->rcpt.action = m->held ? ACTION_NONE : action_name(conf->action[m->action].name);
	it->kind = m->held ? ACTION_MAILDIR : conf->action[m->action].kind;
	if (m->to[0] != '\0')
		redirect(&it->rcpt, m->to);
}

/* True: all items are known. */
static bool
evaluate(struct session *s, struct batch *b)
{
	const struct conf *conf = child_conf();
	struct match_facts facts = {
		.client = s->socket ? NULL : (const struct sockaddr *)&s->sa,
		.socket = s->socket,
		.helo = s->helo != NULL ? s->helo : "",
		.mail_from = s->tx != NULL ? s->tx->sender.text : "",
		.tag = s->door->tag
	};
	enum match_result r;
	struct match m;
	bool all = true;
	size_t i;

	for (i = 0; i < b->n; i++) {
		if (b->items[i].code != 0)
			continue;
		r = match_rcpt(conf, &facts, b->items[i].rcpt.addr, &b->answers, &m);
		if (r == MATCH_NEED)
			all = false;
		else
			judge(&b->items[i], conf, &m, r == MATCH_REFUSED);
	}
	return all;
}

static void
no_lookup(struct batch *b)
{
	size_t i;

	for (i = 0; i < b->n; i++)
		if (b->items[i].code == 0)
			item_refuse(&b->items[i], 451, "4.4.3", "address look-up is not possible now, try again later");
}

static void
say_all(struct session *s)
{
	struct batch *b = s->batch;
	size_t i;

	for (i = 0; i < b->n && s->state != ST_CLOSING; i++) {
		s->verb = b->items[i].verb;
		b->items[i].say(s, &b->items[i]);
	}
	batch_end(s);
}

static void
ask(struct session *s, struct batch *b)
{
	struct p_ask ask;

	b->generation = child_conf()->generation;
	ask = answers_ask(&b->answers, b->generation);
	send_ASK(batches.lookup, s->id, &ask, -1);
	free(ask.questions);
	session_wait(s, WAIT_LOOKUP, ASK_MS, NULL);
}

void
batch_run(struct session *s)
{
	struct batch *b = s->batch;

	if (!evaluate(s, b)) {
		if (batches.lookup != NULL && b->rounds++ < ROUNDS_MAX && b->answers.open > 0) {
			ask(s, b);
			return;
		}
		no_lookup(b);
	}
	say_all(s);
}

/* ---- lookup ---- */

void
batch_answer(struct session *s, const struct p_answer *p)
{
	struct batch *b = s->batch;

	if (s->wait != WAIT_LOOKUP || b == NULL)
		return;
	session_wait_over(s);
	/* After a reload the tables' numbers mean others: everything is asked anew. */
	if (b->generation != child_conf()->generation)
		answers_free(&b->answers);
	else if (answers_take(&b->answers, p) == -1) {
		log_error("lookup answered %u of the questions it was asked", p->values_n);
		no_lookup(b);
	}
	batch_run(s);
}

static void
lookup_lost(struct session *s)
{
	if (s->wait != WAIT_LOOKUP)
		return;
	session_wait_over(s);
	no_lookup(s->batch);
	say_all(s);
}

void
batch_lookup(struct edge *e)
{
	batches.lookup = e;
	if (e == NULL)
		session_each(lookup_lost);
}
