/*
 * mx_query: where the mail of a domain goes.
 *
 * Used by the resolver. One question becomes one look-up of MX, then of the addresses of the hosts; equal questions that
 * are under way are one.
 */
#ifndef MX_QUERY_H
#define MX_QUERY_H

#include <stdbool.h>
#include "proc/msg.h"

#define MX_HOSTS	100		/* of a domain: those with the best preference */
#define MX_HOSTS_AT_ONCE 16		/* whose addresses are looked up */
#define MX_ADDRESSES	10		/* of a host */
#define MX_ALL		500		/* of all hosts: what fits into one answer */
#define MX_ENOUGH	10000		/* ms: from then on the hosts that were found will do */
#define MX_DEADLINE	30000		/* ms: from then on it is a temporary failure */
#define MX_IN_FLIGHT	10000		/* different questions; beyond that: a temporary failure at once */

typedef void mx_cb(void *arg, const struct p_mx *);

/* literal_host: no MX look-up, the name is the host. cb is called once, maybe at once, else from the event loop. */
void	 mx_ask(const char *domain, bool literal_host, mx_cb *, void *arg);

#endif
