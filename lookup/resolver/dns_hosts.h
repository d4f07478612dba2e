/*
 * dns_hosts: the host's own table of names, /etc/hosts, and its name servers, /etc/resolv.conf.
 *
 * Used by dns, whenever it makes a context.
 */
#ifndef DNS_HOSTS_H
#define DNS_HOSTS_H

#include <stdbool.h>

/*
 * Calls cb for each name of each well-formed line; first: it is the line's first name (the one its address has). Entries for
 * 0.0.0.0 and :: (they block names, they are no hosts) and localhost (every resolver knows it) are left out.
 */
void	dns_hosts_read(int fd, void (*cb)(void *, const char *address, const char *name, bool first), void *arg);
/* The name servers of a resolv.conf, as addresses in text. -> how many; none of a descriptor -1 */
unsigned dns_servers_read(int fd, void (*cb)(void *, const char *address), void *arg);

#endif
