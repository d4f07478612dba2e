/*
 * dns_hosts: the host's own table of names, /etc/hosts.
 *
 * Used by dns, once per configuration.
 */
#ifndef DNS_HOSTS_H
#define DNS_HOSTS_H

#include <stdbool.h>

/*
 * Calls cb for each name of each well-formed line; first: it is the line's first name (the one its address has). Entries for
 * 0.0.0.0 and :: (they block names, they are no hosts) and localhost (every resolver knows it) are left out.
 */
void	dns_hosts_read(const char *file, void (*cb)(void *, const char *address, const char *name, bool first), void *arg);

#endif
