/*
 * suspend: what an administrator has stopped until he says otherwise, or until a time that he gave: mail to a domain, mail by a source, one
 * half of the work (delivery, listeners). Kept in the file "suspended" in the spool (STATES.md).
 *
 * Used by sched (who may go), job (deliver is told the sources) and the control verbs. A file that cannot be read suspends nothing and is
 * logged.
 */
#ifndef SUSPEND_H
#define SUSPEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUSPEND_DOMAINS	10000
#define SUSPEND_SOURCES	800		/* so that all of them fit into one message */
#define SUSPEND_ALWAYS	INT64_MAX

#define DELIVERY	"delivery"	/* the names of SUSPEND_HALF */
#define LISTENERS	"listeners"

enum suspend_kind { SUSPEND_DOMAIN, SUSPEND_SOURCE, SUSPEND_HALF };

/* ended: the time of one is over; it is not in the list any more. */
void	 suspend_init(void (*ended)(enum suspend_kind, const char *name));
bool	 suspend_has(enum suspend_kind, const char *name);
/* ms until it ends by itself; SUSPEND_ALWAYS: it does not; 0: it is not suspended. */
int64_t	 suspend_left(enum suspend_kind, const char *name);
/*
 * For that many ms; SUSPEND_ALWAYS; 0: no more. One that is suspended already gets another end.
 * 0: it holds for this run, and over a restart when the errand of suspend_ticket is done and suspend_error says 0; 1: it was so already;
 * -1/E2BIG: too many, or too long a name: not done
 */
int	 suspend_set(enum suspend_kind, const char *name, int64_t ms);
uint64_t suspend_ticket(void);	/* errand.h */
int	 suspend_error(void);		/* errno of the last time that the file was written; 0: none */
const char *suspend_nth(enum suspend_kind, size_t i);	/* in order; NULL: there are no more */

#endif
