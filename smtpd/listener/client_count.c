/*
 * counts: see counts.h.
 *
 * A client has a place among the ways of one bucket, the same bucket in every slot. Where all ways are taken by clients
 * that are connected right now, one more is not counted: the limits per client are then too kind, never too hard.
 * Cannot fail.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "listener/client_count.h"
#include "proc/ev.h"
#include "proc/client_limits.h"

#define KEY_V4	0x0000ffff00000000ULL	/* never the /64 of a host */
#define KEY_UID	0x0000fffe00000000ULL
#define GREETED_MINUTES	(24 * 60)

static struct {
	struct limits_map	*map;
	struct limits_slot	*own;
	unsigned		 slots;
} counts;

void
counts_map(struct limits_map *map, unsigned slot, unsigned slots)
{
	counts.map = map;
	counts.own = &map->slot[slot];
	counts.slots = slots;
}

uint64_t
counts_key(const struct sockaddr *sa)
{
	uint64_t key = 0;
	uint32_t v4;

	if (sa->sa_family == AF_INET) {
		memcpy(&v4, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, sizeof(v4));
		return KEY_V4 | ntohl(v4);
	}
	if (sa->sa_family == AF_INET6)
		memcpy(&key, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, sizeof(key));
	return key;
}

uint64_t
counts_key_uid(uid_t uid)
{
	return KEY_UID | (uint32_t)uid;
}

static unsigned
bucket(uint64_t key)
{
	uint64_t h = (key ^ counts.map->seed) * 0x9e3779b97f4a7c15ULL;

	h ^= h >> 32;
	h = (h ^ counts.map->seed) * 0xd6e8feb86659fd93ULL;
	return (unsigned)(h >> 40) % LIMITS_BUCKETS;
}

static uint32_t
this_minute(void)
{
	return (uint32_t)(ev_now_ms() / 60000);
}

static struct limits_client *
find(struct limits_slot *slot, uint64_t key)
{
	struct limits_client *c = slot->client[bucket(key)];
	unsigned i;

	for (i = 0; i < LIMITS_WAYS; i++)
		if (c[i].key == key)
			return &c[i];
	return NULL;
}

/* The client's own place in our slot; that of the one that was seen longest ago if need be. */
static struct limits_client *
claim(uint64_t key)
{
	struct limits_client *c = find(counts.own, key), *old = NULL;
	unsigned i;

	if (c != NULL)
		return c;
	c = counts.own->client[bucket(key)];
	for (i = 0; i < LIMITS_WAYS; i++)
		if (c[i].conns == 0 && (old == NULL || c[i].minute < old->minute))
			old = &c[i];
	if (old != NULL)
		*old = (struct limits_client){ .key = key, .minute = this_minute() };
	return old;
}

void
counts_open(uint64_t key, enum pool pool)
{
	struct limits_client *c;

	if (counts.map == NULL)
		return;
	counts.own->conns[pool]++;
	if ((c = claim(key)) != NULL)
		c->conns++;
}

void
counts_close(uint64_t key, enum pool pool)
{
	struct limits_client *c;

	if (counts.map == NULL)
		return;
	if (counts.own->conns[pool] > 0)
		counts.own->conns[pool]--;
	c = find(counts.own, key);
	if (c != NULL && c->conns > 0)
		c->conns--;
}

unsigned
counts_total(enum pool pool)
{
	unsigned i, n = 0;

	for (i = 0; counts.map != NULL && i < counts.slots; i++)
		n += counts.map->slot[i].conns[pool];
	return n;
}

unsigned
counts_client(uint64_t key)
{
	struct limits_client *c;
	unsigned i, n = 0;

	for (i = 0; counts.map != NULL && i < counts.slots; i++)
		if ((c = find(&counts.map->slot[i], key)) != NULL)
			n += c->conns;
	return n;
}

static void
turn_minute(struct limits_client *c)
{
	uint32_t now = this_minute();

	if (c->minute == now)
		return;
	if (c->minute + 1 == now)
		memcpy(c->before, c->events, sizeof(c->before));
	else
		memset(c->before, 0, sizeof(c->before));
	memset(c->events, 0, sizeof(c->events));
	c->minute = now;
}

/* What falls into the last sixty seconds, if the minute before was even. */
static unsigned
rate(const struct limits_client *c, enum rate_kind kind)
{
	uint32_t now = this_minute(), left = 60000 - (uint32_t)(ev_now_ms() % 60000);

	if (c->minute == now)
		return c->events[kind] + (unsigned)((uint64_t)c->before[kind] * left / 60000);
	return c->minute + 1 == now ? (unsigned)((uint64_t)c->events[kind] * left / 60000) : 0;
}

unsigned
counts_event(uint64_t key, enum rate_kind kind)
{
	struct limits_client *c;
	unsigned i, n = 0;

	if (counts.map == NULL)
		return 0;
	if ((c = claim(key)) != NULL) {
		turn_minute(c);
		c->events[kind]++;
	}
	for (i = 0; i < counts.slots; i++)
		if ((c = find(&counts.map->slot[i], key)) != NULL)
			n += rate(c, kind);
	return n;
}

/* ---- greetings ---- */

bool
counts_greeted(uint64_t key)
{
	struct limits_client *c;
	unsigned i;

	for (i = 0; counts.map != NULL && i < counts.slots; i++)
		if ((c = find(&counts.map->slot[i], key)) != NULL && c->greeted != 0 && this_minute() + 1 - c->greeted < GREETED_MINUTES)
			return true;
	return false;
}

void
counts_set_greeted(uint64_t key, bool yes)
{
	struct limits_client *c;

	if (counts.map != NULL && (c = claim(key)) != NULL)
		c->greeted = yes ? this_minute() + 1 : 0;
}

/* ---- stress ---- */

bool
counts_set_stress(enum pool pool, bool on)
{
	return counts.map != NULL && __atomic_exchange_n(&counts.map->stress[pool], (uint32_t)on, __ATOMIC_RELAXED) != (uint32_t)on;
}

bool
counts_stress(enum pool pool)
{
	return counts.map != NULL && __atomic_load_n(&counts.map->stress[pool], __ATOMIC_RELAXED) != 0;
}
