/*
 * errand: what is written to the spool now and then, and must not hold the main loop up: small files with their syncs.
 *
 * Used by suspend.c; control.c waits for the ticket before a client is answered. Errands are done one after the other by a helper thread.
 */
#ifndef ERRAND_H
#define ERRAND_H

#include <stdbool.h>
#include <stdint.h>

/* work runs in the thread, with arg as its own memory, and says 0 or errno; done gets that in the main loop, and frees arg. -> a ticket */
uint64_t errand(int (*work)(void *arg), void (*done)(void *arg, int error), void *arg);
bool	 errand_reached(uint64_t ticket);	/* done was called */
void	 errand_end(void);			/* all of them are done, and the thread ends */

#endif
