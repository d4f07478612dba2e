/*
 * bounce: the notices that senders (or the postmaster) get. A step of the main loop.
 *
 * Used by result (who is owed one), main (bounce_run; recovery of births).
 */
#ifndef BOUNCE_H
#define BOUNCE_H

#include "index.h"
#include "message.h"

enum birth { BIRTH_NONE, BIRTH_FAILURE, BIRTH_SUCCESS, BIRTH_POSTMASTER };

void	 bounce_init(struct spool *);
/* Must somebody be told of this end before the mark is set? */
bool	 bounce_owes(const struct message *, uint32_t n, enum mark fate);
void	 bounce_add(struct message *);		/* a recipient of it is R_OWED now */
void	 bounce_look(void);				/* a job of a message that owes is done */
void	 bounce_gone(struct message *);		/* it leaves memory */
void	 bounce_run(void);
/* Recovery: a notice was found; cb for each recipient of its parent that it tells of (trail: as written in the record). */
void	 bounce_trail_each(const char *trail, void (*cb)(void *, uint32_t n), void *arg);
enum mark bounce_fate(uint8_t birth);

#endif
