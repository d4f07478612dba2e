/* load: brings messages that are due from the index into memory, in batches, when there is room. Used by sched, ready, control. */
#ifndef LOAD_H
#define LOAD_H

#include "index/index.h"
#include "core/message.h"

void	 load_init(struct spool *, struct index *);
void	 load_run(bool paused);			/* a step of sched_run; paused: nothing more is wanted in line */
void	 load_retry_all(void);			/* every message that waits now is brought in, as due, by and by */
bool	 load_under_way(uint64_t id);		/* a part of it is in memory */
/* One message into memory if it is not there, as its row and record tell; nothing is queued yet. NULL: not there or damaged. */
struct message *load_message(uint64_t id);
/* The same where it may take its time. DONE: m has one pin more, which is the caller's. WAIT: ask again in a later turn. NONE: as NULL above. */
enum load { LOAD_DONE, LOAD_WAIT, LOAD_NONE } load_slowly(uint64_t id, struct message **m);
void	 load_let_go(uint64_t id);		/* the caller was told to wait, and does not any more */

#endif
