/* sync: see sync.h. The thread is a helper; two jobs at once can only be our own mistake: fatal. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "spool/helper.h"
#include "base/log.h"
#include "spool/sync.h"
#include "base/xmalloc.h"

struct sync {
	struct helper_job	 job;		/* first */
	struct helper		*helper;
	struct sync_item	*items;
	size_t			 n;
	bool			 running;	/* started and not harvested */
	bool			 ready;		/* ... and done */
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

/* Several files: their blocks are on the way together before the first is waited for. */
static void
work(struct helper_job *j)
{
	struct sync *y = (struct sync *)j;
	size_t i;

	for (i = 0; y->n > 1 && i < y->n; i++)
		if (!y->items[i].dir)
			sync_file_range(y->items[i].fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	for (i = 0; i < y->n; i++)
		sync_one(&y->items[i]);
}

static void
done(struct helper_job *j)
{
	((struct sync *)j)->ready = true;
}

struct sync *
sync_open(void)
{
	struct sync *y = xcalloc(1, sizeof *y);

	y->job.work = work;
	y->job.done = done;
	y->helper = helper_open();
	return y;
}

void
sync_close(struct sync *y)
{
	helper_close(y->helper);
	free(y);
}

void
sync_start(struct sync *y, struct sync_item *items, size_t n)
{
	if (y->running)
		fatalx("two sync jobs at once");
	y->items = items;
	y->n = n;
	y->running = true;
	helper_add(y->helper, &y->job);
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
	helper_turn(y->helper, wait);
	if (y->ready)
		y->ready = y->running = false;
	return !y->running;
}
