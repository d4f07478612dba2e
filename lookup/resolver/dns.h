/*
 * dns: questions to the DNS, asked without waiting; the only owner of libunbound.
 *
 * Used by mx_query and dns_ptr. Answers come from the event loop, never from inside dns_ask. A question that is cancelled is
 * never answered.
 */
#ifndef DNS_H
#define DNS_H

#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "conf/conf.h"
#include "proc/msg.h"

enum dns_type { DNS_A = 1, DNS_PTR = 12, DNS_MX = 15, DNS_AAAA = 28 };

struct dns_answer {			/* valid during the callback */
	enum dns_status		 status;	/* DNS_OK: n > 0; DNS_NONE; DNS_TEMPFAIL */
	const char		*why;		/* in words: "no such name", "SERVFAIL" */
	uint32_t		 ttl;
	const struct blob	*rdata;		/* as it was on the wire, names uncompressed: not to be trusted */
	size_t			 n;
};
typedef void dns_cb(void *arg, const struct dns_answer *);
struct dns_req;

/* A (new) configuration, which stays until the next: which servers are asked. What is under way goes on with the old ones. */
void	 dns_conf(const struct conf *);
/* The files as they are now, with their descriptors, which are kept. */
void	 dns_resolv_conf(int fd);
void	 dns_hosts(int fd);
/* name: a valid domain name (addr_valid_domain), or one made by dns_reverse. */
struct dns_req *dns_ask(const char *name, enum dns_type, dns_cb *, void *arg);
void	 dns_cancel(struct dns_req *);

#endif
