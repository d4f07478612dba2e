/*
 * dns_parse: what is in the data of DNS records, and names for questions. Pure code.
 *
 * Used by mx_query and dns_ptr. Record data comes from strangers: anything but well-formed data with host-like names is
 * refused, so that no name from the DNS brings a blank, a quote or a line end into a header, a log or a shell.
 */
#ifndef DNS_PARSE_H
#define DNS_PARSE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"

#define DNS_NAME_MAX	253			/* as text, without the last dot */

struct dns_mx {
	uint16_t	 preference;
	char		 host[DNS_NAME_MAX + 1];	/* "" is the root: a null MX */
};

/* An uncompressed name that takes up all of the blob; "" for the root. Labels of letters, digits, '-' and '_' only, as lower case. */
bool	dns_parse_name(struct blob, char out[DNS_NAME_MAX + 1]);
bool	dns_parse_mx(struct blob, struct dns_mx *);
/* An A (AF_INET) or AAAA (AF_INET6) record, as text. */
bool	dns_parse_address(int family, struct blob, char out[INET6_ADDRSTRLEN]);
/*
 * Does this answer packet (RFC 1035 4.1) with code 0 say that there is no record of that type? Not if it was truncated, is malformed, or has
 * one: RFC 5321 5.1 asks to tell "no MX" from "not known".
 */
bool	dns_says_no_data(struct blob packet, unsigned type);
/* The name under in-addr.arpa or ip6.arpa of an address in text; an IPv4-mapped IPv6 address is an IPv4 one. *family is set. */
bool	dns_reverse(const char *address, char out[DNS_NAME_MAX + 1], int *family);

#endif
