/*
 * parent_conf: loading, checking and handing on the configuration. A file with an error changes nothing: at start
 * posternd ends with 78, at a reload the generation in force stays.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "log.h"
#include "parent.h"

struct conf *
parent_conf_load(struct parent *p, struct buf *text, struct buf *errors)
{
	struct conf_errors e = { NULL, 0, 0 };
	struct conf *c = conf_load(p->file, p->define, p->ndefine, text, &e);
	size_t i;

	for (i = 0; i < e.n; i++)
		buf_addf(errors, "%s%s\n", e.v[i].warning ? "warning: " : "", e.v[i].text);
	conf_errors_free(&e);
	return c;
}

int
parent_conf_fd(const struct parent *p)
{
	int fd = memfd_create("postern.conf", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1 || write(fd, buf_data(&p->text), p->text.len) != (ssize_t)p->text.len ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == -1)
		fatal("cannot make the children's copy of the configuration");
	return fd;
}

static int
syslog_fd(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), saved;

	if (fd == -1 || connect(fd, (const struct sockaddr *)&sun, sizeof sun) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* In the background standard error is nobody's. */
static int
stderr_fd(const struct parent *p)
{
	int fd = p->foreground ? fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3) : open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (fd == -1)
		fatal("dup of standard error");
	return fd;
}

/* -> descriptor, or -1 and errno */
static int
open_log(const struct conf *c, enum log_kind kind)
{
	if (kind == LOG_TO_SYSLOG)
		return syslog_fd();
	return open(c->log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
}

const char *
parent_log_bad(const struct parent *p, const struct conf *c)
{
	static char why[512];
	int fd;

	if (p->foreground || c->log_kind != LOG_TO_FILE)	/* a syslog may come later */
		return NULL;
	if ((fd = open_log(c, LOG_TO_FILE)) != -1) {
		close(fd);
		return NULL;
	}
	snprintf(why, sizeof why, "cannot open the log %s: %s", c->log_path, strerror(errno));
	return why;
}

/* A new descriptor of what the log goes to; standard error where the chosen one is not to be had, since mail must flow. */
int
parent_log_fd(const struct parent *p, enum log_kind *kind)
{
	int fd;

	*kind = p->foreground ? LOG_TO_STDERR : p->conf->log_kind;
	if (*kind == LOG_TO_STDERR)
		return stderr_fd(p);
	if ((fd = open_log(p->conf, *kind)) != -1)
		return fd;
	log_warn("cannot open the log (%s): %s", *kind == LOG_TO_FILE ? p->conf->log_path : "/dev/log", strerror(errno));
	*kind = LOG_TO_STDERR;
	return stderr_fd(p);
}

/* When and what a reload cannot change: it says so and keeps the old value. */
static const char *
fixed(const struct parent *p, const struct conf *c)
{
	if (p->stop != UP)
		return "posternd is stopping";
	if (strcmp(p->conf->spool, c->spool) != 0)
		return "spool cannot change while posternd runs: restart it";
	if (strcmp(p->conf->runtime, c->runtime) != 0)
		return "runtime cannot change while posternd runs: restart it";
	if (p->conf->listeners != c->listeners)
		return "listeners cannot change while posternd runs: restart it";
	return parent_log_bad(p, c);
}

/* A line of the log for each line. */
static void
log_refused(const char *errors)
{
	size_t n;

	log_error("reload refused, the old configuration stays:");
	for (; *errors != '\0'; errors += n + (errors[n] == '\n')) {
		n = strcspn(errors, "\n");
		log_error("%.*s", (int)n, errors);
	}
}

const char *
parent_reload(struct parent *p, struct buf *errors)
{
	struct buf text = BUF_INIT;
	struct conf *c = parent_conf_load(p, &text, errors), *old = p->conf;
	const char *why = NULL;

	if (c == NULL || (why = fixed(p, c)) != NULL || (why = parent_accounts(p)) != NULL || (why = parent_rebind(p, c)) != NULL) {
		if (why != NULL)
			buf_addf(errors, "%s\n", why);
		if (c != NULL)
			conf_free(c);
		buf_free(&text);
		log_refused(buf_str(errors));
		return buf_str(errors);
	}
	c->generation = ++p->generation;
	buf_free(&p->text);
	p->text = text;
	p->conf = c;
	kids_conf(p);
	conf_free(old);
	log_info("configuration reloaded from %s (generation %u)", p->file, p->generation);
	return NULL;
}
