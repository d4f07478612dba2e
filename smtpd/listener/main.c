/*
 * listener: the main of postern-listener, which speaks SMTP with clients. Several run, on the same listening sockets.
 *
 * Started by the parent. Sees every byte that strangers send; has no file, no table and no way out but its edges: the
 * recipients' questions go to lookup, names of clients to resolver, messages to the queue. What a peer that is gone would have
 * answered is a 4xx.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mail/addr.h"
#include "listener/batch.h"
#include "listener/client_count.h"
#include "listener/connection.h"
#include "listener/listen.h"
#include "listener/message.h"
#include "listener/session.h"
#include "listener/session_say.h"
#include "listener/to_queue.h"
#include "program/child.h"
#include "proc/client_limits.h"
#include "proc/ev.h"
#include "base/log.h"

MSG_RECEIVER(PARENT_TO_LISTENER)
MSG_RECEIVER(LOOKUP_TO_LISTENER)
MSG_RECEIVER(RESOLVER_TO_LISTENER)
MSG_RECEIVER(QUEUE_TO_LISTENER)

static const struct msg_row from_parent[] = { MSG_ROWS(PARENT_TO_LISTENER) };
static const struct msg_row from_lookup[] = { MSG_ROWS(LOOKUP_TO_LISTENER) };
static const struct msg_row from_resolver[] = { MSG_ROWS(RESOLVER_TO_LISTENER) };
static const struct msg_row from_queue[] = { MSG_ROWS(QUEUE_TO_LISTENER) };
#define ROWS(r) r, sizeof(r) / sizeof(r[0])

static const struct child_peer peers[] = {
	{ PROG_LOOKUP, ROWS(from_lookup) },
	{ PROG_RESOLVER, ROWS(from_resolver) },
	{ PROG_QUEUE, ROWS(from_queue) }
};

static bool draining;

/* ---- from the parent ---- */

void
on_LISTEN(struct edge *e, uint32_t id, struct p_named *p, int fd)
{
	(void)e;
	(void)id;
	if (p->index >= child_conf()->nlisten)
		fatalx("socket %u, of %zu that are configured", p->index, child_conf()->nlisten);
	if (draining)
		close(fd);
	else
		door_open(fd, &child_conf()->listen[p->index]);
}

void
on_LIMITS(struct edge *e, uint32_t id, struct p_limits *p, int fd)
{
	size_t size = limits_size(p->slots);
	struct stat st;
	void *map;

	(void)e;
	(void)id;
	if (p->slot >= p->slots || fstat(fd, &st) == -1 || (size_t)st.st_size < size)
		fatalx("the table of limits is too small for slot %u of %u", p->slot, p->slots);
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		fatal("the table of limits");
	close(fd);
	counts_map(map, p->slot, p->slots);
	connection_recount();
}

void
on_ACCEPT(struct edge *e, uint32_t id, struct p_number *p, int fd)
{
	(void)e;
	(void)id;
	(void)fd;
	doors_accept(p->value != 0);
}

/* The sockets of the new configuration follow. */
static void
conf(const struct conf *c)
{
	(void)c;
	doors_close();
}

static void
drain(void)
{
	draining = true;
	doors_shut();
	connection_drain();
}

/* ---- from the others ---- */

void
on_ANSWER(struct edge *e, uint32_t id, struct p_answer *p, int fd)
{
	struct session *s = session_find(id);

	(void)e;
	(void)fd;
	if (s != NULL)
		batch_answer(s, p);
}

void
on_PTR(struct edge *e, uint32_t id, struct p_ptr *p, int fd)
{
	struct session *s = session_find(id);

	(void)e;
	(void)fd;
	if (s != NULL && p->status == DNS_OK && addr_valid_domain(p->name, false))
		session_named(s, p->name);
}

void
on_TX_DONE(struct edge *e, uint32_t id, struct p_tx_done *p, int fd)
{
	(void)e;
	(void)fd;
	message_done(id, p);
}

void
on_LEASE(struct edge *e, uint32_t id, struct p_lease *p, int fd)
{
	(void)e;
	(void)id;
	(void)fd;
	to_queue_lease(p);
}

void
on_SPACE(struct edge *e, uint32_t id, struct p_space *p, int fd)
{
	(void)e;
	(void)id;
	(void)fd;
	to_queue_space(p->low != 0);
}

static void
tell(enum prog prog, struct edge *e)
{
	switch (prog) {
	case PROG_LOOKUP:
		batch_lookup(e);
		break;
	case PROG_RESOLVER:
		doors_resolver(e);
		break;
	default:
		message_queue(e);
		break;
	}
}

static void
peer(struct edge *e, enum prog prog, unsigned instance)
{
	(void)instance;
	tell(prog, e);
}

static void
gone(struct edge *e, enum prog prog, unsigned instance)
{
	(void)e;
	(void)instance;
	tell(prog, NULL);
}

static void
drained(struct edge *e)
{
	if (edge_peer(e) == PROG_QUEUE)
		session_data_resume();
}

static const struct child_ops ops = {
	.prog = PROG_LISTENER, .log_name = "smtpd",
	.parent_rows = from_parent, .n_parent_rows = sizeof(from_parent) / sizeof(from_parent[0]),
	.peers = peers, .n_peers = sizeof(peers) / sizeof(peers[0]),
	.conf = conf, .peer = peer, .gone = gone, .drained = drained, .start = doors_start, .drain = drain
};

int
main(int argc, char **argv)
{
	tzset();		/* the zone's file is out of reach later */
	session_init();
	child_start(argc, argv, &ops);
	while (child_turn()) {
		connection_turn();
		if (draining && session_none())
			child_quit();
	}
	return child_end();
}
