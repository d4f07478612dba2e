/*
 * proc: the row per program (account, chroot, limits) and the one function that starts each of them.
 *
 * proc_spawn is called by the parent alone; proc_drop by child_start alone. Errors are fatal in the child and a log
 * line and -1 in the parent, which tries again with back-off.
 */
#ifndef PROC_H
#define PROC_H

#include <sys/types.h>
#include "proc/msg.h"

enum proc_root { ROOT_EMPTY, ROOT_SPOOL, ROOT_NONE };

struct proc_row {
	enum prog	 prog;
	const char	*file;		/* "postern-queue", beside posternd or in LIBEXEC */
	const char	*account;	/* NULL: the recipient's own (agents) */
	enum proc_root	 root;
	unsigned	 nofile;	/* rlimits; 0: leave */
	unsigned	 nproc;		/* as root: processes of the account, threads count; 1: none can be made */
	unsigned	 memory;	/* MiB of address space */
	const char	*names;		/* its lines in the log may have these, one space between them; the first is its own */
};

const struct proc_row *proc_row(enum prog);

struct proc_start {
	const struct proc_row	*row;
	const char		*dir;		/* chroot (as root) or working directory */
	uid_t			 uid;		/* 0 and not root: unchanged */
	gid_t			 gid;
	const char		*user;		/* agents: for the supplementary groups; else NULL */
	const char		*home;		/* agents: they get an environment of their own; else NULL */
};

/*
 * fork + exec; fd becomes descriptor 3 of the child, say (the writing end of a pipe) its standard error; 0 and 1 are /dev/null, all others are
 * closed. Both stay the caller's. -> pid or -1
 */
pid_t	 proc_spawn(const char *libexec, const struct proc_start *, int fd, int say);
/* How many descriptors this process may have; less, where the system does not give so many. */
void	 proc_files(unsigned n);
/* In the child, first thing: title, chdir, chroot, groups, ids, capabilities, rlimits, no_new_privs, not dumpable, PDEATHSIG. */
void	 proc_drop(int argc, char **argv, enum prog);

#endif
