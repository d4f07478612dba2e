/*
 * start: the start, as whoever typed the command sees it: without -d posternd goes to the background, but the command ends only
 * when everything is ready, with 0, or when it is known why it cannot be, with the daemon's status.
 *
 * Called by main.c, and by kids.c when all programs are ready or one is not to be had. The first process is a messenger: it copies
 * to the terminal what the daemon and its programs have to say until then. Owns the pipe to it.
 */
#include <sys/syscall.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/log.h"
#include "parent/parent.h"
#include "base/xmalloc.h"

static int ready = -1;		/* the end of the messenger's pipe that says so; -1: nobody waits */

void
start_clean(void)
{
	int fd;

	do
		if ((fd = open("/dev/null", O_RDWR)) == -1)
			exit(EX_OSERR);
	while (fd <= STDERR_FILENO);
	if (syscall(SYS_close_range, STDERR_FILENO + 1U, ~0U, 0U) == -1)
		for (fd = STDERR_FILENO + 1; fd < 65536; fd++)
			close(fd);
}

/* ---- the messenger ---- */

/* False: nothing comes any more. */
static bool
copy(int fd)
{
	char text[4096];
	ssize_t n = read(fd, text, sizeof text);

	if (n > 0 && write(STDERR_FILENO, text, (size_t)n) == -1)
		return false;
	return n > 0 || (n == -1 && errno == EINTR);
}

static int
status_of(pid_t daemon)
{
	int status;

	while (waitpid(daemon, &status, 0) == -1)
		if (errno != EINTR)
			return EX_OSERR;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE;
}

/* said: standard error of the daemon; done: one byte when it is ready, or its end. */
static void __attribute__((noreturn))
messenger(pid_t daemon, int said, int done)
{
	struct pollfd pfd[2] = { { done, POLLIN, 0 }, { said, POLLIN, 0 } };
	char byte;
	ssize_t n;

	do {
		while (poll(pfd, 2, -1) == -1 && errno == EINTR)
			;
		if (pfd[1].revents != 0 && !copy(said))
			pfd[1].fd = -1;
	} while (pfd[0].revents == 0);
	n = read(done, &byte, 1);
	if (fcntl(said, F_SETFL, O_NONBLOCK) == 0)	/* what was said before that */
		while (copy(said))
			;
	_exit(n == 1 ? 0 : status_of(daemon));
}

void
start_detach(void)
{
	int said[2], done[2];
	pid_t pid;

	if (pipe2(said, O_CLOEXEC) == -1 || pipe2(done, O_CLOEXEC) == -1 || (pid = fork()) == -1)
		start_fail(EX_OSERR, "cannot go to the background: %s", strerror(errno));
	if (pid > 0) {
		close(said[1]);
		close(done[1]);
		messenger(pid, said[0], done[0]);
	}
	close(said[0]);
	close(done[0]);
	ready = done[1];
	if (setsid() == -1 || dup2(said[1], STDERR_FILENO) == -1)
		start_fail(EX_OSERR, "cannot go to the background: %s", strerror(errno));
	close(said[1]);
	start_silence(STDIN_FILENO);
	start_silence(STDOUT_FILENO);
}

void
start_silence(int to)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd == -1 || dup2(fd, to) == -1)
		fatal("/dev/null");
	close(fd);
}

/* ---- how it ended ---- */

void
start_ready(void)
{
	log_console(false);
	if (ready == -1)
		return;
	start_silence(STDERR_FILENO);
	/* A messenger that was stopped meanwhile is no reason to stop as well. */
	if (write(ready, "", 1) == -1)
		log_debug("nobody waits for the start any more");
	close(ready);
	ready = -1;
}

void
start_fail(int status, const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) == -1)
		text = xstrdup(fmt);
	va_end(ap);
	log_error("%s", text);
	log_flush();
	exit(status);
}
