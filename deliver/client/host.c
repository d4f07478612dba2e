/*
 * host: see host.h. A rest begins at 10 s and doubles up to the shortest time between two tries of a message; a failure while the host rests already (a probe, or one of
 * several connections) does not lengthen it. Memory is bounded by what destinations hold and by host_sweep.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "proc/ev.h"
#include "client/host.h"
#include "proc/msg.h"
#include "client/mx.h"
#include "client/source.h"
#include "base/xmalloc.h"

MSG_PROTOTYPES(QUEUE_TO_DELIVER)

#define REST_FIRST	(10 * 1000)
#define REMEMBER	(10 * 60 * 1000)	/* failures after the rest */
#define LEARNT_MS	(10 * 60 * 1000)
#define MESSAGES_MAX	500

static int
compare(const struct host *a, const struct host *b)
{
	if (a->source != b->source)
		return (uintptr_t)a->source < (uintptr_t)b->source ? -1 : 1;
	return strcmp(a->key, b->key);
}

RB_HEAD(host_tree, host);
RB_GENERATE_INTERNAL(host_tree, host, entry, compare, static __attribute__((unused)))

static struct host_tree hosts = RB_INITIALIZER(&hosts);

static struct host *
find(struct host *key, const struct sockaddr *sa, struct source *source)
{
	char address[46];

	mx_address(sa, address, sizeof address);
	snprintf(key->key, sizeof key->key, "[%s]:%u", address, mx_port(sa));
	key->source = source;
	return RB_FIND(host_tree, &hosts, key);
}

const struct host *
host_known(const struct sockaddr *sa, struct source *source)
{
	struct host key;

	return find(&key, sa, source);
}

struct host *
host_hold(const struct sockaddr *sa, struct source *source)
{
	struct host key, *h = find(&key, sa, source);

	if (h == NULL) {
		h = xcalloc(1, sizeof *h);
		if ((h->source = source) != NULL)
			source_hold(source);
		strlcpy(h->key, key.key, sizeof h->key);
		RB_INSERT(host_tree, &hosts, h);
	}
	h->held++;
	return h;
}

void
host_drop(struct host *h)
{
	h->held--;
}

uint64_t
host_rest(const struct host *h)
{
	uint64_t now = ev_now_ms();

	return h->rest_until > now ? h->rest_until - now : 0;
}

const char *
host_why(const struct host *h)
{
	return h->why != NULL ? h->why : "";
}

void
host_failed(struct host *h, const char *why, uint64_t most_ms)
{
	uint64_t rest = REST_FIRST;
	unsigned i;

	free(h->why);
	h->why = xstrdup(why);
	if (host_rest(h) > 0)
		return;
	for (i = 0; i < h->failures && rest < most_ms; i++)
		rest *= 2;
	h->failures++;
	h->rest_until = ev_now_ms() + (rest < most_ms ? rest : most_ms);
}

void
host_worked(struct host *h)
{
	h->failures = 0;
	h->rest_until = 0;
}

/* The administrator wants all of it tried now. */
void
on_REST_OVER(struct edge *queue, uint32_t id, struct p_none *p, int fd)
{
	struct host *h;

	(void)queue;
	(void)id;
	(void)p;
	(void)fd;
	RB_FOREACH(h, host_tree, &hosts)
		host_worked(h);
}

void
host_takes(struct host *h, unsigned messages)
{
	h->most = messages > 0 ? messages : 1;
	h->most_until = ev_now_ms() + LEARNT_MS;
}

unsigned
host_most(const struct host *h)
{
	return h->most > 0 && h->most < MESSAGES_MAX && h->most_until > ev_now_ms() ? h->most : MESSAGES_MAX;
}

void
host_sweep(void)
{
	struct host *h, *next;
	uint64_t now = ev_now_ms();

	for (h = RB_MIN(host_tree, &hosts); h != NULL; h = next) {
		next = RB_NEXT(host_tree, &hosts, h);
		if (h->held > 0 || h->most_until > now || (h->failures > 0 && h->rest_until + REMEMBER > now))
			continue;
		RB_REMOVE(host_tree, &hosts, h);
		source_drop(h->source);
		free(h->why);
		free(h);
	}
}
