/* result: what the outcome of an attempt means for a recipient. Used by job (results), sched (discard, refused), suspect (hold). */
#ifndef RESULT_H
#define RESULT_H

#include "conf/conf.h"
#include "core/job.h"

void	 result_take(struct message *, struct job *, const struct p_job_result *);
/* After all of a job was noted: what is due again stands in line, what is done goes. m may be gone afterwards. */
void	 result_after(struct message *);
/* How long it is tried, and how often. */
struct dest_policy result_policy(const struct message *, uint32_t n);
/* A job for an action that throws the mail away (the recipients from first on, R_FLYING). m may be gone afterwards. */
void	 result_discard(struct message *, struct dest *, uint32_t first);
/* Routing says no for good. */
void	 result_refused(struct message *, uint32_t n, unsigned code, const char *dsn, const char *text);
/* Given up for its age; there is a last attempt. */
/* It waits while the hosts of its destination rest, for that reason (NULL: none was told). -> it is too old for that, and given up */
bool	 result_at_rest(struct message *, uint32_t n, const struct last *why, int64_t now);
void	 result_expired(struct message *, uint32_t n, const char *why);

#endif
