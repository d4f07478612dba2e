/*
 * counts: this listener's share of the table of clients (common/client_limits.h), and the sums over all listeners.
 *
 * Used by door (connections) and cmd_mail (rate). Without a table nothing is counted and nothing limited.
 */
#ifndef COUNTS_H
#define COUNTS_H

#include <sys/socket.h>
#include <sys/types.h>
#include <stdbool.h>
#include <stdint.h>

struct limits_map;

/* Takes over the mapping; what is open must be counted again by the caller. */
void	 counts_map(struct limits_map *, unsigned slot, unsigned slots);

/* Who is counted as one client: an IPv4 address, an IPv6 /64, a user at the submission socket. */
uint64_t counts_key(const struct sockaddr *);
uint64_t counts_key_uid(uid_t);

void	 counts_open(uint64_t key, bool socket);
void	 counts_close(uint64_t key, bool socket);
unsigned counts_total(bool socket);		/* open connections, of the network or at the socket */
unsigned counts_client(uint64_t key);		/* open connections of that client */
unsigned counts_mail(uint64_t key);		/* one more MAIL: how many in the last minute */

#endif
