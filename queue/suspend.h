/*
 * suspend: domains to which nothing is sent until an administrator says so. Kept in the file "suspended" in the spool, a domain a line.
 *
 * Used by sched (who may go) and the control verbs. A file that cannot be read suspends nobody and is logged.
 */
#ifndef SUSPEND_H
#define SUSPEND_H

#include <stdbool.h>
#include <stddef.h>

#define SUSPEND_MAX	10000		/* domains */
#define SUSPEND_MS	(3600 * 1000LL)	/* after which what waits looks again */

void	 suspend_init(void);
bool	 suspend_has(const char *domain);
/* 0: done and on the disk; 1: it was so already; -1/errno: it holds for this run, the disk did not take it (ENOSPC, E2BIG: too many, not done) */
int	 suspend_set(const char *domain, bool on);
const char *suspend_nth(size_t i);	/* in order; NULL: there are no more */

#endif
