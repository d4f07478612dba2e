/*
 * gate: a bound that several destinations may share: how many messages in a time, or how many connections at once.
 *
 * Used by dest. A block of the configuration that fits several destinations is one gate for all of them; otherwise each has its
 * own. Destinations that wait at a gate get one turn each. A gate outlives its destinations until what it let through is forgotten.
 */
#ifndef GATE_H
#define GATE_H

#include <sys/queue.h>
#include <sys/tree.h>
#include <stdbool.h>
#include <stdint.h>
#include "proc/ev.h"
#include "base/rate.h"

struct dest;
struct gate;

/* A destination's place at a gate. */
struct gate_place {
	TAILQ_ENTRY(gate_place) entry;
	struct dest	*dest;
	bool		 waits;
};

struct gate {
	RB_ENTRY(gate)	 entry;
	char		*key;
	unsigned	 held;
	struct rate	 rate;
	unsigned	 line;			/* jobs of its destinations that wait */
	unsigned	 granted;		/* connections that may take one of them at once */
	unsigned	 limit, nconn;		/* connections */
	TAILQ_HEAD(, gate_place) waiting;
	struct gate_place *serving;		/* whose turn it is */
	struct ev_timer	 timer;
};

/* The one with that key (which tells its bounds too); limit 0 and per_hour 0: unbounded. */
struct gate *gate_hold(const char *key, uint64_t per_hour, uint64_t burst, unsigned limit);
void	 gate_drop(struct gate *);		/* no place of the dropper waits */
void	 gate_sweep(void);			/* now and then: forgets those that nobody needs */
void	 gate_leave(struct gate *, struct gate_place *);

/* One message begins. False: not now; the place waits, and dest_look comes in its turn. */
bool	 gate_pass(struct gate *, struct gate_place *);
bool	 gate_open(const struct gate *, const struct gate_place *);	/* would it pass? */
void	 gate_force(struct gate *);		/* it begins whatever the bound is; the next ones wait for longer */
void	 gate_back(struct gate *);		/* it did not begin after all */
/* ms that one more job would wait behind the line. */
uint64_t gate_wait(const struct gate *);

/* Connections. False: no room; the place waits. */
bool	 gate_enter(struct gate *, struct gate_place *);
void	 gate_exit(struct gate *);

#endif
