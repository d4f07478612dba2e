/*
 * explain: see explain.h. The handler of EXPLAIN stands here.
 *
 * Owns the inquiries, which route keeps in the meantime. Nothing is looked up and nothing changed for an answer but the DNS (route). An
 * answer that would not fit into a message is cut: the best hosts come first. A queue that is gone is answered nothing.
 */
#include <stdlib.h>
#include <string.h>
#include "program/child.h"
#include "client/explain.h"
#include "client/host.h"
#include "client/nexthop.h"
#include "client/source.h"
#include "base/xmalloc.h"

MSG_PROTOTYPES(QUEUE_TO_DELIVER)
MSG_SENDER(DELIVER_TO_QUEUE)

#define ANSWER_BYTES	(MSG_MAX / 2)
#define FIXED_BYTES	64			/* of an element, without its texts */
#define ADDRESS_SIZE	46

static struct edge *queue;

/* One answer while it is made. */
struct answer {
	struct p_explained p;
	const struct conf_pool *pool;		/* NULL: none */
	char		(*address)[ADDRESS_SIZE];	/* of the hosts */
	size_t		 left;			/* bytes */
};

static bool
fits(struct answer *a, const char *one, const char *other)
{
	size_t n = strlen(one) + strlen(other) + FIXED_BYTES;

	if (n > a->left)
		return false;
	a->left -= n;
	return true;
}

/* ---- sources ---- */

static enum source_state
state_of(const struct source *s, const struct mx_set *set)
{
	if (source_suspended(s))
		return SOURCE_SUSPENDED;
	if (!source_has(s, AF_INET) && !source_has(s, AF_INET6))
		return SOURCE_AWAY;
	return set->n == 0 || source_reaches(s, set) ? SOURCE_USABLE : SOURCE_UNFIT;
}

static void
add_sources(struct answer *a, const struct mx_set *set)
{
	const struct conf_member *m;
	const struct source *s;

	a->p.sources = xcalloc(a->pool->nmember, sizeof *a->p.sources);
	for (m = a->pool->member; m < a->pool->member + a->pool->nmember; m++) {
		s = source_of((unsigned)m->source);
		if (!fits(a, s->name, ""))
			return;
		a->p.sources[a->p.sources_n++] = (struct p_explain_source){ s->name, m->weight, state_of(s, set) };
	}
}

/* ---- hosts ---- */

static void
add_rest(struct answer *a, struct p_explain_host *to, const struct mx_host *mx, struct source *s)
{
	const struct host *h = host_known((const struct sockaddr *)&mx->sa, s);
	const char *name = s != NULL ? s->name : "";

	if (h != NULL && host_rest(h) > 0 && fits(a, name, host_why(h)))
		to->rests[to->rests_n++] = (struct p_explain_rest){ name, host_rest(h), host_why(h) };
}

/* By each source that may be used. */
static void
add_rests(struct answer *a, struct p_explain_host *to, const struct mx_host *mx)
{
	uint32_t i;

	to->rests = xcalloc(a->p.sources_n + 1, sizeof *to->rests);
	if (a->pool == NULL)
		add_rest(a, to, mx, NULL);
	for (i = 0; i < a->p.sources_n; i++)
		if (a->p.sources[i].state == SOURCE_USABLE)
			add_rest(a, to, mx, source_of((unsigned)a->pool->member[i].source));
}

static void
add_hosts(struct answer *a, const struct mx_set *set)
{
	const struct mx_host *mx;
	struct p_explain_host *to;
	char *address;

	a->p.hosts = xcalloc(set->n + 1, sizeof *a->p.hosts);
	a->address = xcalloc(set->n + 1, sizeof *a->address);
	for (mx = set->v; mx < set->v + set->n; mx++) {
		address = a->address[a->p.hosts_n];
		mx_address((const struct sockaddr *)&mx->sa, address, ADDRESS_SIZE);
		if (!fits(a, mx->name, address))
			return;
		to = &a->p.hosts[a->p.hosts_n++];
		/* What is above it is the number of the smarthost (route.c), which the order says too. */
		*to = (struct p_explain_host){ .preference = (uint16_t)mx->preference, .host = mx->name, .address = address,
		    .port = mx_port((const struct sockaddr *)&mx->sa) };
		add_rests(a, to, mx);
	}
}

/* ---- questions ---- */

void
explain_answer(struct inquiry *q, const struct finding *f)
{
	struct answer a = { .p = { .mx = f->mx, .trouble = f->trouble, .pool = "" }, .left = ANSWER_BYTES };

	if (f->pool != -1) {
		a.pool = &child_conf()->pool[f->pool];
		a.p.pool = a.pool->name;
		add_sources(&a, f->set);
	}
	add_hosts(&a, f->set);
	if (queue != NULL)
		send_EXPLAINED(queue, q->id, &a.p, -1);
	p_explained_free(&a.p);
	free(a.address);
	free(q);
}

void
on_EXPLAIN(struct edge *from, uint32_t id, struct p_explain *p, int fd)
{
	static const struct mx_set none;
	const struct conf *conf = child_conf();
	struct inquiry *q = xcalloc(1, sizeof *q);

	(void)from;
	(void)fd;
	*q = (struct inquiry){ .id = id, .generation = p->generation, .action = p->action };
	if (p->generation == conf->generation && p->action < conf->naction && conf->action[p->action].kind == ACTION_RELAY)
		route_explain(q, p->domain);
	else
		explain_answer(q, &(struct finding){ .set = &none, .mx = "", .pool = -1,
		    .trouble = "the configuration is being read anew; ask again" });
}

void
explain_queue(struct edge *e)
{
	queue = e;
}
