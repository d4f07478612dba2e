/*
 * crowd: how many clients there may be, whose turn it is when there are too many, and what changes meanwhile (stress).
 *
 * Strangers, loopback and the submission socket have their shares of their own, so that none of them locks another out. Used by listen
 * (who comes in) and connection (who leaves, time-outs). Counts are those of all listeners together; cannot fail.
 */
#ifndef CROWD_H
#define CROWD_H

#include <stdbool.h>
#include <stdint.h>
#include "proc/client_limits.h"
#include "conf/conf.h"

struct session_peer;

/* NULL, or the client's own limit that one more connection of it would break. */
const char *crowd_over_own(const struct session_peer *);
/* Whether its share is full, for this client. */
bool	 crowd_full(const struct session_peer *);
/* After each coming and going: stress begins or ends, with a line in the log. */
void	 crowd_look(enum pool);
bool	 crowd_stress(enum pool);
/* A time-out (ms) of the configuration, less under stress. */
uint64_t crowd_time(enum pool, enum conf_limit);
uint64_t crowd_data_rate(enum pool);		/* least bytes a second */
/* True once after stress began or ended somewhere: time-outs that run are to be set anew. */
bool	 crowd_changed(void);
/* How long a client's banner waits for what it may say too early, ms; 0 for those that are known. */
uint64_t crowd_greet_pause(const struct session_peer *);

#endif
