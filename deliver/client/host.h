/*
 * host: what is known of one remote address and port: connections, rests, habits.
 *
 * Used by dest (may we go there now?) and conn (what happened there). Shared by all destinations that name the address and have the
 * same source: a server that turns one of our addresses away may like another.
 */
#ifndef HOST_H
#define HOST_H

#include <sys/socket.h>
#include <sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

struct source;

struct host {
	RB_ENTRY(host)	 entry;
	char		 key[64];		/* "[address]:port" */
	struct source	*source;		/* NULL: none in particular */
	unsigned	 held;
	unsigned	 ready;			/* connections that got through EHLO */
	uint64_t	 rest_until;		/* ev_now_ms() time */
	unsigned	 failures;		/* in a row */
	unsigned	 most;			/* messages it takes on one connection, as it showed; 0: any number */
	uint64_t	 most_until;
	char		*why;			/* what the last failure was; NULL: none */
};

struct host *host_hold(const struct sockaddr *, struct source *);
void	 host_drop(struct host *);
/* NULL: nothing is known of it. */
const struct host *host_known(const struct sockaddr *, struct source *);
/* ms it still rests; 0: it does not. */
uint64_t host_rest(const struct host *);
/* What its last failure was; "" if none. */
const char *host_why(const struct host *);
/* No connection could be made, or it was refused: rest, longer each time up to most_ms. */
void	 host_failed(struct host *, const char *why, uint64_t most_ms);
void	 host_worked(struct host *);
/* It ended a connection in place of taking a message after so many: no more than that for a while. */
void	 host_takes(struct host *, unsigned messages);
unsigned host_most(const struct host *);	/* messages on one connection */
void	 host_sweep(void);			/* forgets those nobody needs; now and then */

#endif
