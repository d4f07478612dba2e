/*
 * source: where our connections come from: an address of this host by family, and the name we say.
 *
 * Used by route (which may be used), dest (each source has destinations of its own) and conn (binding). A source that is not
 * configured any more lives as long as a destination holds it. One that is suspended is used for nothing new.
 */
#ifndef SOURCE_H
#define SOURCE_H

#include <sys/queue.h>
#include <sys/socket.h>
#include <stdbool.h>
#include "conf/conf.h"
#include "proc/msg.h"
#include "client/mx.h"

struct source {
	TAILQ_ENTRY(source) entry;
	char		*key;			/* name and addresses: what it is told apart by */
	char		*name, *helo;		/* helo: NULL = the hostname */
	unsigned	 held;
	bool		 suspended;
	struct source_address {
		struct sockaddr_storage	 ss;	/* ss_family 0: none */
		bool			 here;	/* it is an address of this host */
	} in4, in6;
};

/* With each configuration, and now and then: which addresses are on this host. A change is logged. */
void	 source_conf(const struct conf *);
void	 source_sweep(void);
struct source *source_of(unsigned index);	/* of this configuration */
/* It has an address of that family, and it is on this host. */
bool	 source_has(const struct source *, int family);
/* It has an address of a family that one of them has. */
bool	 source_reaches(const struct source *, const struct mx_set *);
void	 source_suspend(const struct p_sources *);	/* these, and no others, whether configured or not */
bool	 source_suspended(const struct source *);	/* NULL (none in particular) never is */
/* 0, or -1 with errno; EADDRNOTAVAIL is remembered. */
int	 source_bind(struct source *, int fd, int family);
void	 source_hold(struct source *);
void	 source_drop(struct source *);		/* NULL is fine */

#endif
