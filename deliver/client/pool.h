/*
 * pool: which source of a pool a message goes out by. Pure code.
 *
 * Used by route. The choice is a function of the message's id and the weights, so that it stays with a message over its retries;
 * where that source cannot be used the next choice is as stable.
 */
#ifndef POOL_H
#define POOL_H

#include <stdbool.h>
#include <stdint.h>
#include "conf/conf.h"

/* -> index of the source, or -1: none is usable. */
int	 pool_pick(const struct conf_pool *, uint64_t id, bool (*usable)(int source, void *arg), void *arg);

#endif
