/*
 * sockets: what is listened on: the configuration's addresses, submit.sock and control.sock. The parent binds and keeps the
 * sockets over restarts of children and over reloads; it never accepts.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/log.h"
#include "parent/parent.h"
#include "base/xmalloc.h"

#define BACKLOG 1024

static int
bind_inet(const struct conf_listen *l)
{
	int fd = socket(l->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	if (fd == -1)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == -1 ||
	    (l->sa.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == -1) ||
	    bind(fd, (const struct sockaddr *)&l->sa, l->salen) == -1 || listen(fd, BACKLOG) == -1) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

/* A socket in RUNTIME, reached through its directory's descriptor so that a long path does no harm. */
static int
bind_local(const struct parent *p, const char *name)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int dir = open(p->runtime, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

	if (dir == -1)
		fatal("cannot open %s", p->runtime);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		fatal("socket");
	snprintf(sun.sun_path, sizeof sun.sun_path, "/proc/self/fd/%d/%s", dir, name);
	if (unlinkat(dir, name, 0) == -1 && errno != ENOENT)
		fatal("cannot remove the old %s/%s", p->runtime, name);
	if (bind(fd, (const struct sockaddr *)&sun, sizeof sun) == -1 || fchmodat(dir, name, 0666, 0) == -1 || listen(fd, BACKLOG) == -1)
		fatal("cannot listen on %s/%s", p->runtime, name);
	close(dir);
	return fd;
}

/* No IPv6 on this host is no reason to refuse `listen on all`. */
static bool
absent_family(const struct conf_listen *l)
{
	const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)&l->sa;

	return l->sa.ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&sin6->sin6_addr) &&
	    (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL);
}

static int
bind_one(const struct parent *p, const struct conf_listen *l)
{
	int fd = l->sa.ss_family == AF_UNIX ? bind_local(p, "submit.sock") : bind_inet(l);

	if (fd == -1 && absent_family(l)) {
		log_info("not listening on %s: this host has no IPv6", l->text);
		return -1;
	}
	if (fd == -1)
		return -2;
	return fd;
}

static const char *
help(int err)
{
	return err == EADDRINUSE ? " (another server has it: stop that, or choose another port)" :
	    err == EACCES ? " (ports below 1024 need root)" : err == EADDRNOTAVAIL ? " (this host does not have that address)" : "";
}

void
parent_bind(struct parent *p)
{
	size_t i;
	int err;

	p->nlisten = p->conf->nlisten;
	p->listen = xcalloc(p->nlisten, sizeof *p->listen);
	for (i = 0; i < p->nlisten; i++)
		if ((p->listen[i] = bind_one(p, &p->conf->listen[i])) == -2) {
			err = errno;
			start_fail(err == EACCES ? EX_NOPERM : err == EADDRINUSE ? EX_UNAVAILABLE : EX_OSERR, "cannot listen on %s: %s%s",
			    p->conf->listen[i].text, strerror(err), help(err));
		}
}

static bool
same(const struct conf_listen *a, const struct conf_listen *b)
{
	return a->salen == b->salen && a->sa.ss_family == b->sa.ss_family &&
	    (a->sa.ss_family == AF_UNIX || memcmp(&a->sa, &b->sa, a->salen) == 0);
}

/* The socket that the old configuration has for this address, moved; else a new one. */
static int
carry_over(struct parent *p, const struct conf_listen *l)
{
	size_t i;
	int fd;

	for (i = 0; i < p->nlisten; i++)
		if (p->listen[i] >= 0 && same(&p->conf->listen[i], l)) {
			fd = p->listen[i];
			p->listen[i] = -1;
			return fd;
		}
	return bind_one(p, l);
}

/* What was carried over goes back: the sockets stand where the old configuration has them. */
static void
give_back(struct parent *p, const struct conf *c, int *fds, size_t n)
{
	size_t i, k;

	for (k = 0; k < n; k++) {
		for (i = 0; fds[k] >= 0 && i < p->nlisten; i++)
			if (p->listen[i] == -1 && same(&p->conf->listen[i], &c->listen[k])) {
				p->listen[i] = fds[k];
				fds[k] = -1;
			}
		if (fds[k] >= 0)
			close(fds[k]);
	}
	free(fds);
}

const char *
parent_rebind(struct parent *p, const struct conf *c)
{
	static char why[512];
	int *fds = xcalloc(c->nlisten, sizeof *fds);
	size_t i;

	for (i = 0; i < c->nlisten; i++)
		if ((fds[i] = carry_over(p, &c->listen[i])) == -2) {
			snprintf(why, sizeof why, "cannot listen on %s: %s%s", c->listen[i].text, strerror(errno), help(errno));
			give_back(p, c, fds, i);
			return why;
		}
	for (i = 0; i < p->nlisten; i++)
		if (p->listen[i] >= 0)
			close(p->listen[i]);
	free(p->listen);
	p->listen = fds;
	p->nlisten = c->nlisten;
	return NULL;
}

void
parent_unlisten(struct parent *p)
{
	size_t i;

	for (i = 0; i < p->nlisten; i++) {
		if (p->listen[i] >= 0)
			close(p->listen[i]);
		p->listen[i] = -1;
	}
}

void
parent_bind_local(struct parent *p)
{
	p->control = bind_local(p, "control.sock");
}

void
parent_unbind_local(struct parent *p)
{
	static const char *const names[] = { "control.sock", "submit.sock" };
	size_t i;
	int dir = open(p->runtime, O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (i = 0; i < sizeof names / sizeof names[0] && dir != -1; i++)
		unlinkat(dir, names[i], 0);
	if (dir != -1)
		close(dir);
}
