/*
 * lines: the children's log lines, from a pipe for each to the log.
 *
 * Used by kids.c and agents.c. A child says level, name and text; who it is the parent knows itself: the pid is the child's own and
 * the name one of its row (proc.h), so no child can speak for another. What it writes to its standard error otherwise becomes errors.
 * Nothing here fails or blocks; a child that says more than its share loses lines, and the log says how many.
 */
#ifndef PARENT_LINES_H
#define PARENT_LINES_H

#include <sys/types.h>
#include "proc/proc.h"

struct lines;

/* For a child about to be started; *say: its end of the pipe, which the caller closes when it has it. NULL and /dev/null when there is none to be had. */
struct lines *lines_new(const struct proc_row *, int *say);
void	 lines_of(struct lines *, pid_t);
/* It has ended: what it said last goes to the log, and lines is freed. NULL is allowed. */
void	 lines_end(struct lines *);

#endif
