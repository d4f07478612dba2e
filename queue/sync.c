/*
 * sync: see sync.h. The lock covers the job's two ends; between them the items are the thread's alone.
 * That the thread cannot be made, or its locks fail, can only be our own trouble: fatal.
 */
#include <sys/eventfd.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>
#include <unistd.h>
#include "log.h"
#include "sync.h"
#include "xmalloc.h"

struct sync {
	thrd_t			 thread;
	mtx_t			 lock;
	cnd_t			 work, done;
	struct sync_item	*items;
	size_t			 n;
	bool			 running;	/* the loop's view: a job was started and not harvested */
	bool			 ready, stop;	/* under the lock: ready = the job is done */
	int			 efd;
};

static void
sync_one(struct sync_item *it)
{
	int rc;

	do
		rc = it->dir ? fsync(it->fd) : fdatasync(it->fd);
	while (rc == -1 && errno == EINTR);
	it->error = rc == -1 ? errno : 0;
}

static int
helper(void *arg)
{
	struct sync *y = arg;
	uint64_t one = 1;
	size_t i;

	mtx_lock(&y->lock);
	for (;;) {
		while ((y->items == NULL || y->ready) && !y->stop)
			cnd_wait(&y->work, &y->lock);
		if (y->stop)
			break;
		mtx_unlock(&y->lock);
		/* Several files: their blocks are on the way together before the first is waited for. */
		for (i = 0; y->n > 1 && i < y->n; i++)
			if (!y->items[i].dir)
				sync_file_range(y->items[i].fd, 0, 0, SYNC_FILE_RANGE_WRITE);
		for (i = 0; i < y->n; i++)
			sync_one(&y->items[i]);
		mtx_lock(&y->lock);
		y->ready = true;
		cnd_signal(&y->done);
		if (write(y->efd, &one, sizeof one) == -1)
			continue;	/* only when 2^64 - 1 jobs were not read: it is readable then */
	}
	mtx_unlock(&y->lock);
	return 0;
}

struct sync *
sync_open(void)
{
	struct sync *y = xcalloc(1, sizeof *y);
	sigset_t all, old;
	int made;

	if ((y->efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == -1)
		fatal("eventfd");
	if (mtx_init(&y->lock, mtx_plain) != thrd_success || cnd_init(&y->work) != thrd_success ||
	    cnd_init(&y->done) != thrd_success)
		fatalx("cannot make the sync thread's locks");
	sigfillset(&all);	/* signals are the loop's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	made = thrd_create(&y->thread, helper, y);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (made != thrd_success)
		fatalx("cannot start the sync thread");
	return y;
}

void
sync_close(struct sync *y)
{
	mtx_lock(&y->lock);
	y->stop = true;
	cnd_signal(&y->work);
	mtx_unlock(&y->lock);
	thrd_join(y->thread, NULL);
	mtx_destroy(&y->lock);
	cnd_destroy(&y->work);
	cnd_destroy(&y->done);
	close(y->efd);
	free(y);
}

int
sync_eventfd(const struct sync *y)
{
	return y->efd;
}

void
sync_start(struct sync *y, struct sync_item *items, size_t n)
{
	if (y->running)
		fatalx("two sync jobs at once");
	mtx_lock(&y->lock);
	y->items = items;
	y->n = n;
	y->ready = false;
	y->running = true;
	cnd_signal(&y->work);
	mtx_unlock(&y->lock);
}

bool
sync_running(const struct sync *y)
{
	return y->running;
}

bool
sync_finished(struct sync *y, bool wait)
{
	if (!y->running)
		return false;
	mtx_lock(&y->lock);
	while (!y->ready && wait)
		cnd_wait(&y->done, &y->lock);
	if (y->ready) {
		y->items = NULL;
		y->ready = false;
		y->running = false;
	}
	mtx_unlock(&y->lock);
	return !y->running;
}
