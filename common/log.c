/*
 * log: see log.h.
 *
 * Text lines look like syslog's files do, for people and for pflogsumm. Lines wait in one buffer until log_flush; what the
 * device does not take at once is counted and dropped, and the count is logged when it takes lines again.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include "buf.h"
#include "log.h"

#define LINE_MAX_LOG	8192
#define GATHER_MAX	(256 * 1024)

static const struct {
	const char	*prefix;	/* in front of the text, as Postfix has it */
	const char	*name;		/* in JSON */
	int		 priority;
} levels[] = {
	[LOG_LV_ERROR] = { "error: ", "error", LOG_ERR },
	[LOG_LV_WARN] = { "warning: ", "warning", LOG_WARNING },
	[LOG_LV_INFO] = { "", "info", LOG_INFO },
	[LOG_LV_DEBUG] = { "", "debug", LOG_DEBUG },
};

static struct {
	const char	*name;
	int		 fd;
	enum log_kind	 kind;
	enum log_format	 format;
	enum log_level	 level;
	bool		 regular;
	int		 pid;		/* getpid() is a system call */
	struct buf	 out;
	unsigned long	 lost;
	bool		 console;	/* errors are also said on standard error */
	time_t		 second;	/* stamp is of this second */
	char		 stamp[32];
	char		 host[256];
} lg = { "postern", STDERR_FILENO, LOG_TO_STDERR, LOG_TEXT, LOG_LV_INFO, false, 0, BUF_INIT, 0, false, -1, "", "" };

static void
look_around(void)
{
	struct stat st;

	lg.pid = getpid();
	lg.regular = fstat(lg.fd, &st) == 0 && S_ISREG(st.st_mode);
}

static void
log_last_words(const char *text)
{
	log_error("fatal: %s", text);
	log_flush();
}

void
log_init(const char *name)
{
	lg.name = name;
	tzset();	/* before any chroot */
	if (gethostname(lg.host, sizeof lg.host - 1) == -1)
		strcpy(lg.host, "localhost");
	lg.host[strcspn(lg.host, ".")] = '\0';
	look_around();
	fatal_hook(log_last_words);
}

void
log_target(int fd, enum log_kind kind, enum log_format format)
{
	log_flush();
	if (lg.fd != STDERR_FILENO && lg.fd != fd)
		close(lg.fd);
	lg.fd = fd == -1 ? STDERR_FILENO : fd;
	lg.kind = kind;
	lg.format = format;
	look_around();
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

static size_t
utf8_len(const unsigned char *s)
{
	size_t n = s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;
	size_t i;

	for (i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* Nothing that ends a line or moves a terminal's cursor leaves here. */
static void
add_clean(struct buf *b, const char *text, bool json)
{
	const unsigned char *s = (const unsigned char *)text, *plain = s;
	size_t n;

	for (; *s != '\0'; s++) {
		if (*s >= 0x20 && *s < 0x7f && !(json && (*s == '"' || *s == '\\')))
			continue;
		if (*s > 0x7f && (n = utf8_len(s)) > 0 && !(s[0] == 0xc2 && s[1] < 0xa0)) {
			s += n - 1;
			continue;
		}
		buf_add(b, plain, (size_t)(s - plain));
		plain = s + 1;
		if (json)
			buf_addf(b, *s == '"' || *s == '\\' ? "\\%c" : "\\u%04x", *s);
		else
			buf_addf(b, "\\x%02x", *s);
	}
	buf_add(b, plain, (size_t)(s - plain));
}

static void
stamp(void)
{
	time_t now = time(NULL);
	struct tm tm;

	if (now == lg.second)
		return;
	lg.second = now;
	localtime_r(&now, &tm);
	strftime(lg.stamp, sizeof lg.stamp, lg.format == LOG_JSON ? "%Y-%m-%dT%H:%M:%S%z" : "%b %e %H:%M:%S", &tm);
}

/* In the buffer each syslog datagram ends with LF too; send_syslog cuts there. */
static void
add_line(const char *name, enum log_level level, const char *text)
{
	struct buf *b = &lg.out;

	stamp();
	if (lg.kind == LOG_TO_SYSLOG)
		buf_addf(b, "<%d>", LOG_MAIL | levels[level].priority);
	if (lg.format == LOG_JSON) {
		buf_addf(b, "{\"time\":\"%s\",\"host\":\"%s\",\"program\":\"%s\",\"pid\":%d,\"level\":\"%s\",\"message\":\"",
		    lg.stamp, lg.host, name, lg.pid, levels[level].name);
		add_clean(b, text, true);
		buf_adds(b, "\"}\n");
		return;
	}
	if (lg.kind == LOG_TO_SYSLOG)	/* the daemon adds the host */
		buf_addf(b, "%s postern/%s[%d]: %s", lg.stamp, name, lg.pid, levels[level].prefix);
	else
		buf_addf(b, "%s %s postern/%s[%d]: %s", lg.stamp, lg.host, name, lg.pid, levels[level].prefix);
	add_clean(b, text, false);
	buf_adds(b, "\n");
}

/* Whoever waits at a terminal for the start. */
static void
say_too(const char *name, const char *text)
{
	struct buf b = BUF_INIT;
	ssize_t n;

	buf_adds(&b, "posternd: ");
	if (strcmp(name, "master") != 0)
		buf_addf(&b, "%s: ", name);
	add_clean(&b, text, false);
	buf_adds(&b, "\n");
	do
		n = write(STDERR_FILENO, buf_data(&b), b.len);
	while (n == -1 && errno == EINTR);
	buf_free(&b);
}

static void __attribute__((format(printf, 3, 0)))
vlog(const char *name, enum log_level level, const char *fmt, va_list ap)
{
	char text[LINE_MAX_LOG];
	int saved = errno;

	if (level <= lg.level) {
		vsnprintf(text, sizeof text, fmt, ap);
		add_line(name, level, text);
		if (lg.console && level == LOG_LV_ERROR && lg.kind != LOG_TO_STDERR)
			say_too(name, text);
		if (lg.out.len > GATHER_MAX)
			log_flush();
	}
	errno = saved;
}

/* ---- leaving ---- */

static void
send_syslog(const char *p, size_t len)
{
	const char *nl;

	for (; len > 0 && (nl = memchr(p, '\n', len)) != NULL; len -= (size_t)(nl + 1 - p), p = nl + 1)
		if (send(lg.fd, p, (size_t)(nl - p), MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
			lg.lost++;
}

static size_t
count_lines(const char *p, size_t len)
{
	size_t n = 0;

	while (len-- > 0)
		n += *p++ == '\n';
	return n;
}

/* A pipe or terminal that is full would block us: ask first, and write no more than it must take at once. */
static size_t
write_some(const char *p, size_t len)
{
	struct pollfd pfd = { lg.fd, POLLOUT, 0 };
	ssize_t n;

	if (!lg.regular) {
		if (len > PIPE_BUF) {
			for (len = PIPE_BUF; len > 0 && p[len - 1] != '\n'; len--)
				;
			len = len > 0 ? len : PIPE_BUF;
		}
		if (poll(&pfd, 1, 0) != 1 || !(pfd.revents & POLLOUT))
			return 0;
	}
	n = write(lg.fd, p, len);
	return n > 0 ? (size_t)n : 0;
}

void
log_flush(void)
{
	const char *p;
	size_t len = lg.out.len, n;
	int saved = errno;

	if (len == 0)
		return;
	p = buf_str(&lg.out);
	if (lg.kind == LOG_TO_SYSLOG)
		send_syslog(p, len);
	else
		for (; len > 0; p += n, len -= n)
			if ((n = write_some(p, len)) == 0) {
				lg.lost += count_lines(p, len);
				break;
			}
	buf_reset(&lg.out, 64 * 1024);
	if (lg.lost > 0 && len == 0) {
		unsigned long lost = lg.lost;

		lg.lost = 0;
		log_warn("the log device did not take %lu lines", lost);
	}
	errno = saved;
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
