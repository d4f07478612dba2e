/*
 * helper: see helper.h. The lock covers the two lists; a job that is on neither is the thread's alone.
 * That the thread cannot be made, or its locks fail, can only be our own trouble: fatal.
 */
#include <sys/eventfd.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>
#include <unistd.h>
#include "proc/ev.h"
#include "spool/helper.h"
#include "base/log.h"
#include "base/xmalloc.h"

STAILQ_HEAD(jobs, helper_job);

struct helper {
	thrd_t		 thread;
	mtx_t		 lock;
	cnd_t		 more, less;		/* there is work; a job is done */
	struct jobs	 todo, finished;	/* under the lock, as what follows */
	bool		 stop;
	unsigned	 open;			/* the loop's: added and not told of yet */
	int		 efd;
	struct ev_fd	 ev;
};

static int
work(void *arg)
{
	struct helper *h = arg;
	struct helper_job *j;
	uint64_t one = 1;

	mtx_lock(&h->lock);
	for (;;) {
		while ((j = STAILQ_FIRST(&h->todo)) == NULL && !h->stop)
			cnd_wait(&h->more, &h->lock);
		if (j == NULL)
			break;
		STAILQ_REMOVE_HEAD(&h->todo, link);
		mtx_unlock(&h->lock);
		j->work(j);
		mtx_lock(&h->lock);
		STAILQ_INSERT_TAIL(&h->finished, j, link);
		cnd_signal(&h->less);
		if (write(h->efd, &one, sizeof one) == -1)
			continue;	/* only when 2^64 - 1 of them were not read: it is readable then */
	}
	mtx_unlock(&h->lock);
	return 0;
}

static void
ready(void *arg, int what)
{
	struct helper *h = arg;
	uint64_t n;

	(void)what;
	while (read(h->efd, &n, sizeof n) == -1 && errno == EINTR)
		continue;
	helper_turn(h, false);
}

struct helper *
helper_open(void)
{
	struct helper *h = xcalloc(1, sizeof *h);
	sigset_t all, old;
	int made;

	STAILQ_INIT(&h->todo);
	STAILQ_INIT(&h->finished);
	if ((h->efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == -1)
		fatal("eventfd");
	if (mtx_init(&h->lock, mtx_plain) != thrd_success || cnd_init(&h->more) != thrd_success || cnd_init(&h->less) != thrd_success)
		fatalx("cannot make a helper's locks");
	sigfillset(&all);	/* signals are the loop's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	made = thrd_create(&h->thread, work, h);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (made != thrd_success)
		fatalx("cannot start a helper");
	ev_fd_init(&h->ev, h->efd, ready, h);
	ev_fd_want(&h->ev, EV_R);
	return h;
}

void
helper_close(struct helper *h)
{
	helper_turn(h, true);
	mtx_lock(&h->lock);
	h->stop = true;
	cnd_signal(&h->more);
	mtx_unlock(&h->lock);
	thrd_join(h->thread, NULL);
	ev_fd_clear(&h->ev);
	mtx_destroy(&h->lock);
	cnd_destroy(&h->more);
	cnd_destroy(&h->less);
	close(h->efd);
	free(h);
}

void
helper_add(struct helper *h, struct helper_job *j)
{
	h->open++;
	mtx_lock(&h->lock);
	STAILQ_INSERT_TAIL(&h->todo, j, link);
	cnd_signal(&h->more);
	mtx_unlock(&h->lock);
}

/* Those that are finished; NULL: none. */
static struct helper_job *
take(struct helper *h, bool wait)
{
	struct helper_job *j;

	mtx_lock(&h->lock);
	while ((j = STAILQ_FIRST(&h->finished)) == NULL && wait)
		cnd_wait(&h->less, &h->lock);
	if (j != NULL)
		STAILQ_REMOVE_HEAD(&h->finished, link);
	mtx_unlock(&h->lock);
	return j;
}

void
helper_turn(struct helper *h, bool wait)
{
	struct helper_job *j;

	while (h->open > 0 && (j = take(h, wait)) != NULL) {
		h->open--;
		j->done(j);
	}
}
