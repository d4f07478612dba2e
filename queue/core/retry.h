/* retry: the class of a message, when a recipient is tried again, and when it is given up. Pure code. Used by result.c. arrival is a moment of clock_now() (clock_born). */
#ifndef RETRY_H
#define RETRY_H

#include <stdbool.h>
#include <stdint.h>
#include "conf/conf.h"
#include "proc/msg.h"

/* Milliseconds to wait after that many attempts (1, 2, ...), between retry_min and retry_max; rnd: any random number. */
uint64_t retry_wait(const struct dest_policy *, uint32_t attempts, uint32_t rnd);
/* When the next attempt is due; an attempt at the very end of the lifetime, or when a delay is to be told, is not missed. */
int64_t	 retry_due(const struct dest_policy *, int64_t arrival, int64_t now, uint32_t attempts, uint32_t rnd);
/* Nothing is given up that was not tried in this run: the clock may have been wrong while we were away. */
bool	 retry_expired(const struct dest_policy *, int64_t arrival, int64_t now, bool tried);
bool	 retry_delayed(const struct dest_policy *, int64_t arrival, int64_t now);	/* time to tell the sender */
int64_t	 retry_age(int64_t arrival, int64_t now);		/* never negative */

enum mail_class class_of(const struct p_env *);
const char *class_name(enum mail_class);		/* "normal", "bulk", "bounce" */
/* What holds for a recipient in that domain by that action (name), whose MX that is; NULL: not known. */
struct dest_policy class_policy(const struct conf *, const struct p_env *, const char *action, const char *domain, const char *mx);

#endif
