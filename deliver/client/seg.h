/*
 * seg: read-only descriptors of the spool's segments, as the queue hands them over.
 *
 * Used by job (a job holds its segment), body and mailbox (reading). A descriptor is closed when the queue said it is gone and
 * no job needs it any more.
 */
#ifndef SEG_H
#define SEG_H

#include <stdint.h>

struct seg;

struct seg *seg_hold(uint32_t number);		/* NULL: the queue never sent it */
void	 seg_drop(struct seg *);		/* NULL is fine */
int	 seg_fd(const struct seg *);
/* A new queue numbers anew: what the old one sent serves only the jobs that hold it. */
void	 seg_forget_all(void);

#endif
