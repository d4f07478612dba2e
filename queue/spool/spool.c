/*
 * spool: opening and closing. Start-up is always the same, whatever the end of the last run was.
 *
 * Called by the queue's main. Relative names only: the current directory is the spool. What makes it unusable (no right to
 * write, no folder can be made) is fatal; a full disk is not: mail that is there must go out.
 */
#include <sys/stat.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "spool/order.h"
#include "spool/spool_priv.h"
#include "base/xmalloc.h"

static void
make_folders(void)
{
	static const char *const names[] = { "seg", "tmp", "quarantine" };
	size_t i;

	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		if (mkdir(names[i], 0700) == -1 && errno != EEXIST)
			fatal("cannot make %s/", names[i]);
}

/* Nothing in it was answered. */
static void
empty_tmp(void)
{
	char name[300];
	struct dirent *e;
	DIR *d = opendir("tmp");

	if (d == NULL)
		fatal("cannot read tmp/");
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(name, sizeof name, "tmp/%s", e->d_name);
		if (unlink(name) == -1)
			log_warn("cannot unlink %s: %m", name);
	}
	closedir(d);
}

static void
init_lists(struct spool *s)
{
	RB_INIT(&s->segs);
	TAILQ_INIT(&s->dirty);
	TAILQ_INIT(&s->cands);
	TAILQ_INIT(&s->lru);
	TAILQ_INIT(&s->told);
	TAILQ_INIT(&s->small);
	TAILQ_INIT(&s->own);
	TAILQ_INIT(&s->group);
	TAILQ_INIT(&s->files);
	TAILQ_INIT(&s->renamed);
	TAILQ_INIT(&s->naming);
	TAILQ_INIT(&s->finished);
}

static void
overdue(void *arg)
{
	struct spool *s = arg;

	s->overdue = true;
}

static void
look_again(void *arg)
{
	(void)arg;	/* the loop only has to turn */
}

struct spool *
spool_open(const struct spool_hooks *hooks)
{
	struct spool *s = xcalloc(1, sizeof *s);

	spool_lock();
	order_begin();
	make_folders();
	init_lists(s);
	if ((s->dir_fd = open("seg", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		fatal("cannot open seg/");
	ev_timer_init(&s->durable, overdue, s);
	ev_timer_init(&s->unopened_timer, look_again, s);
	empty_tmp();
	s->seg_bytes = space_segment_bytes();
	space_check(s);
	recover(s, hooks);
	/* Names that the last run did not get to sync. */
	if (fsync(s->dir_fd) == -1)
		log_error("cannot sync seg/: %m");
	s->dir_synced = s->dir_gen;
	compact_open(s);
	reclaim_open(s);
	s->sync = sync_open();
	if (make_now(s) == -1)
		log_warn("cannot make a segment: %m");
	return s;
}

/* So that the next start need not look behind it. */
static void
seal_current(struct spool *s)
{
	struct buf b = BUF_INIT;

	if (s->cur == NULL || s->cur->sealed || s->cur->failed)
		return;
	rec_put_seal(&b, s->cur->rnd);
	if (seg_fd(s, s->cur) != -1 && pwrite_all(s->cur->fd, buf_data(&b), b.len, s->cur->end) != -1)
		seg_dirty(s, s->cur);
	buf_free(&b);
}

void
spool_close(struct spool *s)
{
	struct seg *g;

	commit_close(s);
	seal_current(s);
	commit_close(s);
	ev_timer_clear(&s->durable);
	ev_timer_clear(&s->unopened_timer);
	compact_close(s);
	reclaim_close(s);
	sync_close(s->sync);
	while ((g = RB_MIN(segs, &s->segs)) != NULL)
		seg_free(s, g);
	make_drop(s);
	while (s->nspare > 0)
		spare_drop(s);
	close(s->dir_fd);
	batch_free(&s->batch);
	body_close(s);
	buf_free(&s->env);
	free(s->items);
	free(s->item_seg);
	free(s);
}
