/*
 * postern-deliver: takes jobs from the queue to where the mail goes: remote servers by SMTP, mailboxes by agents.
 *
 * Started by posternd with edges to the queue, the resolver and the parent; chroot in an empty folder, no rights. What it has in hand
 * is lost with it without harm: the queue gives it out again. Trouble with servers, names and agents is a result, never an end.
 */
#include <unistd.h>
#include "program/child.h"
#include "client/conn.h"
#include "client/hostset.h"
#include "proc/ev.h"
#include "client/explain.h"
#include "client/limit.h"
#include "client/host.h"
#include "client/job.h"
#include "client/mailbox.h"
#include "proc/msg.h"
#include "client/nexthop.h"
#include "client/source.h"

MSG_RECEIVER(QUEUE_TO_DELIVER)
MSG_RECEIVER(RESOLVER_TO_DELIVER)
MSG_RECEIVER(PARENT_TO_DELIVER)

#define TICK_MS		500
#define SLOW_TICKS	20

static struct {
	struct ev_timer	 tick;
	unsigned	 ticks;
	bool		 draining;
} deliver;

static const struct msg_row from_parent[] = { MSG_ROWS(PARENT_TO_DELIVER) };
static const struct msg_row from_queue[] = { MSG_ROWS(QUEUE_TO_DELIVER) };
static const struct msg_row from_resolver[] = { MSG_ROWS(RESOLVER_TO_DELIVER) };

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct child_peer peers[] = {
	{ PROG_QUEUE, from_queue, COUNT(from_queue) },
	{ PROG_RESOLVER, from_resolver, COUNT(from_resolver) },
};

static void
peer(struct edge *e, enum prog prog, unsigned instance)
{
	(void)instance;
	if (prog == PROG_QUEUE) {
		job_queue(e);
		explain_queue(e);
	} else
		route_resolver(e);
}

static void
gone(struct edge *e, enum prog prog, unsigned instance)
{
	(void)e;
	(void)instance;
	if (prog == PROG_QUEUE) {
		job_queue(NULL);
		explain_queue(NULL);
	} else
		route_resolver(NULL);
}

static void
tick(void *arg)
{
	(void)arg;
	ev_timer_set(&deliver.tick, TICK_MS);
	mailbox_sweep();
	if (++deliver.ticks % SLOW_TICKS == 0) {
		route_sweep();
		dest_sweep();
		gate_sweep();
		source_sweep();
		host_sweep();
	}
}

static void
start(void)
{
	mailbox_init();
	ev_timer_init(&deliver.tick, tick, NULL);
	ev_timer_set(&deliver.tick, TICK_MS);
}

static void
drain(void)
{
	deliver.draining = true;
}

/* What is under way is finished, what waits goes back. */
static void
drain_turn(void)
{
	route_drain();
	dest_drain();
	mailbox_drain();
	conn_quit_idle();
	if (job_all_done())
		child_quit();
}

static const struct child_ops ops = {
	.prog = PROG_DELIVER, .log_name = "deliver",
	.parent_rows = from_parent, .n_parent_rows = COUNT(from_parent),
	.peers = peers, .n_peers = COUNT(peers),
	.conf = route_conf, .peer = peer, .gone = gone, .start = start, .drain = drain,
};

int
main(int argc, char **argv)
{
	child_start(argc, argv, &ops);
	while (child_turn()) {
		dest_turn();
		if (deliver.draining)
			drain_turn();
	}
	return child_end();
}
