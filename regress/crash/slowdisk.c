/*
 * slowdisk: preloaded into a program, makes every sync take SLOWDISK_MS milliseconds longer.
 *
 * Used by regress/system/test_slow_disk.py on postern-queue. Each is delayed by itself, as on a disk whose cache is off; what is not
 * synced goes as fast as ever.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void
delay(void)
{
	const char *ms = getenv("SLOWDISK_MS");
	long n = ms != NULL ? atol(ms) : 0;
	struct timespec t = { n / 1000, n % 1000 * 1000000 };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

int
fsync(int fd)
{
	delay();
	return (int)syscall(SYS_fsync, fd);
}

int
fdatasync(int fd)
{
	delay();
	return (int)syscall(SYS_fdatasync, fd);
}

int
sync_file_range(int fd, off64_t off, off64_t n, unsigned flags)
{
	if (flags & (SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER))
		delay();
	return (int)syscall(SYS_sync_file_range, fd, off, n, flags);
}

int
syncfs(int fd)
{
	delay();
	return (int)syscall(SYS_syncfs, fd);
}
