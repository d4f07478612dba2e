/*
 * suspend: domains to which, and sources by which, nothing is sent until an administrator says so. Kept in the file "suspended" in the
 * spool: a domain a line, or "source NAME".
 *
 * Used by sched (who may go), job (deliver is told the sources) and the control verbs. A file that cannot be read suspends nobody and is
 * logged.
 */
#ifndef SUSPEND_H
#define SUSPEND_H

#include <stdbool.h>
#include <stddef.h>

#define SUSPEND_DOMAINS	10000
#define SUSPEND_SOURCES	800		/* so that all of them fit into one message */
#define SUSPEND_MS	(3600 * 1000LL)	/* after which what waits for a domain looks again */

enum suspend_kind { SUSPEND_DOMAIN, SUSPEND_SOURCE };

void	 suspend_init(void);
bool	 suspend_has(enum suspend_kind, const char *name);
/*
 * 0: done and on the disk; 1: it was so already; -1/errno: it holds for this run, the disk did not take it (ENOSPC; E2BIG: too many, or
 * too long a name: not done)
 */
int	 suspend_set(enum suspend_kind, const char *name, bool on);
const char *suspend_nth(enum suspend_kind, size_t i);	/* in order; NULL: there are no more */

#endif
