/*
 * job: what is in flight at deliver, and the edge to it.
 *
 * Used by sched (send), result and bounce (acknowledge), main (edge). A job is known until its result was taken and
 * acknowledged; deliver's edge closing brings all of them back.
 */
#ifndef JOB_H
#define JOB_H

#include <sys/queue.h>
#include "core/nexthop.h"
#include "core/message.h"
#include "proc/msg.h"

struct job {
	uint64_t	 number;
	struct message	*m;			/* NULL: it is gone, the acknowledgement alone is open */
	struct dest	*d;			/* NULL once the result is there */
	uint32_t	 first, count;		/* chained by rcpts[].next */
	uint32_t	 owed;			/* recipients whose mark waits for a notice */
	uint32_t	 segment;
	bool		 stale;			/* the deliver that had it is gone: nobody to be told */
	bool		 partly;		/* of before this edge: others have some of its recipients by now */
	struct job	*hash_next;
	TAILQ_ENTRY(job) link;
};

void	 job_init(struct spool *);
void	 job_rest_over(void);			/* deliver tries anew what rests there */
bool	 job_explain(uint32_t id, const struct p_explain *);	/* on_EXPLAINED answers. false: deliver is not there */
void	 job_tell_suspended(void);		/* the sources that are suspended now */
void	 job_deliver(struct edge *);		/* deliver is there (NULL: gone) */
bool	 job_told(void);			/* deliver is there, and has told what it has of before */
bool	 job_may_send(void);			/* deliver is there, told what it has, and its edge has room */
unsigned job_flying(void);
void	 job_send(struct message *, struct dest *, uint32_t first, uint32_t count);
/* One recipient's notice is on disk (or given up): with the last one deliver is told to forget the job. */
void	 job_owed_done(struct job *);

#endif
