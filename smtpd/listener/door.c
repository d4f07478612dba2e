/*
 * door: see door.h.
 */
#include <stdlib.h>

#include "listener/door.h"

struct door *
door_hold(struct door *door)
{
	door->refs++;
	return door;
}

void
door_release(struct door *door)
{
	if (--door->refs > 0)
		return;
	free(door->hostname);
	free(door->tag);
	free(door->banner);
	free(door);
}
