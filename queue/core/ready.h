/*
 * ready: the messages that are in memory, by id; how they come in, get their index row, and go.
 *
 * Used by intake, load, sched, result, bounce, control. At most READY_MAX messages and READY_RCPTS recipients are kept; beyond that new mail goes to the
 * index at once and is loaded later (load.c).
 */
#ifndef READY_H
#define READY_H

#include "index/index.h"
#include "core/message.h"

#define READY_MAX	10000
#define READY_RCPTS	500000		/* of all of them, but for one message more */

void	 ready_init(struct spool *, struct index *);
struct message *ready_find(uint64_t id);
unsigned ready_count(void);
/* How many more messages may stand in line while that leaves room for others; new mail and what waited before have half of the memory each. */
unsigned ready_room(enum line);
bool	 ready_may_load(void);		/* of what waited before, some more */
bool	 ready_full(void);
/* A new, durable message (it had no row yet). */
void	 ready_add_fresh(struct message *);
/* One that was loaded from its row. */
void	 ready_add(struct message *);
/* A new message for which there is no room: its row is put, it is freed. */
void	 ready_overflow(struct message *);
/* After anything changed: if nothing is to be done for it now, it is finished or goes to the index; m may be gone afterwards. -> true if it is */
bool	 ready_settle(struct message *);
/* Sets a recipient's mark on disk and here. A disk that does not take it is logged: the mail may be sent twice, never lost. */
void	 ready_mark(struct message *, uint32_t n, enum mark);
/* The mark alone: its state stays. What is to become of it later (act_mark.h), or MARK_PENDING: nothing. */
void	 ready_note(struct message *, uint32_t n, enum mark);
/* Between these two the marks of that message are gathered, and written by the second, in as few writes as can be. */
void	 ready_marks_begin(struct message *);
void	 ready_marks_write(void);
/* Visits every message in memory; cb may settle the one it is given, and no other. */
void	 ready_each(void (*cb)(struct message *, void *), void *arg);

/* Before it is ready: all of its text is there, and its end was seen (bodyscan_end). Length, checksum and what was found in it are the message's. */
void	 ready_text(struct message *, const struct body *);

#endif
