/*
 * log: see log.h.
 *
 * Lines wait in one buffer until log_flush, and longer while the device takes none: a syslog that is restarted gets them when it is there
 * again. What there is no room for is counted and dropped, and the count is logged when the device takes lines again.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/log.h"
#include "base/log_line.h"

#define GATHER_MAX	(256 * 1024)	/* then it leaves before the turn's end */
#define HOLD_MAX	(1024 * 1024)	/* waits for a device that takes none */
#define FULL_MS		10		/* until a device that is full is tried again */
#define BROKEN_MS	1000		/* until one that is gone is */
#define LAST_TRIES	100		/* of FULL_MS, for last words */

static struct {
	const char	*name;
	int		 fd;
	bool		 records;	/* fd is a pipe to the parent */
	struct log_style style;
	enum log_level	 level;
	bool		 regular;
	int		 pid;		/* getpid() is a system call */
	struct buf	 out;
	unsigned long	 lost;
	bool		 console;	/* errors are also said on standard error */
	int		(*reopen)(void);
	uint64_t	 broken;	/* since when, or when it was last tried; ms, 0: it is not */
	char		 host[256];
} lg = { .name = "postern", .fd = STDERR_FILENO, .style = { LOG_TO_STDERR, LOG_TEXT, "" }, .level = LOG_LV_INFO };

static void
look_around(void)
{
	struct stat st;

	lg.pid = getpid();
	lg.regular = fstat(lg.fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* Who dies may wait a moment for a device that is full. */
static void
log_last_words(const char *text)
{
	int i;

	log_error("fatal: %s", text);
	for (i = 0; i < LAST_TRIES && log_flush() == FULL_MS; i++)
		poll(NULL, 0, FULL_MS);
}

void
log_init(const char *name)
{
	lg.name = name;
	tzset();	/* before any chroot */
	if (gethostname(lg.host, sizeof lg.host - 1) == -1)
		strcpy(lg.host, "localhost");
	lg.host[strcspn(lg.host, ".")] = '\0';
	lg.style.host = lg.host;
	look_around();
	fatal_hook(log_last_words);
}

void
log_target(int fd, enum log_kind kind, enum log_format format)
{
	log_flush();
	if (lg.fd > STDERR_FILENO && lg.fd != fd)
		close(lg.fd);
	lg.fd = fd;
	lg.style.kind = kind;
	lg.style.format = format;
	lg.broken = 0;
	look_around();
}

void
log_to_parent(void)
{
	lg.records = true;
}

void
log_reopen(int (*fn)(void))
{
	lg.reopen = fn;
}

void
log_console(bool on)
{
	lg.console = on;
}

void
log_level(enum log_level level)
{
	lg.level = level;
}

/* ---- one line ---- */

/* Whoever waits at a terminal for the start. */
static void
say_too(const char *name, const char *text, size_t len)
{
	struct buf b = BUF_INIT;
	ssize_t n;

	buf_adds(&b, "posternd: ");
	if (strcmp(name, "master") != 0)
		buf_addf(&b, "%s: ", name);
	log_text_add(&b, text, len, false);
	buf_adds(&b, "\n");
	do
		n = write(STDERR_FILENO, buf_data(&b), b.len);
	while (n == -1 && errno == EINTR);
	buf_free(&b);
}

void
log_for(const struct log_from *from, enum log_level level, const char *text, size_t len)
{
	if (level > lg.level)
		return;
	if (lg.console && level == LOG_LV_ERROR && lg.style.kind != LOG_TO_STDERR)
		say_too(from->name, text, len);
	if (lg.out.len > GATHER_MAX)
		log_flush();
	if (lg.out.len > HOLD_MAX)
		lg.lost++;
	else if (lg.records)
		log_record_put(&lg.out, &(struct log_record){ log_clock(), level, from->name, text, strlen(from->name), len });
	else
		log_line_add(&lg.out, &lg.style, from, level, text, len);
}

static void __attribute__((format(printf, 3, 0)))
vlog(const char *name, enum log_level level, const char *fmt, va_list ap)
{
	char text[LOG_TEXT_MAX];
	int saved = errno;

	if (level <= lg.level) {
		vsnprintf(text, sizeof text, fmt, ap);
		log_for(&(struct log_from){ name, lg.pid }, level, text, strlen(text));
	}
	errno = saved;
}

/* ---- leaving ---- */

/* One line is one datagram, without its LF. -> bytes of the buffer that have left, 0 and errno */
static size_t
write_syslog(const char *p, size_t len)
{
	const char *nl = memchr(p, '\n', len);
	size_t n = nl != NULL ? (size_t)(nl - p) : len;

	if (send(lg.fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL) == -1) {
		if (errno != EMSGSIZE)
			return 0;
		lg.lost++;		/* it never will be taken */
	}
	return nl != NULL ? n + 1 : n;
}

/* A pipe or terminal that is full would block us: ask first, and write no more than it must take at once. */
static size_t
write_some(const char *p, size_t len)
{
	struct pollfd pfd = { lg.fd, POLLOUT, 0 };
	ssize_t n;

	if (lg.style.kind == LOG_TO_SYSLOG)
		return write_syslog(p, len);
	if (!lg.regular && !lg.records) {
		if (len > PIPE_BUF) {
			for (len = PIPE_BUF; len > 0 && p[len - 1] != '\n'; len--)
				;
			len = len > 0 ? len : PIPE_BUF;
		}
		errno = EAGAIN;
		if (poll(&pfd, 1, 0) != 1 || !(pfd.revents & (POLLOUT | POLLERR)))
			return 0;
	}
	n = write(lg.fd, p, len);
	if (n == 0)
		errno = EAGAIN;
	return n > 0 ? (size_t)n : 0;
}

/* False: it takes nothing, and it is too early to ask for another. */
static bool
usable(void)
{
	uint64_t now;
	int fd;

	if (lg.fd != -1 && lg.broken == 0)
		return true;
	now = log_clock() / 1000000;
	if (lg.broken != 0 && now - lg.broken < BROKEN_MS)
		return false;
	lg.broken = now;
	if (lg.reopen != NULL && (fd = lg.reopen()) != -1) {
		if (lg.fd > STDERR_FILENO)
			close(lg.fd);
		lg.fd = fd;
		look_around();
	}
	return lg.fd != -1;
}

/* -> 0: it took all, EAGAIN: it is full, other errno: it is gone */
static int
write_out(void)
{
	size_t n;

	for (; lg.out.len > 0; buf_drain(&lg.out, n)) {
		if ((n = write_some((const char *)buf_data(&lg.out), lg.out.len)) > 0)
			continue;
		return errno == EINTR || errno == EWOULDBLOCK || errno == ENOBUFS ? EAGAIN : errno;
	}
	return 0;
}

unsigned
log_flush(void)
{
	int saved = errno, error;
	unsigned ms = 0;

	if (lg.out.len == 0)
		return 0;
	if (!usable())
		ms = BROKEN_MS;
	else if ((error = write_out()) == EAGAIN)
		ms = FULL_MS;
	else if (error != 0) {
		if (lg.broken == 0)
			lg.broken = 1;	/* asked for another at once */
		ms = FULL_MS;
	} else {
		unsigned long lost = lg.lost;

		lg.broken = 0;
		lg.lost = 0;
		buf_reset(&lg.out, 64 * 1024);
		if (lost > 0)
			log_warn("the log device did not take %lu lines", lost);
	}
	errno = saved;
	return ms;
}

/* ---- the front ---- */

#define FRONT(name, level, fmt) do { \
	va_list ap; \
	va_start(ap, fmt); \
	vlog(name, level, fmt, ap); \
	va_end(ap); \
} while (0)

void
log_as(const char *name, enum log_level level, const char *fmt, ...)
{
	FRONT(name, level, fmt);
}

void
log_error(const char *fmt, ...)
{
	FRONT(lg.name, LOG_LV_ERROR, fmt);
}

void
log_warn(const char *fmt, ...)
{
	FRONT(lg.name, LOG_LV_WARN, fmt);
}

void
log_info(const char *fmt, ...)
{
	FRONT(lg.name, LOG_LV_INFO, fmt);
}

void
log_debug(const char *fmt, ...)
{
	FRONT(lg.name, LOG_LV_DEBUG, fmt);
}
