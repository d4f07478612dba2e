/*
 * client_limits: the shared table in which every listener counts its clients.
 *
 * The parent makes it (a memfd of limits_size(slots) bytes, MAP_SHARED) and clears a slot before it starts the listener
 * that owns it, so that a listener that died leaves no counts behind. A listener writes its own slot alone; what
 * holds for all is the sum over the slots. Values are read without a lock: a limit may be off by what is in flight.
 */
#ifndef CLIENT_LIMITS_H
#define CLIENT_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#define LIMITS_BUCKETS	2048	/* a power of two */
#define LIMITS_WAYS	8

/* Whose share of the connections: strangers', loopback's, that of the submission socket. */
enum pool { POOL_NET, POOL_LOOPBACK, POOL_SOCKET, POOL__N };

/* What is counted by the minute: MAIL commands, connections. */
enum rate_kind { RATE_MAIL, RATE_CONNECT, RATE__N };

struct limits_client {
	uint64_t	key;		/* limits_key of the client; 0: free */
	uint32_t	conns;		/* open connections */
	uint32_t	minute;		/* which minute (monotonic) events are of */
	uint32_t	events[RATE__N];	/* in that minute */
	uint32_t	before[RATE__N];	/* and in the one before */
	uint32_t	greeted;	/* the minute in which it last waited for its greeting, + 1; 0: never */
};

struct limits_slot {
	uint32_t		conns[POOL__N];	/* open connections */
	struct limits_client	client[LIMITS_BUCKETS][LIMITS_WAYS];
};

struct limits_map {
	uint64_t		seed;		/* of the hash: which clients share a bucket is not theirs to choose */
	uint32_t		stress[POOL__N];	/* 1: that share is nearly taken; written by any listener, atomically */
	struct limits_slot	slot[];
};

size_t	limits_size(unsigned slots);
/* Empties one slot; the first call on a fresh map also draws the seed. */
void	limits_clear(void *map, unsigned slot);

#endif
