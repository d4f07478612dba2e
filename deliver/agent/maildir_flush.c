/*
 * maildir_flush: see maildir_flush.h. Called by maildir; a file that fails has its errno, a thread that cannot be made has its share done
 * by the others.
 *
 * Write-back is started for all files before the first is waited for, and over for all before the first is synced, so that their blocks and
 * inodes go into one commit of the file system's journal. What is left of a sync is the flush of the disk's cache, which the kernel does
 * once for all that ask at the same time: so a few threads ask. Measured on ext4 with 128 files of 4 KiB (a second): fdatasync one after
 * the other 240, behind write-back alone 380 to 460, in 8 threads alone 2,300, this 3,100 to 10,600, syncfs 2,500 to 15,400. syncfs would
 * wait for whatever else is dirty on the recipients' file system, and fail by anybody's error; io_uring does a sync in threads too.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <threads.h>
#include <unistd.h>
#include "agent/maildir_flush.h"
#include "agent/maildir_open.h"

#define THREADS	16		/* with the caller's */

struct work {
	struct flush	*files;
	size_t		 n;
	int		 (*sync)(int fd);
	atomic_size_t	 next;
};

/* Where a file system has no such call the sync does all of it. An error of write-back is told here once, not again by the sync. */
static void
write_back(struct flush *f, unsigned how)
{
	if (f->error != 0 || sync_file_range(f->fd, 0, 0, how) == 0)
		return;
	if (errno == EIO || errno == ENOSPC || errno == EDQUOT)
		f->error = errno;
}

static int
sync_file(int fd)
{
	int	 rc;

	while ((rc = fdatasync(fd)) == -1 && errno == EINTR)
		;
	return rc;
}

static int
share(void *arg)
{
	struct work	*w = arg;
	struct flush	*f;
	size_t		 i;

	while ((i = atomic_fetch_add(&w->next, 1)) < w->n) {
		f = &w->files[i];
		if (w->sync(f->fd) == -1)
			f->error = errno;
	}
	return 0;
}

static void
sync_all(struct flush *files, size_t n, int (*sync)(int))
{
	struct work	 w = { files, n, sync, 0 };
	thrd_t		 threads[THREADS - 1];
	size_t		 i, made = 0;

	while (made < THREADS - 1 && made + 1 < n && thrd_create(&threads[made], share, &w) == thrd_success)
		made++;
	share(&w);
	for (i = 0; i < made; i++)
		thrd_join(threads[i], NULL);
}

void
maildir_flush_files(struct flush *files, size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i++)
		files[i].error = 0;
	for (i = 0; n > 1 && i < n; i++)
		write_back(&files[i], SYNC_FILE_RANGE_WRITE);
	for (i = 0; n > 1 && i < n; i++)
		write_back(&files[i], SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
	sync_all(files, n, sync_file);
}

void
maildir_flush_dirs(struct flush *dirs, size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i++)
		dirs[i].error = 0;
	sync_all(dirs, n, maildir_sync);
}
