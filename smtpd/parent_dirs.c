/*
 * parent_dirs: the directories that must be there before a child starts, the lock against a second posternd, and the accounts.
 *
 * As root each gets its owner and mode; otherwise they are the caller's.
 */
#include <sys/file.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "log.h"
#include "parent.h"
#include "xmalloc.h"

void
parent_account(const struct parent *p, const struct proc_row *row, uid_t *uid, gid_t *gid)
{
	const struct passwd *pw;

	*uid = geteuid();
	*gid = getegid();
	if (!p->root)
		return;
	if ((pw = getpwnam(row->account)) == NULL)
		fatalx("account %s is missing: run etc/deps.sh accounts (or make deps) as root", row->account);
	*uid = pw->pw_uid;
	*gid = pw->pw_gid;
}

/* mkdir -p; the last part gets mode, owner and group. */
static void
make_dir(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	char part[PATH_MAX], *slash;
	int fd;

	if (strlcpy(part, path, sizeof part) >= sizeof part)
		fatalx("path too long: %s", path);
	for (slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0755) == -1 && errno != EEXIST)
			fatal("cannot make directory %s", part);
		*slash = '/';
	}
	if (mkdir(path, mode) == -1 && errno != EEXIST)
		fatal("cannot make directory %s", path);
	if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) == -1)
		fatal("cannot open directory %s", path);
	if (fchown(fd, uid, gid) == -1 || fchmod(fd, mode) == -1)
		fatal("cannot give %s its owner and mode", path);
	close(fd);
}

static char *
absolute(const char *path)
{
	char cwd[PATH_MAX];

	if (path[0] == '/')
		return xstrdup(path);
	if (getcwd(cwd, sizeof cwd) == NULL)
		fatal("getcwd");
	return xasprintf("%s/%s", cwd, path);
}

static void
take_lock(struct parent *p)
{
	char *path = xasprintf("%s/posternd.lock", p->runtime);

	if ((p->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) == -1)
		fatal("cannot open %s", path);
	if (flock(p->lock, LOCK_EX | LOCK_NB) == -1) {
		log_error("another posternd runs with the runtime directory %s: stop it, or set `runtime` to another one", p->runtime);
		log_flush();
		_exit(75);
	}
	if (ftruncate(p->lock, 0) == -1 || dprintf(p->lock, "%d\n", (int)getpid()) < 0)
		fatal("cannot write %s", path);
	free(path);
}

void
parent_dirs(struct parent *p)
{
	uid_t uid;
	gid_t gid;

	p->spool = absolute(p->conf->spool);
	p->runtime = absolute(p->conf->runtime);
	p->empty = xasprintf("%s/empty", p->runtime);
	make_dir(p->runtime, 0755, geteuid(), getegid());
	take_lock(p);
	make_dir(p->empty, 0555, geteuid(), getegid());
	parent_account(p, proc_row(PROG_QUEUE), &uid, &gid);
	make_dir(p->spool, 0711, uid, gid);
}
