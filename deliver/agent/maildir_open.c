/*
 * maildir_open: opening and making Maildirs. Called by maildir; owns the descriptors until maildir_close. Directories that
 * are made are 0700 and synced into their parents, the three of a Maildir at once. Failures go back with errno: never more than a temporary failure.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include "agent/maildir_open.h"

#define OPEN_DIR	(O_RDONLY | O_DIRECTORY | O_CLOEXEC)
#define OPEN_PATH	(O_PATH | O_DIRECTORY | O_CLOEXEC)

static void
close_keep_errno(int fd)
{
	int	 err = errno;

	if (fd != -1)
		close(fd);
	errno = err;
}

int
maildir_sync(int dir)
{
	if (fsync(dir) == -1 && errno != EINVAL && errno != EOPNOTSUPP)
		return -1;
	return 0;
}

static int
sync_at(int at)
{
	int	 fd, rc;

	if ((fd = openat(at, ".", OPEN_DIR)) == -1)
		return errno == EACCES ? 0 : -1;	/* we may enter it but not read it */
	rc = maildir_sync(fd);
	close_keep_errno(fd);
	return rc;
}

/* *made: at is to be synced. */
static int
make_dir(int at, const char *name, bool *made)
{
	if (mkdirat(at, name, 0700) == -1)
		return errno == EEXIST ? 0 : -1;
	*made = true;
	return 0;
}

/* The next component of *path, in name; false at its end, or (errno) when it is too long. */
static bool
next_name(const char **path, char *name, size_t size)
{
	size_t	 n;

	errno = 0;
	*path += strspn(*path, "/");
	if ((n = strcspn(*path, "/")) == 0)
		return false;
	if (n >= size) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(name, *path, n);
	name[n] = '\0';
	*path += n;
	return true;
}

static int
step_into(int at, const char *name)
{
	bool	 made = false;
	int	 fd;

	if ((fd = openat(at, name, OPEN_PATH)) == -1 && errno == ENOENT && make_dir(at, name, &made) == 0 && (!made || sync_at(at) == 0))
		fd = openat(at, name, OPEN_PATH);
	close_keep_errno(at);
	return fd;
}

/* Every missing directory below the home directory (or the root) is made. -> its descriptor or -1 */
static int
make_path(const struct mailbox_path *box)
{
	char		 home[PATH_MAX], name[NAME_MAX + 1];
	const char	*rest = box->text + box->home;
	int		 at;

	memcpy(home, box->text, box->home);
	home[box->home] = '\0';
	if ((at = open(box->home > 0 ? home : "/", OPEN_PATH)) == -1)
		return -1;
	while (at != -1 && next_name(&rest, name, sizeof(name)))
		at = step_into(at, name);
	if (at != -1 && errno != 0) {
		close_keep_errno(at);
		return -1;
	}
	return at;
}

static int
open_or_make(int base, const char *name, bool *made)
{
	int	 fd;

	if ((fd = openat(base, name, OPEN_DIR | O_NOFOLLOW)) != -1 || errno != ENOENT)
		return fd;
	if (make_dir(base, name, made) == -1)
		return -1;
	return openat(base, name, OPEN_DIR | O_NOFOLLOW);
}

static const char *
open_parts(struct maildir *m, int base, const char **part)
{
	bool	 made = false;

	*part = "/tmp";
	if ((m->tmp = open_or_make(base, "tmp", &made)) == -1)
		return "open";
	*part = "/new";
	if ((m->new = open_or_make(base, "new", &made)) == -1)
		return "open";
	*part = "/cur";
	if (faccessat(base, "cur", F_OK, AT_SYMLINK_NOFOLLOW) == -1 && errno == ENOENT && make_dir(base, "cur", &made) == -1)
		return "make";
	*part = "";
	return made && sync_at(base) == -1 ? "sync" : NULL;
}

const char *
maildir_open(struct maildir *m, const struct mailbox_path *box, const char **part)
{
	const char	*wrong;
	int		 base;

	m->tmp = m->new = -1;
	*part = "";
	if ((base = open(box->text, OPEN_PATH)) == -1) {
		if (errno != ENOENT)
			return "open";
		if ((base = make_path(box)) == -1)
			return "make";
	}
	if ((wrong = open_parts(m, base, part)) != NULL) {
		close_keep_errno(m->tmp);
		close_keep_errno(m->new);
		m->tmp = m->new = -1;
	}
	close_keep_errno(base);
	return wrong;
}

void
maildir_close(struct maildir *m)
{
	close_keep_errno(m->tmp);
	close_keep_errno(m->new);
	m->tmp = m->new = -1;
}
