/*
 * act: what an administrator does to recipients: retry, hold, release, remove, bounce, expire, reroute.
 *
 * Used by the control verbs, and by sched.c when a delivery returns that was under way meanwhile.
 */
#ifndef ACT_H
#define ACT_H

#include "message.h"

enum act { ACT_NONE, ACT_RETRY, ACT_HOLD, ACT_RELEASE, ACT_REMOVE, ACT_BOUNCE, ACT_EXPIRE, ACT_REROUTE,
	ACT_RETRY_HELD };	/* named by its id, what is held is tried too */

/*
 * The recipients of m that wants says, as it was asked for at that time; m may be gone afterwards. *later: those whose delivery is under
 * way. -> those acted on, later too
 */
uint32_t act_message(struct message *m, enum act, int64_t asked, bool (*wants)(void *, const struct message *, uint32_t n), void *arg,
    uint32_t *later);
void	 act_returned(struct message *);	/* what was to be done when its deliveries return */

#endif
