/*
 * writelog: preloaded into a program it writes down, in order, what that program does to files (powercut.py replays it).
 *
 * The log's path is in WRITELOG. An event is: u8 kind, i32 fd or result, u64 offset, u32 length, u64 time (CLOCK_MONOTONIC, ms), the bytes; all little-endian. A write is
 * noted when it is done, a sync when it begins and when it ended well: so what is noted before a sync's beginning was covered by it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define LOG_FD	900

int	 log_open(const char *, int, unsigned);
int	 __open_2(const char *, int);
int	 __open64_2(const char *, int);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void __attribute__((constructor))
begin(void)
{
	const char *path = getenv("WRITELOG");
	int fd;

	if (path == NULL || (fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) == -1)
		return;
	dup3(fd, LOG_FD, O_CLOEXEC);
	syscall(SYS_close, fd);
}

static void
put(const void *p, size_t n)
{
	if (n > 0 && syscall(SYS_write, LOG_FD, p, n) != (long)n)
		abort();	/* a log with a gap proves nothing */
}

static void
note(char kind, int fd, uint64_t off, const void *p, size_t n)
{
	uint8_t head[25];
	struct timespec now;
	uint64_t ms;
	uint32_t len = (uint32_t)n;
	int error = errno;

	head[0] = (uint8_t)kind;
	memcpy(head + 1, &fd, 4);
	memcpy(head + 5, &off, 8);
	memcpy(head + 13, &len, 4);
	pthread_mutex_lock(&lock);
	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	memcpy(head + 17, &ms, 8);
	put(head, sizeof head);
	put(p, n);
	pthread_mutex_unlock(&lock);
	errno = error;
}

int
log_open(const char *path, int flags, unsigned mode)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);

	if (fd != -1)
		note(flags & O_TRUNC ? 'T' : 'O', fd, (uint64_t)flags, path, strlen(path));
	return fd;
}

#define OPEN(name)	int name(const char *path, int flags, ...) { \
	va_list ap; unsigned mode; va_start(ap, flags); mode = va_arg(ap, unsigned); va_end(ap); return log_open(path, flags, mode); }
OPEN(open)
OPEN(open64)

int
__open_2(const char *path, int flags)
{
	return log_open(path, flags, 0);
}

int
__open64_2(const char *path, int flags)
{
	return log_open(path, flags, 0);
}

int
close(int fd)
{
	note('C', fd, 0, NULL, 0);
	return (int)syscall(SYS_close, fd);
}

ssize_t
write(int fd, const void *p, size_t n)
{
	ssize_t k = syscall(SYS_write, fd, p, n);

	if (k > 0)
		note('A', fd, 0, p, (size_t)k);
	return k;
}

ssize_t
pwrite64(int fd, const void *p, size_t n, off64_t off)
{
	ssize_t k = syscall(SYS_pwrite64, fd, p, n, off);

	if (k > 0)
		note('W', fd, (uint64_t)off, p, (size_t)k);
	return k;
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t off)
{
	return pwrite64(fd, p, n, off);
}

ssize_t
pwritev64(int fd, const struct iovec *iov, int n, off64_t off)
{
	ssize_t k = syscall(SYS_pwritev, fd, iov, (long)n, off, 0L), left = k;
	size_t one;

	for (; left > 0; left -= (ssize_t)one, off += (off64_t)one, iov++) {
		one = iov->iov_len < (size_t)left ? iov->iov_len : (size_t)left;
		note('W', fd, (uint64_t)off, iov->iov_base, one);
	}
	return k;
}

ssize_t
pwritev(int fd, const struct iovec *iov, int n, off_t off)
{
	return pwritev64(fd, iov, n, off);
}

static int
sync_of(long call, int fd)
{
	int rc;

	note('B', fd, 0, NULL, 0);
	if ((rc = (int)syscall(call, fd)) == 0)
		note('S', fd, 0, NULL, 0);
	return rc;
}

int
fsync(int fd)
{
	return sync_of(SYS_fsync, fd);
}

int
fdatasync(int fd)
{
	return sync_of(SYS_fdatasync, fd);
}

/* All files of it, and all names. */
int
syncfs(int fd)
{
	int rc = (int)syscall(SYS_syncfs, fd);

	if (rc == 0)
		note('Y', fd, 0, NULL, 0);
	return rc;
}

int
ftruncate64(int fd, off64_t size)
{
	int rc = (int)syscall(SYS_ftruncate, fd, size);

	if (rc == 0)
		note('L', fd, (uint64_t)size, NULL, 0);
	return rc;
}

int
ftruncate(int fd, off_t size)
{
	return ftruncate64(fd, size);
}

int
fallocate64(int fd, int mode, off64_t off, off64_t len)
{
	int rc = (int)syscall(SYS_fallocate, fd, mode, off, len);

	if (rc == 0 && mode == 0)
		note('F', fd, (uint64_t)(off + len), NULL, 0);
	return rc;
}

int
fallocate(int fd, int mode, off_t off, off_t len)
{
	return fallocate64(fd, mode, off, len);
}

int
rename(const char *from, const char *to)
{
	char both[8192];
	int rc = (int)syscall(SYS_rename, from, to);
	size_t n = strlen(from) + 1;

	if (rc == 0 && n + strlen(to) < sizeof both) {
		memcpy(both, from, n);
		memcpy(both + n, to, strlen(to));
		note('R', 0, 0, both, n + strlen(to));
	}
	return rc;
}

int
unlink(const char *path)
{
	int rc = (int)syscall(SYS_unlink, path);

	if (rc == 0)
		note('U', 0, 0, path, strlen(path));
	return rc;
}

/* An answer to a client: the log tells what was promised before a cut. */
ssize_t
sendmsg(int fd, const struct msghdr *m, int flags)
{
	size_t i;

	for (i = 0; i < m->msg_iovlen; i++)
		note('P', fd, 0, m->msg_iov[i].iov_base, m->msg_iov[i].iov_len);
	return syscall(SYS_sendmsg, fd, m, flags);
}
