/*
 * dns: /etc/resolv.conf and /etc/hosts, which the resolver has no right to open: handed over as descriptors, and again when they change.
 *
 * Called by kids.c when the resolver gets its configuration, and by a timer of its own. A file that is missing is an empty one; so a network that comes up
 * after us is noticed.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "base/log.h"
#include "parent/parent.h"

#define WATCH_MS	2000

MSG_SENDER(PARENT_TO_RESOLVER)

static void
resolv_conf(struct edge *e, int fd)
{
	send_RESOLV_CONF(e, 0, NULL, fd);
}

static void
hosts(struct edge *e, int fd)
{
	send_HOSTS(e, 0, NULL, fd);
}

static struct watched {
	const char	*path;
	void		(*send)(struct edge *, int fd);
	struct stat	 was;			/* all zeros: it was not there */
} files[] = { { .path = "/etc/resolv.conf", .send = resolv_conf }, { .path = "/etc/hosts", .send = hosts } };

static struct edge *resolver;		/* NULL: gone */
static struct ev_timer timer;

static void
look(const struct watched *w, struct stat *st)
{
	if (stat(w->path, st) == -1)
		memset(st, 0, sizeof *st);
}

static bool
same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	    a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void
hand_over(struct watched *w, struct edge *e)
{
	int fd;

	look(w, &w->was);
	if ((fd = open(w->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1 && (fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) == -1) {
		log_warn("%s: %s; the resolver goes on with what it has", w->path, strerror(errno));
		return;
	}
	w->send(e, fd);
}

static void
watch(void *arg)
{
	struct stat now;
	size_t i;

	(void)arg;
	for (i = 0; resolver != NULL && i < sizeof files / sizeof files[0]; i++) {
		look(&files[i], &now);
		if (same(&files[i].was, &now))
			continue;
		log_info("%s changed: the resolver reads it anew", files[i].path);
		hand_over(&files[i], resolver);
	}
	ev_timer_set(&timer, WATCH_MS);
}

void
parent_dns(struct edge *e)
{
	size_t i;

	if ((resolver = e) == NULL)
		return;
	for (i = 0; i < sizeof files / sizeof files[0]; i++)
		hand_over(&files[i], resolver);
	if (timer.cb == NULL)
		ev_timer_init(&timer, watch, NULL);
	ev_timer_set(&timer, WATCH_MS);
}
