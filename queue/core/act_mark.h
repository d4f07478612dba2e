/*
 * act_mark: the deeds of an administrator, and the marks of those that wait: for a delivery to return, or for a notice to be on the disk.
 *
 * Used by act.c (writes them) and message.c (finds them at load). Pure; owns nothing, cannot fail.
 */
#ifndef ACT_MARK_H
#define ACT_MARK_H

#include <stddef.h>
#include "spool/mark_code.h"

enum act { ACT_NONE, ACT_RETRY, ACT_HOLD, ACT_RELEASE, ACT_REMOVE, ACT_BOUNCE, ACT_EXPIRE, ACT_REROUTE,
	ACT_RETRY_HELD,		/* named by its id, what is held is tried too */
	ACT__N };

/* MARK_PENDING: it needs none. */
static inline enum mark
act_mark(enum act act)
{
	static const enum mark marks[ACT__N] = { [ACT_HOLD] = MARK_TO_HOLD, [ACT_REMOVE] = MARK_TO_REMOVE, [ACT_BOUNCE] = MARK_TO_BOUNCE,
	    [ACT_EXPIRE] = MARK_TO_EXPIRE, [ACT_REROUTE] = MARK_TO_REROUTE };

	return marks[act] != 0 ? marks[act] : MARK_PENDING;
}

static inline enum act
act_of_mark(uint8_t mark)
{
	unsigned i;

	for (i = ACT__N - 1; i > ACT_NONE && (mark > 'Z' || act_mark((enum act)i) != (enum mark)mark); i--)
		;
	return (enum act)i;
}

#endif
