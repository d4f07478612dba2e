/*
 * policy: how long and how often mail for a recipient is tried: by its domain, its action's smarthost or its MX, and its class.
 *
 * Used by result and by the control verbs that tell of it.
 */
#ifndef POLICY_H
#define POLICY_H

#include "conf/conf.h"
#include "proc/msg.h"

/* relay: who took the last attempt, "host[address]:port"; NULL or "": nobody. */
struct dest_policy policy_for(const struct p_env *, const char *action, const char *domain, const char *relay);
/* The shortest lifetime that mail to there may have, of any class, and the shortest delay_notice (0: none). */
struct dest_policy policy_least(const char *action, const char *domain);
/* No retry is further ahead than that, of whatever mail (ms): a due time beyond it was written by another clock. */
int64_t policy_horizon(void);

#endif
