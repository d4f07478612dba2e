/*
 * resolver: postern-resolver, the only program that hears DNS answers. It answers listeners (the name of a client) and
 * deliver (the hosts of a domain). Owns who asked what; a peer that goes takes its questions with it.
 *
 * It keeps no tables and no mail. What the DNS does wrong becomes a status in the answer.
 */
#include <sys/queue.h>
#include <stdlib.h>
#include "program/child.h"
#include "resolver/dns.h"
#include "resolver/dns_ptr.h"
#include "resolver/mx_query.h"
#include "base/xmalloc.h"

MSG_RECEIVER(PARENT_TO_RESOLVER)
MSG_RECEIVER(LISTENER_TO_RESOLVER)
MSG_RECEIVER(DELIVER_TO_RESOLVER)
MSG_SENDER(RESOLVER_TO_LISTENER)
MSG_SENDER(RESOLVER_TO_DELIVER)

static const struct msg_row from_parent[] = { MSG_ROWS(PARENT_TO_RESOLVER) };
static const struct msg_row from_listener[] = { MSG_ROWS(LISTENER_TO_RESOLVER) };
static const struct msg_row from_deliver[] = { MSG_ROWS(DELIVER_TO_RESOLVER) };

struct asker {				/* who waits for an answer */
	LIST_ENTRY(asker)	 next;
	struct edge		*edge;		/* NULL: gone */
	uint32_t		 id;
};

static LIST_HEAD(, asker)	 askers = LIST_HEAD_INITIALIZER(askers);

static struct asker *
asker_new(struct edge *e, uint32_t id)
{
	struct asker	*a = xcalloc(1, sizeof(*a));

	a->edge = e;
	a->id = id;
	LIST_INSERT_HEAD(&askers, a, next);
	return a;
}

static void
asker_free(struct asker *a)
{
	LIST_REMOVE(a, next);
	free(a);
}

static void
ptr_found(void *arg, const struct p_ptr *ptr)
{
	struct asker	*a = arg;

	if (a->edge != NULL)
		send_PTR(a->edge, a->id, ptr, -1);
	asker_free(a);
}

static void
mx_found(void *arg, const struct p_mx *mx)
{
	struct asker	*a = arg;

	if (a->edge != NULL)
		send_MX(a->edge, a->id, mx, -1);
	asker_free(a);
}

void
on_PTR_ASK(struct edge *e, uint32_t id, struct p_text *p, int fd)
{
	(void)fd;
	ptr_ask(p->text, ptr_found, asker_new(e, id));
}

void
on_MX_ASK(struct edge *e, uint32_t id, struct p_mx_ask *p, int fd)
{
	(void)fd;
	mx_ask(p->domain, p->literal_host != 0, mx_found, asker_new(e, id));
}

void
on_RESOLV_CONF(struct edge *e, uint32_t id, struct p_none *p, int fd)
{
	(void)e;
	(void)id;
	(void)p;
	dns_resolv_conf(fd);
}

void
on_HOSTS(struct edge *e, uint32_t id, struct p_none *p, int fd)
{
	(void)e;
	(void)id;
	(void)p;
	dns_hosts(fd);
}

static void
peer(struct edge *e, enum prog prog, unsigned instance)
{
	(void)e;
	(void)prog;
	(void)instance;
}

static void
gone(struct edge *e, enum prog prog, unsigned instance)
{
	struct asker	*a;

	(void)prog;
	(void)instance;
	LIST_FOREACH(a, &askers, next)
		if (a->edge == e)
			a->edge = NULL;
}

int
main(int argc, char **argv)
{
	static const struct child_peer peers[] = {
		{ PROG_LISTENER, from_listener, sizeof(from_listener) / sizeof(from_listener[0]) },
		{ PROG_DELIVER, from_deliver, sizeof(from_deliver) / sizeof(from_deliver[0]) }
	};
	static const struct child_ops ops = {
		.prog = PROG_RESOLVER,
		.log_name = "resolver",
		.parent_rows = from_parent,
		.n_parent_rows = sizeof(from_parent) / sizeof(from_parent[0]),
		.peers = peers,
		.n_peers = sizeof(peers) / sizeof(peers[0]),
		.conf = dns_conf,
		.peer = peer,
		.gone = gone
	};

	child_start(argc, argv, &ops);
	while (child_turn())
		;
	return child_end();
}
