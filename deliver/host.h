/*
 * host: what is known of one remote address and port: connections, rests, habits.
 *
 * Used by dest (may we go there now?) and conn (what happened there). Shared by all destinations that name the address.
 */
#ifndef HOST_H
#define HOST_H

#include <sys/socket.h>
#include <sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

struct host {
	RB_ENTRY(host)	 entry;
	char		 key[64];		/* "[address]:port" */
	unsigned	 held;
	unsigned	 ready;			/* connections that got through EHLO */
	uint64_t	 rest_until;		/* ev_now_ms() time */
	unsigned	 failures;		/* in a row */
	uint64_t	 plain_until;		/* no next message behind a final dot: it was lost that way */
	char		*why;			/* what the last failure was; NULL: none */
};

struct host *host_hold(const struct sockaddr *);
void	 host_drop(struct host *);
/* ms it still rests; 0: it does not. */
uint64_t host_rest(const struct host *);
/* No connection could be made, or it was refused: rest, longer each time. */
void	 host_failed(struct host *, const char *why);
void	 host_worked(struct host *);
void	 host_plain(struct host *);		/* no prefetch there for a while */
bool	 host_is_plain(const struct host *);
void	 host_sweep(void);			/* forgets those nobody needs; now and then */

#endif
