/*
 * quiet: one line about a client, then only how many more there would have been. Pure code.
 *
 * Used by listen for clients that it refuses: who comes ten thousand times fills no log. A line is due for a client that had none for
 * QUIET_MS; quiet_tell gives the counts of the others. More clients at once than there is room for are counted together.
 */
#ifndef QUIET_H
#define QUIET_H

#include <stdbool.h>
#include <stdint.h>

#define QUIET_MS	10000
#define QUIET_CLIENTS	256
#define QUIET_NAME	64

struct quiet {				/* all zero: nobody yet */
	struct quiet_client {
		uint64_t	key, since;
		unsigned	more;
		char		name[QUIET_NAME];
	}		 client[QUIET_CLIENTS];
	unsigned	 n, others;	/* others: lines of clients without a place */
};

/* Whether a line about that client is due now (ms); if not, it is counted. name is cut if it is long. */
bool	quiet_due(struct quiet *, uint64_t key, const char *name, uint64_t now);
/* tell() for each client whose time is over and that was counted; who had nothing more is forgotten. True: some are left. */
bool	quiet_tell(struct quiet *, uint64_t now, void (*tell)(unsigned more, const char *name));

#endif
