/*
 * from_kids: what the programs say to the parent, and what it does then.
 *
 * The table from_kids goes to kids.c at the start (kids_make), which reads the edges by it. A message that a program may not send is no row of
 * it: the edge is closed then (edge.c).
 */
#include "base/log.h"
#include "parent/parent.h"

MSG_RECEIVER(ANY_TO_PARENT)
MSG_RECEIVER(QUEUE_TO_PARENT)
MSG_RECEIVER(DELIVER_TO_PARENT)

static const struct msg_row from_any[] = { MSG_ROWS(ANY_TO_PARENT) };
static const struct msg_row from_queue[] = { MSG_ROWS(ANY_TO_PARENT) MSG_ROWS(QUEUE_TO_PARENT) };
static const struct msg_row from_deliver[] = { MSG_ROWS(ANY_TO_PARENT) MSG_ROWS(DELIVER_TO_PARENT) };
#define ROWS(r)	{ r, sizeof r / sizeof r[0] }

const struct kids_ops from_kids = {
	.from = {
		[PROG_RESOLVER] = ROWS(from_any), [PROG_LOOKUP] = ROWS(from_any), [PROG_LISTENER] = ROWS(from_any),
		[PROG_QUEUE] = ROWS(from_queue), [PROG_DELIVER] = ROWS(from_deliver)
	},
	.ended = parent_stop_step
};

void
on_READY(struct edge *e, uint32_t id, struct p_none *m, int fd)
{
	struct kid *k = edge_arg(e);
	size_t i;

	(void)id;
	(void)m;
	(void)fd;
	if (edge_peer(e) == PROG_AGENT || k->ready)
		return;
	k->ready = true;
	for (i = 0; i < k->parent->nkid; i++)
		if (!k->parent->kid[i].ready)
			return;
	if (!k->parent->up)
		start_ready();
	k->parent->up = true;
	log_info("ready: %zu programs, configuration %s", k->parent->nkid, k->parent->file);
}

/* One has thrown the other out (the log says why), and both go on: they get another chance. */
void
on_ALONE(struct edge *e, uint32_t id, struct p_edge *m, int fd)
{
	(void)id;
	(void)fd;
	kids_rewire(edge_arg(e), m->peer, m->instance);
}

void
on_RELOAD(struct edge *e, uint32_t id, struct p_none *m, int fd)
{
	struct kid *k = edge_arg(e);

	(void)m;
	(void)fd;
	parent_reload_ask(k->parent, e, id);
}

void
on_STOP(struct edge *e, uint32_t id, struct p_none *m, int fd)
{
	struct kid *k = edge_arg(e);

	(void)id;
	(void)m;
	(void)fd;
	parent_stop(k->parent, true);
}

void
on_PAUSE_LISTENERS(struct edge *e, uint32_t id, struct p_number *m, int fd)
{
	struct kid *k = edge_arg(e);

	(void)id;
	(void)fd;
	if (k->parent->accept == (m->value == 0))
		return;				/* a queue that was started again says how it was left */
	k->parent->accept = m->value == 0;
	log_info("listeners %s", k->parent->accept ? "take connections" : "are paused");
	kids_accept(k->parent);
}

void
on_AGENT_ASK(struct edge *e, uint32_t id, struct p_agent_ask *m, int fd)
{
	struct kid *k = edge_arg(e);

	(void)fd;
	agents_ask(k->parent, e, id, m);
}
