/*
 * greylist: is a refusal "not yet" rather than trouble, and when may one come back? Pure code.
 *
 * Used by deliver (a greylisted message is no reason to leave the host alone) and the queue (it is tried again early).
 */
#ifndef GREYLIST_H
#define GREYLIST_H

#include <stdbool.h>
#include <stdint.h>

#define GREYLIST_MS	(5 * 60 * 1000)	/* where the server does not say */

/* A reply to MAIL, RCPT or the end of data: 450 or 451 with 4.7.1, or a temporary one that names it. */
bool	 greylisted(unsigned code, const char *dsn, const char *text);
/* "try again in 300 seconds", "5 min", "00:04:59" -> ms, at least 10 s, at most an hour; 0: it does not say. */
uint64_t greylist_hint(const char *text);

#endif
