/*
 * dirs: the directories that must be there before a child starts, the lock against a second posternd, and the accounts.
 *
 * As root each gets its owner and mode; otherwise they are the caller's.
 */
#include <sys/file.h>
#include <sys/stat.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>
#include "proc/account.h"
#include "parent/parent.h"
#include "base/xmalloc.h"
#include "base/trust.h"

#define SPOOL_TICKS	60	/* three seconds */

const char *
parent_accounts(struct parent *p)
{
	static char why[160];
	const struct proc_row *row;
	const struct passwd *pw;
	enum prog prog;

	for (prog = PROG_LISTENER; p->root && prog < PROG_AGENT; prog++) {
		row = proc_row(prog);
		if ((pw = getpwnam(row->account)) == NULL) {
			snprintf(why, sizeof why, "account %s is missing: run etc/deps.sh accounts (or make deps) as root", row->account);
			return why;
		}
		p->as[prog].uid = pw->pw_uid;
		p->as[prog].gid = pw->pw_gid;
	}
	account_refresh();
	return NULL;
}

static void __attribute__((noreturn))
no_dir(const char *what, const char *path)
{
	start_fail(errno == EACCES || errno == EPERM ? EX_NOPERM : EX_CANTCREAT, "cannot %s %s: %s", what, path, strerror(errno));
}

/* Its files, if there are any: a mount point that was just made for us has none. */
static bool
is_empty(int fd)
{
	DIR *d = fdopendir(dup(fd));
	const struct dirent *e;
	bool empty = d != NULL;

	while (empty && (e = readdir(d)) != NULL)
		empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || strcmp(e->d_name, "lost+found") == 0;
	if (d != NULL)
		closedir(d);
	return empty;
}

/* What was there already stays as it is, or is refused: it may be somebody else's, or a wrong path. An empty one of root's becomes ours. */
static bool
keep_dir(int fd, const char *path, uid_t uid)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		no_dir("look at", path);
	if (st.st_uid == geteuid() && st.st_uid != uid && is_empty(fd))
		return false;
	if (st.st_uid != uid)
		start_fail(EX_NOPERM, "%s belongs to uid %lu, not to uid %lu, which it must be of: remove it, choose another, or chown it if it is the right one",
		    path, (unsigned long)st.st_uid, (unsigned long)uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		start_fail(EX_NOPERM, "others may write to %s: chmod go-w it, or choose another", path);
	return true;
}

/* mkdir -p; the last part, if it is made here, gets mode, owner and group. */
static void
make_dir(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	char part[PATH_MAX], *slash;
	bool made;
	int fd;

	if (strlcpy(part, path, sizeof part) >= sizeof part)
		start_fail(EX_CONFIG, "path too long: %s", path);
	for (slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0755) == -1 && errno != EEXIST)
			no_dir("make directory", part);
		*slash = '/';
	}
	made = mkdir(path, 0700) == 0;
	if (!made && errno != EEXIST)
		no_dir("make directory", path);
	if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) == -1) {
		if (errno == ENOTDIR || errno == ELOOP)
			start_fail(EX_CANTCREAT, "%s is a link or no directory: remove it, or choose another", path);
		no_dir("open directory", path);
	}
	if ((made || !keep_dir(fd, path, uid)) && (fchown(fd, uid, gid) == -1 || fchmod(fd, mode) == -1))
		no_dir("give owner and mode to", path);
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
	const char *why;

	if ((p->lock = trust_open(path, O_RDWR | O_CREAT, 0600, geteuid(), &why)) == -1)
		start_fail(EX_CANTCREAT, "cannot open %s: %s", path, why);
	if (flock(p->lock, LOCK_EX | LOCK_NB) == -1)
		start_fail(EX_TEMPFAIL, "another posternd runs with the runtime directory %s: stop it, or set `runtime` to another one",
		    p->runtime);
	if (ftruncate(p->lock, 0) == -1 || dprintf(p->lock, "%d\n", (int)getpid()) < 0)
		fatal("cannot write %s", path);
	free(path);
}

/* The queue has the spool for itself, and waits long for one that ends; who has another posternd's by mistake is told soon. */
static void
look_at_spool(const struct parent *p)
{
	const struct timespec tick = { 0, 50 * 1000 * 1000 };
	char *path = xasprintf("%s/lock", p->spool);
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), i;

	for (i = 0; fd != -1 && flock(fd, LOCK_EX | LOCK_NB) == -1; i++) {
		if (i == SPOOL_TICKS)
			start_fail(EX_TEMPFAIL, "another posternd has the spool %s: stop it, or set `spool` to another one", p->spool);
		nanosleep(&tick, NULL);
	}
	if (fd != -1)
		close(fd);
	free(path);
}

void
parent_dirs(struct parent *p)
{
	uid_t uid = p->root ? p->as[PROG_QUEUE].uid : geteuid();
	gid_t gid = p->root ? p->as[PROG_QUEUE].gid : getegid();

	p->spool = absolute(p->conf->spool);
	p->runtime = absolute(p->conf->runtime);
	p->empty = xasprintf("%s/empty", p->runtime);
	make_dir(p->runtime, 0755, geteuid(), getegid());
	take_lock(p);
	make_dir(p->empty, 0555, geteuid(), getegid());
	make_dir(p->spool, 0711, uid, gid);
	look_at_spool(p);
}
