/*
 * parent_conf: loading, checking and handing on the configuration. A file with an error changes nothing: at start
 * posternd ends with 78, at a reload the generation in force stays.
 */
#include <sys/mman.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "parent/parent.h"

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
		parent_log_open(p);
		log_refused(buf_str(errors));
		return buf_str(errors);
	}
	c->generation = ++p->generation;
	buf_free(&p->text);
	p->text = text;
	p->conf = c;
	parent_log_open(p);
	kids_conf(p);
	conf_free(old);
	log_info("configuration reloaded from %s (generation %u)", p->file, p->generation);
	return NULL;
}
