/*
 * door: a listening socket, and what its clients are told. A session holds the door it came in by, so the texts outlive a reload.
 */
#ifndef DOOR_H
#define DOOR_H

#include <stdbool.h>
#include "proc/ev.h"

struct door {
	struct ev_fd	 ev;		/* fd -1: closed, some sessions are left */
	unsigned	 refs;
	char		*hostname, *tag, *banner;	/* tag "" if none, banner may be NULL */
	bool		 normalise, socket;
};

struct door *door_hold(struct door *);
void	 door_release(struct door *);		/* the last one frees it */

#endif
