/*
 * helper: a thread of the queue that waits for the disk in place of the main loop.
 *
 * Used by sync.c (group commits), index_vfs.c (what SQLite writes) and errand.c (the rest), each with a thread of its own: a sync of one
 * kind need not stand behind another kind's. Jobs are worked on one after the other, in the order in which they were added.
 */
#ifndef HELPER_H
#define HELPER_H

#include <sys/queue.h>
#include <stdbool.h>

struct helper;

struct helper_job {
	STAILQ_ENTRY(helper_job) link;
	void	(*work)(struct helper_job *);	/* in the thread: system calls and the job's own memory; no log, no module's state */
	void	(*done)(struct helper_job *);	/* in the main loop, by its event; the job is its owner's again, and may be freed or added */
};

struct helper *helper_open(void);
void	 helper_close(struct helper *);		/* all jobs are done first */
/* The job is the helper's until done is called. */
void	 helper_add(struct helper *, struct helper_job *);
/* Calls done for what is finished; wait: for all there is. */
void	 helper_turn(struct helper *, bool wait);

#endif
