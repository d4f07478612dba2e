/*
 * lookup: postern-lookup, the process that knows tables and accounts, and answers questions about them.
 *
 * Talks to listeners (ASK) and the queue (QASK); the parent gives it the opened files of tables. Owns the tables of this
 * configuration and of the one before, since a question says which it was asked under. Has no network and writes nothing.
 * What cannot be answered now is ANSWER_TEMPFAIL, never no.
 */
#include <stdlib.h>
#include <string.h>
#include "program/child.h"
#include "base/log.h"
#include "tables/table.h"
#include "tables/user.h"
#include "base/xmalloc.h"

#define ANSWER_BYTES	(MSG_MAX - 4096)	/* of a frame of answers */
#define PENDING_MAX	(16 * 1024 * 1024)	/* answers that a peer does not fetch */

MSG_RECEIVER(PARENT_TO_LOOKUP)
MSG_RECEIVER(LISTENER_TO_LOOKUP)
MSG_RECEIVER(QUEUE_TO_LOOKUP)
MSG_SENDER(LOOKUP_TO_LISTENER)
MSG_SENDER(LOOKUP_TO_QUEUE)

struct held {			/* a table of one generation */
	char		*name, *path;		/* path: of a file, else NULL */
	struct table	*table;			/* NULL: cannot be read, or is not here yet */
	bool		 old;			/* the file's content of before, until the parent gives the new one */
};
struct generation {
	uint32_t	 number;
	struct held	*held;
	size_t		 n;
};
static struct generation now, before;

/* ---- generations ---- */

static void
generation_free(struct generation *g)
{
	for (size_t i = 0; i < g->n; i++) {
		free(g->held[i].name);
		free(g->held[i].path);
		table_unref(g->held[i].table);
	}
	free(g->held);
	memset(g, 0, sizeof(*g));
}

static struct table *
same_file(const struct generation *g, const struct conf_table *ct)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->held[i].path != NULL && strcmp(g->held[i].path, ct->path) == 0 && g->held[i].table != NULL)
			return table_ref(g->held[i].table);
	return NULL;
}

static void
lookup_conf(const struct conf *c)
{
	struct held *h;

	generation_free(&before);
	before = now;
	now = (struct generation){ .number = c->generation, .n = c->ntable };
	now.held = xcalloc(c->ntable + 1, sizeof(*now.held));
	for (size_t i = 0; i < c->ntable; i++) {
		h = &now.held[i];
		h->name = xstrdup(c->table[i].name);
		if (c->table[i].kind == TABLE_FILE) {
			h->path = xstrdup(c->table[i].path);
			h->table = same_file(&before, &c->table[i]);
			h->old = true;
		} else {
			h->table = table_list(&c->table[i]);
		}
	}
	user_reset(c->limit[LIM_FIRST_UID]);
}

void
on_TABLE(struct edge *e, uint32_t id, struct p_named *p, int fd)
{
	struct held *h;

	(void)e, (void)id;
	if (p->index >= now.n || now.held[p->index].path == NULL)
		fatalx("the parent sent table %u, which is no file in this configuration", p->index);
	h = &now.held[p->index];
	table_unref(h->table);
	h->table = table_file(h->name, fd);
	h->old = false;
}

/* All files are here: one that did not come could not be opened. */
static void
lookup_start(void)
{
	for (size_t i = 0; i < now.n; i++) {
		if (!now.held[i].old)
			continue;
		table_unref(now.held[i].table);
		now.held[i].table = NULL;
		now.held[i].old = false;
		log_error("table %s: %s was not opened; look-ups in it fail for now", now.held[i].name, now.held[i].path);
	}
}

/* ---- questions ---- */

static enum answer_status
ask_table(uint32_t number, const struct p_question *q, const char **value)
{
	const struct generation *g = number == before.number && before.held != NULL && number != now.number ? &before : &now;

	*value = "";
	if (q->kind >= ASK_ACCOUNT || q->table >= g->n || g->held[q->table].table == NULL)
		return ANSWER_TEMPFAIL;
	return table_ask(g->held[q->table].table, q->kind, q->key, value);
}

static struct p_value
answer(uint32_t number, const struct p_question *q, char **own)
{
	struct p_value v = { .value = "" };

	if (q->kind == ASK_ACCOUNT || q->kind == ASK_ACCOUNT_NAMED) {
		v.status = user_ask(q->key, q->kind == ASK_ACCOUNT_NAMED, own);
		if (*own != NULL)
			v.value = *own;
	} else {
		v.status = ask_table(number, q, &v.value);
	}
	return v;
}

/* The answers in the order of the questions; own has what is to be freed. What does not fit into a frame fails for now. */
static struct p_answer
answer_all(const struct p_ask *p, char **own)
{
	struct p_answer a = { .values = xcalloc(p->questions_n + 1, sizeof(*a.values)), .values_n = p->questions_n };
	size_t bytes = 0, n;

	for (uint32_t i = 0; i < p->questions_n; i++) {
		a.values[i] = answer(p->generation, &p->questions[i], &own[i]);
		n = strlen(a.values[i].value);
		if (bytes + n + (p->questions_n - i) * 6 > ANSWER_BYTES)
			a.values[i] = (struct p_value){ .status = ANSWER_TEMPFAIL, .value = "" };
		else
			bytes += n;
		bytes += 6;
	}
	return a;
}

static void
reply_to(struct edge *e, uint32_t id, const struct p_ask *p, void (*send)(struct edge *, uint32_t, const struct p_answer *, int))
{
	char **own = xcalloc(p->questions_n + 1, sizeof(*own));
	struct p_answer a = answer_all(p, own);

	send(e, id, &a, -1);
	for (uint32_t i = 0; i < p->questions_n; i++)
		free(own[i]);
	free(own);
	free(a.values);
	if (edge_pending(e) > PENDING_MAX) {
		log_error("%s %u does not fetch its answers; its edge is closed", prog_name(edge_peer(e)), edge_instance(e));
		edge_cut(e);
	}
}

void
on_ASK(struct edge *e, uint32_t id, struct p_ask *p, int fd)
{
	(void)fd;
	reply_to(e, id, p, send_ANSWER);
}

void
on_QASK(struct edge *e, uint32_t id, struct p_ask *p, int fd)
{
	(void)fd;
	reply_to(e, id, p, send_QANSWER);
}

/* ---- the life ---- */

static void
lookup_peer(struct edge *e, enum prog prog, unsigned instance)
{
	(void)e, (void)prog, (void)instance;
}

static const struct msg_row parent_rows[] = { MSG_ROWS(PARENT_TO_LOOKUP) };
static const struct msg_row listener_rows[] = { MSG_ROWS(LISTENER_TO_LOOKUP) };
static const struct msg_row queue_rows[] = { MSG_ROWS(QUEUE_TO_LOOKUP) };
static const struct child_peer peers[] = {
	{ PROG_LISTENER, listener_rows, sizeof(listener_rows) / sizeof(listener_rows[0]) },
	{ PROG_QUEUE, queue_rows, sizeof(queue_rows) / sizeof(queue_rows[0]) },
};
static const struct child_ops ops = {
	.prog = PROG_LOOKUP,
	.log_name = "lookup",
	.parent_rows = parent_rows,
	.n_parent_rows = sizeof(parent_rows) / sizeof(parent_rows[0]),
	.peers = peers,
	.n_peers = sizeof(peers) / sizeof(peers[0]),
	.conf = lookup_conf,
	.peer = lookup_peer,
	.gone = lookup_peer,
	.start = lookup_start,
};

int
main(int argc, char **argv)
{
	child_start(argc, argv, &ops);
	while (child_turn())
		;
	return child_end();
}
