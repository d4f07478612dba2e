/*
 * bounce: the notices that senders (or the postmaster) get. A step of the main loop.
 *
 * Used by result (who is owed one), main (bounce_run; recovery of births).
 */
#ifndef BOUNCE_H
#define BOUNCE_H

#include "index/index.h"
#include "core/message.h"

/* What a message gives birth to; a number on the disk. */
enum birth { BIRTH_NONE, BIRTH_FAILURE, BIRTH_SUCCESS, BIRTH_POSTMASTER, BIRTH_DELAY, BIRTH_ARCHIVE, BIRTH_DAMAGED };

/* Its bytes on the disk are wrong, and it is held: the postmaster is told. */
void	 bounce_damaged(struct message *);
void	 bounce_init(struct spool *);
/* Must somebody be told of this end before the mark is set? */
bool	 bounce_owes(const struct message *, uint32_t n, enum mark fate);
void	 bounce_add(struct message *);		/* a recipient of it is R_OWED now */
/* The recipient is late: its sender is told of it, once, if he may be. -> true: this message owed no notice before */
bool	 bounce_delay(struct message *, uint32_t n);
void	 bounce_look(void);				/* a job of a message that owes is done */
void	 bounce_gone(struct message *);		/* it leaves memory */
void	 bounce_run(void);
/* Recovery: a notice was found: the mark of the recipients that it tells of; MARK_PENDING: it is no end of theirs. */
enum mark bounce_fate(uint8_t birth);

#endif
