/*
 * rows: the index rows of the messages in memory: when they are written, and how those of many recipients come and go in parts.
 *
 * Used by ready.c (which messages there are), sched.c (its step of the main loop), bounce.c, act.c and the control verbs. A message that
 * is done within ROWS_LATE_MS never gets a row. What has ROWS_MANY recipients or more is written, changed and deleted a part a turn, lest
 * other mail waits; while that goes on the message stays in memory.
 */
#ifndef ROWS_H
#define ROWS_H

#include "index/index.h"
#include "core/message.h"

#define ROWS_LATE_MS	10		/* what still lives after that gets its row */
#define ROWS_MANY	2000		/* recipients */

void	 rows_init(struct spool *, struct index *);
void	 rows_run(void);		/* a part of what is written and deleted by and by: a step of the main loop */

void	 rows_added(struct message *);	/* it is in memory now; what its rows say, if there are any, was read from them */
void	 rows_fresh(struct message *);	/* ... and is new: its row is due soon */
/* Its rows as it is now, before anything that comes later. 0; -1: the index does not take them; 1: by and by, then sched_queue comes. */
int	 rows_put(struct message *);
bool	 rows_has(const struct message *, uint32_t n);	/* that recipient's row says what is so now */
void	 rows_finish(struct message *);	/* what goes on by and by is done now; it may be gone afterwards */
void	 rows_forget(struct message *);	/* it leaves memory: nothing of it is to be written any more */
/* It is finished: its rows go, perhaps by and by, and then its record. */
void	 rows_delete(struct message *);
bool	 rows_going(uint64_t id);	/* ... and are not gone yet */

/* The new messages have their rows afterwards, but for those that get them by and by. */
void	 rows_flush(void);
/* The latter: what was to be written by the time of the ticket is, if rows_reached. */
uint64_t rows_ticket(void);
bool	 rows_reached(uint64_t ticket);
/* Adds what has no row yet. */
void	 rows_missing(struct index_count *);
/* At the end of the process: all of it at once, and how far each segment need not be scanned again (otherwise noted once a second). */
void	 rows_end(void);

/* A recipient as its row has it, and the message without recipients; strings borrowed. */
struct index_rcpt rows_rcpt(const struct message *, uint32_t n);
struct index_msg rows_head(const struct message *);

#endif
