/*
 * counts: this listener's share of the table of clients (common/proc/client_limits.h), and the sums over all listeners.
 *
 * Used by crowd and connection (connections) and cmd_mail (rate). Without a table nothing is counted and nothing limited.
 */
#ifndef COUNTS_H
#define COUNTS_H

#include <sys/socket.h>
#include <sys/types.h>
#include <stdbool.h>
#include <stdint.h>
#include "proc/client_limits.h"


/* Takes over the mapping; what is open must be counted again by the caller. */
void	 counts_map(struct limits_map *, unsigned slot, unsigned slots);

/* Who is counted as one client: an IPv4 address, an IPv6 /64, a user at the submission socket. */
uint64_t counts_key(const struct sockaddr *);
uint64_t counts_key_uid(uid_t);

void	 counts_open(uint64_t key, enum pool);
void	 counts_close(uint64_t key, enum pool);
unsigned counts_total(enum pool);		/* open connections */
unsigned counts_client(uint64_t key);		/* open connections of that client */
unsigned counts_event(uint64_t key, enum rate_kind);	/* one more MAIL, or attempt to connect: how many in the last minute */

/* Whether the client waited for its greeting within the last day; it just did, or did not. */
bool	 counts_greeted(uint64_t key);
void	 counts_set_greeted(uint64_t key, bool);

/* The state of a pool that all listeners share. True: it was the other one before. */
bool	 counts_set_stress(enum pool, bool);
bool	 counts_stress(enum pool);

#endif
