/*
 * sandbox: see sandbox.h. What a program does is said in four groups: what every loop needs, the network, files, threads.
 *
 * What is not in a list fails with EPERM. Of some calls only a part is in it (guards): a file is opened to read where nothing is
 * written, a thread is made and no process, no memory is both written and run, signals go to oneself, a socket is of a family the
 * program has business with. What only a captured program would try (forbidden) ends it with SIGSYS, which the parent logs.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>
#include <errno.h>
#include <seccomp.h>
#include <stddef.h>
#include "base/log.h"
#include "program/sandbox.h"

#define BASE	1	/* every program */
#define ACCEPT	2	/* takes connections from sockets it was given */
#define INET	4	/* makes internet sockets */
#define LOCAL	8	/* makes AF_UNIX sockets (name services) */
#define READS	16	/* opens files to read */
#define WRITES	32	/* makes, renames, removes and syncs files */
#define THREADS	64
#define MEMFD	128

static const struct {
	unsigned	 group;
	const char	*call;
} calls[] = {
	{ BASE, "read" }, { BASE, "write" }, { BASE, "readv" }, { BASE, "writev" }, { BASE, "pread64" }, { BASE, "close" },
	{ BASE, "fstat" }, { BASE, "newfstatat" }, { BASE, "lseek" }, { BASE, "munmap" }, { BASE, "mremap" },
	{ BASE, "madvise" }, { BASE, "brk" }, { BASE, "rt_sigaction" }, { BASE, "rt_sigprocmask" },
	{ BASE, "rt_sigreturn" }, { BASE, "sigaltstack" }, { BASE, "restart_syscall" }, { BASE, "exit" }, { BASE, "exit_group" },
	{ BASE, "futex" }, { BASE, "clock_gettime" }, { BASE, "clock_getres" }, { BASE, "clock_nanosleep" }, { BASE, "nanosleep" },
	{ BASE, "gettimeofday" }, { BASE, "time" }, { BASE, "getpid" }, { BASE, "gettid" }, { BASE, "getppid" }, { BASE, "getuid" },
	{ BASE, "geteuid" }, { BASE, "getgid" }, { BASE, "getegid" }, { BASE, "getrandom" }, { BASE, "epoll_create1" },
	{ BASE, "epoll_create" }, { BASE, "epoll_ctl" }, { BASE, "epoll_wait" }, { BASE, "epoll_pwait" }, { BASE, "poll" },
	{ BASE, "ppoll" }, { BASE, "select" }, { BASE, "pselect6" }, { BASE, "recvmsg" }, { BASE, "sendmsg" }, { BASE, "recvfrom" },
	{ BASE, "sendto" }, { BASE, "sendmmsg" }, { BASE, "recvmmsg" }, { BASE, "getsockopt" }, { BASE, "setsockopt" },
	{ BASE, "getsockname" }, { BASE, "getpeername" }, { BASE, "shutdown" }, { BASE, "socketpair" }, { BASE, "fcntl" },
	{ BASE, "dup" }, { BASE, "dup2" }, { BASE, "dup3" }, { BASE, "pipe2" }, { BASE, "eventfd2" }, { BASE, "timerfd_create" },
	{ BASE, "timerfd_settime" }, { BASE, "sched_yield" }, { BASE, "sched_getaffinity" }, { BASE, "uname" },
	{ BASE, "sysinfo" }, { BASE, "getrlimit" }, { BASE, "rseq" }, { BASE, "set_robust_list" }, { BASE, "membarrier" },
	{ BASE, "umask" },
	{ ACCEPT, "accept" }, { ACCEPT, "accept4" },
	{ INET, "connect" }, { INET, "bind" },
	{ LOCAL, "connect" },
	{ READS, "stat" }, { READS, "lstat" }, { READS, "access" }, { READS, "faccessat" },
	{ READS, "faccessat2" }, { READS, "statx" }, { READS, "getdents64" }, { READS, "readlink" }, { READS, "readlinkat" },
	{ READS, "fstatfs" }, { READS, "statfs" }, { READS, "getcwd" }, { READS, "fadvise64" }, { READS, "flock" },
	{ WRITES, "pwrite64" }, { WRITES, "pwritev" }, { WRITES, "pwritev2" }, { WRITES, "fsync" }, { WRITES, "fdatasync" },
	{ WRITES, "sync_file_range" }, { WRITES, "syncfs" }, { WRITES, "rename" }, { WRITES, "renameat" }, { WRITES, "renameat2" },
	{ WRITES, "link" }, { WRITES, "linkat" }, { WRITES, "unlink" }, { WRITES, "unlinkat" }, { WRITES, "mkdir" },
	{ WRITES, "mkdirat" }, { WRITES, "rmdir" }, { WRITES, "ftruncate" }, { WRITES, "fallocate" }, { WRITES, "fchmod" },
	{ WRITES, "fchmodat" }, { WRITES, "chmod" }, { WRITES, "utimensat" }, { WRITES, "copy_file_range" }, { WRITES, "creat" },
	{ THREADS, "set_tid_address" }, { THREADS, "sched_setscheduler" },
	{ THREADS, "sched_getscheduler" }, { THREADS, "sched_getparam" },
	{ MEMFD, "memfd_create" }, { MEMFD, "ftruncate" }, { MEMFD, "pwrite64" },
};

/* A call that is allowed while its argument, masked, has this value. SELF stands for the process's own id. */
#define SELF	((uint64_t)-1)
static const struct guard {
	unsigned	 group, not_group;
	const char	*call;
	unsigned	 arg;
	uint64_t	 mask, value;
} guards[] = {
	{ BASE, 0,		"mmap",		2, PROT_EXEC, 0 },
	{ BASE, 0,		"mmap",		2, PROT_WRITE, 0 },
	{ BASE, 0,		"mprotect",	2, PROT_EXEC, 0 },
	{ BASE, 0,		"mprotect",	2, PROT_WRITE, 0 },
	{ BASE, 0,		"tgkill",	0, UINT64_MAX, SELF },
	{ READS, WRITES,	"open",		1, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY },
	{ READS, WRITES,	"openat",	2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY },
	{ WRITES, 0,		"open",		0, 0, 0 },
	{ WRITES, 0,		"openat",	0, 0, 0 },
	{ THREADS, 0,		"clone",	0, CLONE_THREAD, CLONE_THREAD },
	{ INET, 0,		"socket",	0, UINT64_MAX, AF_INET },
	{ INET, 0,		"socket",	0, UINT64_MAX, AF_INET6 },
	{ LOCAL, 0,		"socket",	0, UINT64_MAX, AF_UNIX },
};

static const char *const forbidden[] = {
	"execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "bpf", "mount", "umount2", "pivot_root", "chroot",
	"unshare", "setns", "keyctl", "add_key", "request_key", "userfaultfd", "perf_event_open", "init_module", "finit_module",
	"delete_module", "kexec_load", "kexec_file_load", "open_by_handle_at", "reboot", "swapon", "swapoff", "iopl", "ioperm",
	"setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "capset", "quotactl", "acct",
};

static const unsigned may[PROG__MAX] = {
	[PROG_LISTENER] = BASE | ACCEPT,
	[PROG_LOOKUP] = BASE | LOCAL | READS,
	[PROG_RESOLVER] = BASE | INET | THREADS,
	[PROG_QUEUE] = BASE | ACCEPT | READS | WRITES | THREADS,
	[PROG_DELIVER] = BASE | INET | MEMFD,
	[PROG_AGENT] = BASE | READS | WRITES | THREADS,	/* syncs of one batch are asked for together */
};

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__
#endif
#endif

#ifndef __SANITIZE_ADDRESS__

/* A call that this architecture lacks needs no rule. */
static void
rule(scmp_filter_ctx ctx, uint32_t action, const char *name, unsigned n, const struct scmp_arg_cmp *arg)
{
	int nr = seccomp_syscall_resolve_name(name), r;

	if (nr == __NR_SCMP_ERROR)
		return;
	if ((r = seccomp_rule_add_array(ctx, action, nr, n, arg)) != 0 && r != -EEXIST)
		fatalx("seccomp: %s: error %d", name, -r);
}

static void
guard(scmp_filter_ctx ctx, const struct guard *g)
{
	uint64_t value = g->value == SELF ? (uint64_t)getpid() : g->value;
	struct scmp_arg_cmp is = SCMP_CMP64(g->arg, SCMP_CMP_MASKED_EQ, g->mask, value);

	rule(ctx, SCMP_ACT_ALLOW, g->call, g->mask == 0 ? 0 : 1, &is);
}

void
sandbox_enter(enum prog prog)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	size_t i;

	if (ctx == NULL)
		fatalx("seccomp_init");
	for (i = 0; i < sizeof calls / sizeof calls[0]; i++)
		if (may[prog] & calls[i].group)
			rule(ctx, SCMP_ACT_ALLOW, calls[i].call, 0, NULL);
	for (i = 0; i < sizeof guards / sizeof guards[0]; i++)
		if ((may[prog] & guards[i].group) && !(may[prog] & guards[i].not_group))
			guard(ctx, &guards[i]);
	for (i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++)
		rule(ctx, SCMP_ACT_KILL_PROCESS, forbidden[i], 0, NULL);
	/* Its flags lie in memory, where no filter sees them; the C library then uses clone. */
	rule(ctx, SCMP_ACT_ERRNO(ENOSYS), "clone3", 0, NULL);
	if (seccomp_load(ctx) != 0)
		fatal("seccomp_load");
	seccomp_release(ctx);
}

#else

void
sandbox_enter(enum prog prog)
{
	log_debug("sanitizer build: no seccomp filter for %s (groups %x)", prog_name(prog), may[prog]);
	(void)calls;
	(void)guards;
	(void)forbidden;
}

#endif
