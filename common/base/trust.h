/*
 * trust: opens a file at a path where somebody else may have put something: a link, a device, a FIFO, a file of his own.
 *
 * Used by the parent (tables, the log, its lock), by conf_refs for -n, and by the queue (its lock). Never waits.
 */
#ifndef TRUST_H
#define TRUST_H

#include <sys/types.h>

#define TRUST_ANYONE	((uid_t)-1)

/*
 * A regular file, and no link; one that is written has no second name. Its owner is root, the caller or also, and nobody else may
 * write to it (also TRUST_ANYONE: neither is looked at). flags as for open(2). -> descriptor, or -1 and in *why what is wrong and what to do, which
 * is valid until the next call.
 */
int	trust_open(const char *path, int flags, mode_t mode, uid_t also, const char **why);

#endif
