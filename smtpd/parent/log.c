/*
 * log: where the log goes. The parent alone holds it; the children's lines come through lines.c.
 *
 * Opened at the start, and anew at each reload, also one that is refused, and at SIGUSR1: so a file that was moved away is left. What cannot be opened
 * then leaves the old one in use. A target that takes nothing any more, as a syslog that is restarted, is asked for once a second (log.c).
 */
#include <sys/socket.h>
#include <sys/un.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "parent/parent.h"
#include "base/trust.h"

#define SYSLOG	"/dev/log"

static const struct parent *of;		/* for reopen */

static int
syslog_fd(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = SYSLOG };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), saved;

	if (fd == -1 || connect(fd, (const struct sockaddr *)&sun, sizeof sun) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* -> descriptor, or -1 and why; whoever may write to the file otherwise is the administrator's affair */
static int
open_target(enum log_kind kind, const struct conf *c, const char **why)
{
	int fd;

	if (kind == LOG_TO_FILE)
		return trust_open(c->log_path, O_WRONLY | O_APPEND | O_CREAT, 0640, TRUST_ANYONE, why);
	if ((fd = kind == LOG_TO_SYSLOG ? syslog_fd() : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)) == -1)
		*why = strerror(errno);
	return fd;
}

static enum log_kind
kind_of(const struct parent *p)
{
	return p->foreground ? LOG_TO_STDERR : p->conf->log_kind;
}

static int
reopen(void)
{
	const char *why;

	return open_target(kind_of(of), of->conf, &why);
}

const char *
parent_log_bad(const struct parent *p, const struct conf *c)
{
	static char text[512];
	const char *why;
	int fd;

	if (p->foreground || c->log_kind != LOG_TO_FILE)	/* a syslog may come later */
		return NULL;
	if ((fd = open_target(LOG_TO_FILE, c, &why)) != -1) {
		close(fd);
		return NULL;
	}
	snprintf(text, sizeof text, "cannot open the log %s: %s", c->log_path, why);
	return text;
}

void
parent_log_open(struct parent *p)
{
	enum log_kind kind = kind_of(p);
	const char *why;
	int fd = open_target(kind, p->conf, &why);

	if (fd != -1 || of == NULL)
		log_target(fd, kind, p->conf->log_format);
	log_level(p->verbose ? LOG_LV_DEBUG : p->conf->log_level);
	if (fd == -1)
		log_warn("cannot open the log (%s): %s; it is tried again", kind == LOG_TO_FILE ? p->conf->log_path : SYSLOG, why);
	of = p;
	log_reopen(reopen);
}
