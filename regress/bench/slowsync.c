/*
 * slowsync: a disk whose syncs take longer. Loaded before libc (LD_PRELOAD) by the benchmark: each fsync and fdatasync takes SLOWSYNC_MS
 * milliseconds more (5 without it), in the thread that calls it.
 */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>

int	 fsync(int fd);
int	 fdatasync(int fd);

static void
wait_for_it(void)
{
	const char *text = getenv("SLOWSYNC_MS");
	long ms = text != NULL ? atol(text) : 5;
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

int
fsync(int fd)
{
	wait_for_it();
	return (int)syscall(SYS_fsync, fd);
}

int
fdatasync(int fd)
{
	wait_for_it();
	return (int)syscall(SYS_fdatasync, fd);
}
