/*
 * sandbox: the system calls a program may make (seccomp). The only owner of seccomp.h.
 *
 * Called by child_start when the other rights are gone. A call that is not in the program's list fails with EPERM, one that
 * only a captured program would try ends it (SIGSYS); lists are tables in sandbox.c. Without effect in sanitizer builds, whose run-time needs more.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include "proc/msg.h"

void	sandbox_enter(enum prog);	/* fatal if the kernel refuses */

#endif
