/*
 * maildir_earlier: see maildir_earlier.h. Called by maildir; owns nothing beyond a call. The recipient may have put anything there: only
 * regular files are read, and what cannot be read is another file. In doubt the message is delivered once more.
 */
#include <sys/stat.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include "agent/maildir_earlier.h"

#define PIECE	(64 * 1024)

/* -> -1: there is none. */
static int
open_cur(const struct maildir *dir)
{
	return openat(dir->new, "../cur", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool
is_of(const struct delivery *d, const char *entry)
{
	size_t	 n = strlen(d->name);

	return strncmp(entry, d->name, n) == 0 && (entry[n] == ',' || entry[n] == ':' || entry[n] == '\0');
}

void
earlier_look(struct delivery *batch, size_t n, const struct maildir *dir)
{
	int		 fd = open_cur(dir);
	DIR		*cur;
	struct dirent	*e;
	size_t		 i;

	if (fd == -1)
		return;
	if ((cur = fdopendir(fd)) == NULL) {
		close(fd);
		return;
	}
	while ((e = readdir(cur)) != NULL)
		for (i = 0; i < n; i++)
			if (batch[i].dir == dir && batch[i].again && batch[i].state == DV_SYNCED && is_of(&batch[i], e->d_name))
				strlcpy(batch[i].earlier, e->d_name, sizeof(batch[i].earlier));
	closedir(cur);
}

/* The next n octets, or all up to the end; -1: they cannot be read. */
static ssize_t
read_full(int fd, uint8_t *to, size_t n)
{
	size_t	 have = 0;
	ssize_t	 r;

	while (have < n && (r = read(fd, to + have, n - have)) != 0) {
		if (r == -1 && errno != EINTR)
			return -1;
		if (r > 0)
			have += (size_t)r;
	}
	return (ssize_t)have;
}

static bool
same_content(int a, int b)
{
	static uint8_t	 one[PIECE], two[PIECE];
	ssize_t		 n, m;

	do {
		n = read_full(a, one, sizeof(one));
		m = read_full(b, two, sizeof(two));
		if (n == -1 || n != m || memcmp(one, two, (size_t)n) != 0)
			return false;
	} while (n > 0);
	return true;
}

static bool
same(const struct delivery *d, int at, const char *name)
{
	int		 ours, theirs;
	struct stat	 st;
	bool		 yes;

	if ((theirs = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)) == -1)
		return false;
	if (fstat(theirs, &st) == -1 || !S_ISREG(st.st_mode) || st.st_size != d->size ||
	    (ours = openat(d->dir->tmp, d->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)) == -1) {
		close(theirs);
		return false;
	}
	yes = same_content(ours, theirs) && fdatasync(theirs) == 0;
	close(ours);
	close(theirs);
	return yes;
}

bool
earlier_in_new(const struct delivery *d, const char *name)
{
	return same(d, d->dir->new, name);
}

bool
earlier_in_cur(const struct delivery *d)
{
	int	 cur = open_cur(d->dir);
	bool	 yes;

	if (cur == -1)
		return false;
	yes = same(d, cur, d->earlier) && maildir_sync(cur) == 0;
	close(cur);
	return yes;
}
