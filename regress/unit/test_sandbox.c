/* links: */
/*
 * test_sandbox: what each program may and may not ask of the kernel, tried in a child that has entered its sandbox.
 */
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>
#include "program/sandbox.h"
#include "test.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define FILTERED false		/* such a build has no filter: its run-time needs more */
#else
#define FILTERED true
#endif

static long
try_write(void)
{
	return open("/tmp/postern-sandbox-test", O_WRONLY | O_CREAT, 0600);
}

static long
try_truncate(void)
{
	return open("/dev/null", O_RDONLY | O_TRUNC);
}

static long
try_read(void)
{
	return open("/dev/null", O_RDONLY);
}

static long
try_unix(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static long
try_inet(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static long
try_fork(void)
{
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static void *
nothing(void *arg)
{
	return arg;
}

static long
try_thread(void)
{
	pthread_t t;

	errno = pthread_create(&t, NULL, nothing, NULL);
	return errno == 0 ? pthread_join(t, NULL) : -1;
}

static long
try_write_and_run(void)
{
	return mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}

static long
try_kill_parent(void)
{
	return syscall(SYS_tgkill, getppid(), getppid(), 0);
}

static long
try_kill_self(void)
{
	return syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), 0);
}

static long
try_exec(void)
{
	return execl("/bin/true", "true", (char *)NULL);
}

static long
try_ptrace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

enum { DONE, REFUSED = EPERM, KILLED = 256 };

/* -> DONE, the errno, or KILLED: ended by SIGSYS. */
static int
tried(enum prog prog, long (*what)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		sandbox_enter(prog);
		_exit(what() == -1 ? errno : DONE);
	}
	if (pid == -1 || waitpid(pid, &status, 0) != pid)
		return -1;
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGSYS ? KILLED : -1;
	return WEXITSTATUS(status);
}

static const struct {
	enum prog	 prog;
	long		(*what)(void);
	int		 want;
} cases[] = {
	{ PROG_LISTENER, try_read, REFUSED }, { PROG_LISTENER, try_inet, REFUSED }, { PROG_LISTENER, try_unix, REFUSED },
	{ PROG_LISTENER, try_thread, REFUSED }, { PROG_LISTENER, try_kill_self, DONE },
	{ PROG_LOOKUP, try_read, DONE }, { PROG_LOOKUP, try_write, REFUSED }, { PROG_LOOKUP, try_truncate, REFUSED },
	{ PROG_LOOKUP, try_inet, REFUSED }, { PROG_LOOKUP, try_unix, DONE },
	{ PROG_RESOLVER, try_read, REFUSED }, { PROG_RESOLVER, try_unix, REFUSED },
	{ PROG_RESOLVER, try_write, REFUSED }, { PROG_RESOLVER, try_inet, DONE }, { PROG_RESOLVER, try_thread, DONE },
	{ PROG_QUEUE, try_read, DONE }, { PROG_QUEUE, try_inet, REFUSED }, { PROG_QUEUE, try_thread, DONE },
	{ PROG_DELIVER, try_read, REFUSED }, { PROG_DELIVER, try_inet, DONE }, { PROG_DELIVER, try_unix, REFUSED },
	{ PROG_AGENT, try_read, DONE }, { PROG_AGENT, try_inet, REFUSED },
};

int
main(void)
{
	static const enum prog all[] = { PROG_LISTENER, PROG_LOOKUP, PROG_RESOLVER, PROG_QUEUE, PROG_DELIVER, PROG_AGENT };

	TEST_INT(tried(PROG_LISTENER, try_kill_self), DONE);
	for (size_t i = 0; FILTERED && i < sizeof(cases) / sizeof(cases[0]); i++)
		TEST_INT(tried(cases[i].prog, cases[i].what), cases[i].want);
	for (size_t i = 0; FILTERED && i < sizeof(all) / sizeof(all[0]); i++) {
		TEST_INT(tried(all[i], try_fork), REFUSED);
		TEST_INT(tried(all[i], try_write_and_run), REFUSED);
		TEST_INT(tried(all[i], try_kill_parent), REFUSED);
		TEST_INT(tried(all[i], try_exec), KILLED);
		TEST_INT(tried(all[i], try_ptrace), KILLED);
	}
	return test_end("sandbox");
}
