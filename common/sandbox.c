/*
 * sandbox: see sandbox.h. What a program does is said in four groups: what every loop needs, the network, files, threads.
 *
 * Nobody gets execve, ptrace, mount, keyctl, bpf, setuid and the like; nobody makes a socket of a family it has no business with.
 */
#include <sys/socket.h>
#include <errno.h>
#include <seccomp.h>
#include <stddef.h>
#include "log.h"
#include "sandbox.h"

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
	{ BASE, "fstat" }, { BASE, "newfstatat" }, { BASE, "lseek" }, { BASE, "mmap" }, { BASE, "munmap" }, { BASE, "mremap" },
	{ BASE, "mprotect" }, { BASE, "madvise" }, { BASE, "brk" }, { BASE, "rt_sigaction" }, { BASE, "rt_sigprocmask" },
	{ BASE, "rt_sigreturn" }, { BASE, "sigaltstack" }, { BASE, "restart_syscall" }, { BASE, "exit" }, { BASE, "exit_group" },
	{ BASE, "futex" }, { BASE, "clock_gettime" }, { BASE, "clock_getres" }, { BASE, "clock_nanosleep" }, { BASE, "nanosleep" },
	{ BASE, "gettimeofday" }, { BASE, "time" }, { BASE, "getpid" }, { BASE, "gettid" }, { BASE, "getppid" }, { BASE, "getuid" },
	{ BASE, "geteuid" }, { BASE, "getgid" }, { BASE, "getegid" }, { BASE, "getrandom" }, { BASE, "epoll_create1" },
	{ BASE, "epoll_create" }, { BASE, "epoll_ctl" }, { BASE, "epoll_wait" }, { BASE, "epoll_pwait" }, { BASE, "poll" },
	{ BASE, "ppoll" }, { BASE, "select" }, { BASE, "pselect6" }, { BASE, "recvmsg" }, { BASE, "sendmsg" }, { BASE, "recvfrom" },
	{ BASE, "sendto" }, { BASE, "sendmmsg" }, { BASE, "recvmmsg" }, { BASE, "getsockopt" }, { BASE, "setsockopt" },
	{ BASE, "getsockname" }, { BASE, "getpeername" }, { BASE, "shutdown" }, { BASE, "socketpair" }, { BASE, "fcntl" },
	{ BASE, "dup" }, { BASE, "dup2" }, { BASE, "dup3" }, { BASE, "pipe2" }, { BASE, "eventfd2" }, { BASE, "timerfd_create" },
	{ BASE, "timerfd_settime" }, { BASE, "tgkill" }, { BASE, "sched_yield" }, { BASE, "sched_getaffinity" }, { BASE, "uname" },
	{ BASE, "sysinfo" }, { BASE, "getrlimit" }, { BASE, "rseq" }, { BASE, "set_robust_list" }, { BASE, "membarrier" },
	{ BASE, "umask" },
	{ ACCEPT, "accept" }, { ACCEPT, "accept4" },
	{ INET, "connect" }, { INET, "bind" },
	{ LOCAL, "connect" },
	{ READS, "open" }, { READS, "openat" }, { READS, "stat" }, { READS, "lstat" }, { READS, "access" }, { READS, "faccessat" },
	{ READS, "faccessat2" }, { READS, "statx" }, { READS, "getdents64" }, { READS, "readlink" }, { READS, "readlinkat" },
	{ READS, "fstatfs" }, { READS, "statfs" }, { READS, "getcwd" }, { READS, "fadvise64" }, { READS, "flock" },
	{ WRITES, "pwrite64" }, { WRITES, "pwritev" }, { WRITES, "pwritev2" }, { WRITES, "fsync" }, { WRITES, "fdatasync" },
	{ WRITES, "sync_file_range" }, { WRITES, "syncfs" }, { WRITES, "rename" }, { WRITES, "renameat" }, { WRITES, "renameat2" },
	{ WRITES, "link" }, { WRITES, "linkat" }, { WRITES, "unlink" }, { WRITES, "unlinkat" }, { WRITES, "mkdir" },
	{ WRITES, "mkdirat" }, { WRITES, "rmdir" }, { WRITES, "ftruncate" }, { WRITES, "fallocate" }, { WRITES, "fchmod" },
	{ WRITES, "fchmodat" }, { WRITES, "chmod" }, { WRITES, "utimensat" }, { WRITES, "copy_file_range" }, { WRITES, "creat" },
	{ THREADS, "clone" }, { THREADS, "clone3" }, { THREADS, "set_tid_address" }, { THREADS, "sched_setscheduler" },
	{ THREADS, "sched_getscheduler" }, { THREADS, "sched_getparam" },
	{ MEMFD, "memfd_create" }, { MEMFD, "ftruncate" }, { MEMFD, "pwrite64" },
};

static const unsigned may[PROG__MAX] = {
	[PROG_LISTENER] = BASE | ACCEPT,
	[PROG_LOOKUP] = BASE | LOCAL | READS,
	[PROG_RESOLVER] = BASE | INET | LOCAL | READS | THREADS,
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

static void
allow(scmp_filter_ctx ctx, const char *name)
{
	int nr = seccomp_syscall_resolve_name(name), r;

	if (nr == __NR_SCMP_ERROR)	/* not on this architecture */
		return;
	if ((r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0)) != 0 && r != -EEXIST)
		fatalx("seccomp: %s: error %d", name, -r);
}

static void
allow_family(scmp_filter_ctx ctx, int family)
{
	struct scmp_arg_cmp is = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family, 0);

	if (seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, &is) != 0)
		fatalx("seccomp: socket");
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
			allow(ctx, calls[i].call);
	if (may[prog] & INET) {
		allow_family(ctx, AF_INET);
		allow_family(ctx, AF_INET6);
	}
	if (may[prog] & LOCAL)
		allow_family(ctx, AF_UNIX);
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
}

#endif
