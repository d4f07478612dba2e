/* trust: see trust.h. Owns the text of the last refusal. */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/trust.h"

/* NULL: nothing is wrong with it. */
static const char *
unfit(const struct stat *st, int flags, uid_t also)
{
	static char text[160];

	if (!S_ISREG(st->st_mode))
		return "it is no file";
	if ((flags & O_ACCMODE) != O_RDONLY && st->st_nlink > 1)
		return "it is a link: the file has another name";
	if (also == TRUST_ANYONE)
		return NULL;
	if (st->st_uid != 0 && st->st_uid != geteuid() && st->st_uid != also) {
		snprintf(text, sizeof text, "it belongs to uid %lu, who could change it", (unsigned long)st->st_uid);
		return text;
	}
	return st->st_mode & S_IWOTH ? "everyone may write to it (chmod o-w)" : NULL;
}

int
trust_open(const char *path, int flags, mode_t mode, uid_t also, const char **why)
{
	int fd = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, mode);
	struct stat st;

	if (fd == -1) {
		*why = errno == ELOOP ? "it is a link; name the file itself" : errno == ENXIO ? "it is no file" : strerror(errno);
		return -1;
	}
	*why = fstat(fd, &st) == -1 ? strerror(errno) : unfit(&st, flags, also);
	if (*why == NULL)
		return fd;
	close(fd);
	return -1;
}
