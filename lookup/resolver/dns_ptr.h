/*
 * dns_ptr: the name of a client, confirmed by its address.
 *
 * Used by the resolver. A name counts only if one of its own addresses is the client's: a PTR record alone is what
 * its owner likes to claim. cb is called once, maybe at once, else from the event loop.
 */
#ifndef DNS_PTR_H
#define DNS_PTR_H

#include "proc/msg.h"

#define PTR_NAMES	4		/* of an address: the first that are well formed */
#define PTR_DEADLINE	30000		/* ms */
#define PTR_IN_FLIGHT	500		/* beyond that: a temporary failure at once; strangers cannot crowd out the questions for MX */

typedef void ptr_cb(void *arg, const struct p_ptr *);

void	 ptr_ask(const char *address, ptr_cb *, void *arg);

#endif
