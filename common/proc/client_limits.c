/*
 * client_limits: size and clearing of the listeners' shared table. See client_limits.h; the counting is smtpd/listener/client_count.c.
 *
 * Called by the parent. Owns nothing; cannot fail.
 */
#include <stdlib.h>
#include <string.h>

#include "proc/client_limits.h"

size_t
limits_size(unsigned slots)
{
	return sizeof(struct limits_map) + slots * sizeof(struct limits_slot);
}

void
limits_clear(void *map, unsigned slot)
{
	struct limits_map *m = map;

	if (m->seed == 0)
		m->seed = (uint64_t)arc4random() << 32 | arc4random() | 1;
	memset(&m->slot[slot], 0, sizeof(m->slot[slot]));
}
