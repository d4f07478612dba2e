/*
 * mx: which hosts a destination has, and in what order they are tried (RFC 5321 5.1). Pure code.
 *
 * Used by route (making and pruning a set) and conn (the order of one walk). A set owns its array and names.
 */
#ifndef MX_H
#define MX_H

#include <sys/socket.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MX_MAX	100		/* addresses of a destination; those of least preference beyond are dropped */

struct mx_host {
	uint32_t		 preference;
	char			*name;		/* "mx1.example.org"; the address itself for a literal */
	struct sockaddr_storage	 sa;		/* with the port */
	socklen_t		 salen;
	size_t			 rank;		/* in which order they came: the lower first */
};

struct mx_set {
	struct mx_host	*v;
	size_t		 n;
};

/*
 * Adds address (text) of host name; false if it is no address that mail can go to (malformed, unspecified, multicast).
 * With an empty address the name counts for mx_prune, which then drops it.
 */
bool	 mx_add(struct mx_set *, uint32_t preference, const char *name, const char *address, uint16_t port);
void	 mx_free(struct mx_set *);
struct mx_set mx_copy(const struct mx_set *);
/* Drops the addresses of other families; AF_UNSPEC: none. */
void	 mx_keep_family(struct mx_set *, int family);
bool	 mx_has_family(const struct mx_set *, int family);
/* By preference, then host, IPv6 before IPv4, then address, so that the same answer in another order is the same set; at most MX_MAX. */
void	 mx_sort(struct mx_set *);
/* The order in which the addresses came this time; both are sorted, and of the same text. */
void	 mx_rank(struct mx_set *, const struct mx_set *fresh);

enum mx_found { MX_FINE, MX_LOOP /* we are the best host ourselves */, MX_NOWHERE /* no usable address */ };
/* Of a sorted set: drops ourselves, the hosts that are no better than we are, and those without an address. */
enum mx_found mx_prune(struct mx_set *, bool (*ours)(const struct mx_host *, void *), void *arg);

/*
 * One order of trying a sorted set: preferences ascending, equal hosts shuffled, a host's addresses together, IPv6 first, of one family in
 * the order they came (RFC 5321 5.1). turn: each walk begins one address later than the one before, so that one answer of the DNS does not
 * send all mail to one of them. -> count (<= MX_MAX)
 */
size_t	 mx_order(const struct mx_set *, unsigned turn, uint16_t order[MX_MAX], uint32_t (*uniform)(uint32_t));
/* "10 name[address]:port, ..." : two sets with the same text are the same place. Freed by the caller. */
char	*mx_text(const struct mx_set *);
/* "192.0.2.1" or "2001:db8::1"; size >= 46. */
void	 mx_address(const struct sockaddr *, char *out, size_t size);
uint16_t mx_port(const struct sockaddr *);
void	 mx_relay(const struct mx_host *, char *out, size_t size);	/* "name[address]:port", as logs and the queue call it */

#endif
