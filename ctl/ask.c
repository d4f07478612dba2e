/*
 * ask: finds the daemon's sockets and speaks the control protocol.
 *
 * Called by posternctl and sendmail. A command is one line, "text" or "json" and the words, separated by tabs. Lines of
 * the answer begin with ' ' (standard output), '!' (standard error) or, the last one, '=' and the exit code. What
 * fails is said by the caller (connecting) or here (a broken answer); nothing here waits for longer than the daemon does.
 */
#include <sys/socket.h>
#include <sys/un.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#include "mail/addr.h"
#include "ask.h"
#include "base/buf.h"

const char *
runtime_dir(void)
{
	const char *dir = getenv("POSTERN_RUNTIME");

	return dir != NULL && *dir != '\0' ? dir : POSTERN_RUNTIME;
}

int
runtime_connect(const char *dir, const char *name)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd, dirfd = -1, n, saved;

	/* A path that does not fit into sun_path is reached through a descriptor of its directory. */
	n = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/%s", dir, name);
	if (n >= (int)sizeof(sun.sun_path)) {
		if ((dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC)) == -1)
			return -1;
		snprintf(sun.sun_path, sizeof(sun.sun_path), "/proc/self/fd/%d/%s", dirfd, name);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd != -1 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		fd = -1;
	}
	if (dirfd != -1)
		close(dirfd);
	return fd;
}

static bool
send_command(int fd, enum ask_mode mode, char *const *words, int n)
{
	struct buf line = BUF_INIT;
	bool ok = true;
	ssize_t sent;

	buf_adds(&line, mode == ASK_JSON ? "json" : "text");
	for (int i = 0; i < n; i++) {
		buf_adds(&line, "\t");
		buf_adds(&line, words[i]);
	}
	buf_adds(&line, "\n");
	while (ok && line.len > 0) {
		sent = send(fd, buf_data(&line), line.len, MSG_NOSIGNAL);
		if (sent > 0)
			buf_drain(&line, (size_t)sent);
		else
			ok = sent == -1 && errno == EINTR;
	}
	buf_free(&line);
	return ok;
}

/* Bytes of strangers' messages: on a terminal nothing of them moves its cursor or changes its title. */
static void
show_clean(const char *s)
{
	size_t n;

	while (*s != '\0') {
		n = (unsigned char)*s < 0xc2 ? 1 : (unsigned char)*s < 0xe0 ? 2 : (unsigned char)*s < 0xf0 ? 3 : 4;
		n = strnlen(s, n);
		if (*s == '\n' || *s == '\t' || utf8_clean(s, n))
			fwrite(s, 1, n, stdout);
		else {
			n = 1;
			printf("\\x%02x", (unsigned char)*s);
		}
		s += n;
	}
}

/* One line of the answer; -1: go on. */
static int
show_line(const char *line, enum ask_mode mode, bool terminal)
{
	switch (*line) {
	case ' ':
		if (mode != ASK_SILENT && terminal)
			show_clean(line + 1);
		else if (mode != ASK_SILENT)
			fputs(line + 1, stdout);
		return -1;
	case '!':
		fprintf(stderr, "%s: %s", getprogname(), line + 1);
		return -1;
	case '=':
		return atoi(line + 1) & 0xff;
	default:
		warnx("an answer that is not understood: %s", line);
		return EX_PROTOCOL;
	}
}

int
ask(int fd, enum ask_mode mode, char *const *words, int n)
{
	char *line = NULL;
	size_t size = 0;
	bool terminal = isatty(STDOUT_FILENO);
	int code = -1;
	FILE *f;

	if (!send_command(fd, mode, words, n) || (f = fdopen(fd, "r")) == NULL) {
		warn("the connection to Postern broke");
		close(fd);
		return EX_UNAVAILABLE;
	}
	while (code == -1 && getline(&line, &size, f) > 0)
		code = show_line(line, mode, terminal);
	if (code == -1) {
		warnx("Postern ended the connection before the answer was complete; ask again");
		code = EX_UNAVAILABLE;
	}
	free(line);
	fclose(f);
	if (fflush(stdout) != 0) {
		warn("standard output");
		return EX_IOERR;
	}
	return code;
}
