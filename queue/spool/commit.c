/*
 * commit: group commit. What completed since the last sync goes to the disk together, and is answered after it.
 *
 * spool_turn is the queue's durability point: it harvests a finished sync, appends the next group to the current segment,
 * starts its sync, and only then tells the owners of the finished ones. One job is under way at a time; STATES.md has the
 * order of steps. An error belongs to the messages of that job: they are told errno, their segment is closed for ever.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "spool/order.h"
#include "spool/spool_priv.h"
#include "base/xmalloc.h"

static void
finish(struct spool *s, struct commit *c, int error)
{
	c->error = error;
	if (error == ENOSPC || error == EDQUOT)
		s->space_next = 0;	/* looked at anew at once */
	TAILQ_INSERT_TAIL(&s->finished, c, link);
}

static void
finish_all(struct spool *s, struct commits *list, int error)
{
	struct commit *c;

	while ((c = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, c, link);
		finish(s, c, error);
	}
}

static void
drop_body(struct commit *c)
{
	if (c->body == NULL)
		return;
	body_free(c->body);
	c->body = NULL;
}

/* A file in tmp/ that has all its bytes: it waits for its sync. */
static void
own_segment(struct spool *s, struct commit *c)
{
	if (body_seal(c->body, c->env) == -1) {
		finish(s, c, c->body->error);
		return;
	}
	TAILQ_INSERT_TAIL(&s->own, c, link);
}

void
spool_commit(struct spool *s, struct body *b, const struct p_env *env, spool_done *done, void *arg)
{
	struct commit *c = xcalloc(1, sizeof *c);

	c->body = b;
	c->env = env;
	c->done = done;
	c->arg = arg;
	c->nrcpt = env->rcpts_n;
	b->priv->env = env;
	if (!sync_running(s->sync))
		ev_wake();	/* whoever commits behind spool_turn need not wait for something else to happen */
	if (b->error == 0 && env->rcpts_n == 0)
		b->error = EINVAL;	/* a record without recipients would be a seal */
	if (b->error != 0)
		finish(s, c, b->error);
	else if (b->priv->fd != -1)
		own_segment(s, c);
	else
		TAILQ_INSERT_TAIL(&s->small, c, link);
}

void
commit_copy(struct spool *s, const struct copied *copy, spool_done *done, void *arg)
{
	struct commit *c = xcalloc(1, sizeof *c);

	c->copy = copy;
	c->done = done;
	c->arg = arg;
	c->nrcpt = copy->head.nrcpt;
	TAILQ_INSERT_TAIL(&s->small, c, link);
	if (!sync_running(s->sync))
		ev_wake();
}

static uint64_t
room(const struct seg *g)
{
	return g == NULL || g->sealed || g->failed ? 0 : g->size - REC_HEAD - g->end;
}

uint64_t
commit_room(const struct spool *s)
{
	return room(s->cur) + room(s->next);
}

/* ---- the group ---- */

static void
encode_env(struct spool *s, const struct commit *c)
{
	buf_reset(&s->env, SHARED_MAX);
	if (c->copy != NULL)
		buf_add(&s->env, c->copy->env, c->copy->head.env_len);
	else
		p_env_put(&s->env, c->env);
}

static uint64_t
body_len(const struct commit *c)
{
	return c->copy != NULL ? c->copy->head.body_len : c->body->len;
}

/* The current segment is full: its seal, with what is in the batch if there is anything. */
static void
put_seal(struct spool *s, struct seg *g)
{
	rec_put_seal(&s->batch.bytes, g->rnd);
}

static void
put_record(struct spool *s, struct seg *g, struct commit *c)
{
	const struct copied *copy = c->copy;
	struct buf *bytes = &s->batch.bytes;
	uint64_t at = g->end + batch_len(&s->batch), len = body_len(c);
	size_t head = bytes->len;
	uint32_t crc = copy != NULL ? copy->head.body_crc : c->body->priv->crc;

	c->seg = g;
	c->loc = (struct loc){ g->no, at };
	rec_put(bytes, g->rnd, (struct blob){ buf_data(&s->env), s->env.len }, c->nrcpt, len, crc);
	if (copy != NULL)
		marks_encode(buf_data(bytes) + head + REC_HEAD, copy->marks, c->nrcpt);
	c->body_off = g->end + batch_len(&s->batch);
	batch_add(&s->batch, copy != NULL ? copy->bytes : c->body->priv->mem, len);
	c->end = g->end + batch_len(&s->batch);
	TAILQ_REMOVE(&s->small, c, link);
	TAILQ_INSERT_TAIL(&s->group, c, link);
	g->live++;
	g->records++;
}

/* Too long to share a segment. */
static void
put_apart(struct spool *s, struct commit *c)
{
	TAILQ_REMOVE(&s->small, c, link);
	if (body_spill(c->body) == -1)
		finish(s, c, c->body->error);
	else
		own_segment(s, c);
}

/* When no next segment can be made, the last room is for copies: compaction gives room for all. */
static bool
held_back(const struct spool *s, const struct seg *g, const struct commit *c, uint64_t len)
{
	return c->copy == NULL && s->next == NULL && s->make_after > 0 &&
	    g->end + batch_len(&s->batch) + len + REC_HEAD > g->size - g->size / 4;
}

/* Gathers records for g; true if that fills it. */
static bool
gather(struct spool *s, struct seg *g)
{
	struct commit *c;
	uint64_t len, most = g->size - SEG_HEAD - REC_HEAD;

	while ((c = TAILQ_FIRST(&s->small)) != NULL && batch_len(&s->batch) < GROUP_BYTES) {
		encode_env(s, c);
		len = REC_HEAD + (uint64_t)c->nrcpt + s->env.len + body_len(c);
		if (c->copy == NULL && (len > SHARED_MAX || len > most))
			put_apart(s, c);
		else if (held_back(s, g, c, len)) {
			TAILQ_REMOVE(&s->small, c, link);
			finish(s, c, ENOSPC);
		} else if (len > g->size - REC_HEAD - g->end - batch_len(&s->batch))
			return true;
		else
			put_record(s, g, c);
	}
	return false;
}

/* Those of the group got no 250: as far as the disk takes it, they are marked so. */
static void
group_failed(struct spool *s, struct seg *g, int error, const char *what)
{
	struct commit *c;

	seg_fail(s, g, error, what);
	TAILQ_FOREACH(c, &s->group, link) {
		g->live--;
		seg_retire(s, g, c->loc.off, c->nrcpt, c->copy != NULL ? MARK_MOVED : MARK_NEVER);
	}
	finish_all(s, &s->group, error);
	seg_candidate(s, g);
}

/* Writes one group into the current segment. -> that segment, or NULL if there is nothing to sync */
static struct seg *
write_group(struct spool *s)
{
	struct commit *c;
	struct seg *g;
	bool full;

	do {
		if (TAILQ_EMPTY(&s->small))
			return NULL;
		if ((g = seg_current(s)) == NULL) {
			if (errno != EAGAIN)
				finish_all(s, &s->small, errno);
			return NULL;
		}
		batch_reset(&s->batch);
		if ((full = gather(s, g)))
			put_seal(s, g);
		if (batch_len(&s->batch) > 0 && (seg_fd(s, g) == -1 ||
		    batch_write(&s->batch, g->fd, g->end) == -1)) {
			group_failed(s, g, errno, "write");
			return NULL;
		}
		TAILQ_FOREACH(c, &s->group, link)
			drop_body(c);
		g->end += batch_len(&s->batch);
		if (full)
			seg_seal(s, g);
	} while (TAILQ_EMPTY(&s->group));
	return g;
}

/* ---- marks ---- */

/* Of a segment that is not in the job none may wait. What a segment that failed has is as far as it will ever be. */
static void
marks_in_job(struct spool *s)
{
	s->marks_job = TAILQ_EMPTY(&s->dirty) ? order_marks() : 0;
}

static void
marks_harvested(struct spool *s)
{
	order_durable(s->marks_job);
	s->marks_job = 0;
}

void
spool_hurry(struct spool *s)
{
	if (order_marks_durable() == order_marks() || s->overdue)
		return;
	s->overdue = true;
	ev_wake();
}

/* ---- the job ---- */

static void
add_item(struct spool *s, int fd, bool dir, struct seg *g)
{
	if (s->nitems == s->cap_items) {
		s->cap_items = s->cap_items > 0 ? s->cap_items * 2 : 16;
		s->items = xreallocarray(s->items, s->cap_items, sizeof *s->items);
		s->item_seg = xreallocarray(s->item_seg, s->cap_items, sizeof(struct seg *));
	}
	s->items[s->nitems] = (struct sync_item){ fd, dir, 0 };
	s->item_seg[s->nitems++] = g;
}

static void
add_seg(struct spool *s, struct seg *g)
{
	int fd = seg_fd(s, g);

	if (fd == -1) {
		seg_fail(s, g, errno, "open");
		return;
	}
	if (g->dirty) {
		g->dirty = false;
		TAILQ_REMOVE(&s->dirty, g, dirty_link);
	}
	g->busy = true;
	add_item(s, fd, false, g);
}

static void
add_files(struct spool *s)
{
	struct commit *c;
	int n;

	for (n = 0; n < GROUP_FILES && (c = TAILQ_FIRST(&s->own)) != NULL; n++) {
		TAILQ_REMOVE(&s->own, c, link);
		TAILQ_INSERT_TAIL(&s->files, c, link);
		add_item(s, c->body->priv->fd, false, NULL);
	}
}

/* Of the segment that is being made. */
static void
add_header(struct spool *s)
{
	int fd = make_sync_fd(s);

	s->new_item = fd == -1 ? SIZE_MAX : s->nitems;
	if (fd != -1)
		add_item(s, fd, false, NULL);
}

/* The directory last: names are synced after what they name. */
static void
add_dir(struct spool *s, const struct seg *g)
{
	s->dir_job = 0;
	if (TAILQ_EMPTY(&s->renamed) && (g == NULL || g->name_gen <= s->dir_synced) &&
	    !(s->overdue && s->dir_gen > s->dir_synced))
		return;
	TAILQ_CONCAT(&s->naming, &s->renamed, link);
	s->dir_job = s->dir_gen;
	add_item(s, s->dir_fd, true, NULL);
}

static void
begin(struct spool *s)
{
	struct seg *g, *d;

	s->nitems = 0;
	if ((g = write_group(s)) != NULL)
		add_seg(s, g);
	add_files(s);
	while (s->overdue && (d = TAILQ_FIRST(&s->dirty)) != NULL)
		add_seg(s, d);
	add_header(s);
	add_dir(s, g);
	s->overdue = false;
	marks_in_job(s);
	if (s->nitems > 0)
		sync_start(s->sync, s->items, s->nitems);
	else
		marks_harvested(s);
}

/* ---- the harvest ---- */

/* A name that is not known to be on the disk is no home for mail. */
static void
dir_failed(struct spool *s, int error)
{
	struct commit *c;
	char name[32];

	log_error("cannot sync seg/: %s", strerror(error));
	TAILQ_FOREACH(c, &s->naming, link) {
		seg_retire(s, c->seg, c->loc.off, c->nrcpt, MARK_NEVER);
		seg_name(name, c->seg->no);
		unlink(name);
		seg_free(s, c->seg);
	}
	finish_all(s, &s->naming, error);
	if (s->next != NULL && s->next->name_gen > s->dir_synced)
		seg_fail(s, s->next, error, "directory");
	if (s->cur != NULL && s->cur->name_gen > s->dir_synced && TAILQ_EMPTY(&s->group))
		seg_fail(s, s->cur, error, "directory");
	durable_soon(s);
}

static void
harvest_dir(struct spool *s)
{
	int error = s->items[s->nitems - 1].error;

	if (s->dir_job == 0)
		return;
	if (error != 0) {
		dir_failed(s, error);
		return;
	}
	s->dir_synced = s->dir_job;
	finish_all(s, &s->naming, 0);
}

static void
harvest_segs(struct spool *s)
{
	struct seg *g;
	size_t i;

	for (i = 0; i < s->nitems; i++) {
		if ((g = s->item_seg[i]) == NULL)
			continue;
		g->busy = false;
		if (s->items[i].error != 0)
			seg_fail(s, g, s->items[i].error, "sync");
	}
}

static void
harvest_group(struct spool *s)
{
	struct commit *c = TAILQ_FIRST(&s->group);
	struct seg *g;

	if (c == NULL)
		return;
	g = c->seg;
	/* The group's segment is the job's first item. */
	if (s->items[0].error != 0)
		group_failed(s, g, s->items[0].error, "sync");
	else if (g->name_gen > s->dir_synced)
		group_failed(s, g, EIO, "directory");
	else
		finish_all(s, &s->group, 0);
}

/* Its file is on the disk; it gets its name, and waits for the directory. */
static void
name_file(struct spool *s, struct commit *c, int error)
{
	struct body_priv *p = c->body->priv;
	struct seg_head h = { .version = SEG_VERSION, .kind = SEG_OWN };
	char from[32], to[32];
	uint32_t no = seg_number(s);

	snprintf(from, sizeof from, "tmp/m-%llx", (unsigned long long)p->name);
	seg_name(to, no);
	if (error == 0 && rename(from, to) == -1)
		error = errno;
	if (error != 0) {
		log_error("a message of its own: %s", strerror(error));
		finish(s, c, error);
		return;
	}
	dir_changed(s);
	memcpy(h.rnd, p->rnd, RND_LEN);
	c->seg = seg_add(s, no, &h, p->base + c->body->len, p->fd);
	c->seg->sealed = true;
	c->seg->live = 1;
	c->seg->name_gen = s->dir_gen;
	c->loc = (struct loc){ no, SEG_HEAD };
	c->body_off = p->base;
	c->end = c->seg->size;
	p->fd = -1;
	drop_body(c);
	TAILQ_INSERT_TAIL(&s->renamed, c, link);
}

static void
harvest_files(struct spool *s)
{
	struct commit *c;
	size_t i = 0;

	while ((c = TAILQ_FIRST(&s->files)) != NULL) {
		while (s->item_seg[i] != NULL)	/* the group's segment stands before them */
			i++;
		TAILQ_REMOVE(&s->files, c, link);
		name_file(s, c, s->items[i++].error);
	}
}

/* What waited for a segment goes into it, or must not wait any more. */
static void
harvest_header(struct spool *s)
{
	if (s->new_item == SIZE_MAX)
		return;
	if (make_synced(s, s->items[s->new_item].error) == -1 && s->cur == NULL)
		finish_all(s, &s->small, errno);
}

static void
harvest(struct spool *s)
{
	s->syncs += s->nitems;
	harvest_dir(s);
	harvest_segs(s);
	harvest_group(s);
	harvest_files(s);
	harvest_header(s);
	marks_harvested(s);
	s->nitems = 0;
	if (!TAILQ_EMPTY(&s->dirty) || s->dir_gen > s->dir_synced)
		durable_soon(s);
}

static void
note_progress(struct spool *s, const struct commit *c)
{
	struct seg *g = c->seg;

	s->commits++;
	if (g->told == 0)
		TAILQ_INSERT_TAIL(&s->told, g, told_link);
	g->told = c->end;
}

static void
tell(struct spool *s)
{
	struct commits list = TAILQ_HEAD_INITIALIZER(list);
	struct commit *c;

	TAILQ_CONCAT(&list, &s->finished, link);
	while ((c = TAILQ_FIRST(&list)) != NULL) {
		TAILQ_REMOVE(&list, c, link);
		drop_body(c);
		if (c->error == 0)
			note_progress(s, c);
		c->done(c->arg, c->error, c->loc, c->body_off);
		free(c);
	}
	/* They may have committed something themselves. */
	if (!sync_running(s->sync) && !(TAILQ_EMPTY(&s->small) && TAILQ_EMPTY(&s->own) && TAILQ_EMPTY(&s->finished)))
		ev_wake();
}

void
spool_turn(struct spool *s)
{
	if (sync_finished(s->sync, false))
		harvest(s);
	if (!sync_running(s->sync))
		begin(s);
	if (!TAILQ_EMPTY(&s->finished))
		tell(s);
}

void
spool_progress(struct spool *s, void (*cb)(void *, uint32_t, const uint8_t *, uint64_t), void *arg)
{
	struct seg *g;
	bool whole;

	while ((g = TAILQ_FIRST(&s->told)) != NULL) {
		TAILQ_REMOVE(&s->told, g, told_link);
		whole = g->kind == SEG_SHARED && g->sealed && !g->failed && g->told + REC_HEAD == g->end;
		cb(arg, g->no, g->rnd, whole ? g->size : g->told);
		g->told = 0;
	}
}

/* ---- what has waited long enough ---- */

void
durable_soon(struct spool *s)
{
	if (s->durable.due == 0 && !s->overdue)
		ev_timer_set(&s->durable, DURABLE_MS);
}

/* All that waits goes to the disk and is told; new commits from the owners are taken too. What the disk refuses is not tried for ever. */
void
commit_close(struct spool *s)
{
	int tries = 3;

	do {
		if (sync_finished(s->sync, true))
			harvest(s);
		s->overdue = tries-- > 0;
		begin(s);
		tell(s);
	} while (sync_running(s->sync) || !TAILQ_EMPTY(&s->small) || !TAILQ_EMPTY(&s->own) || !TAILQ_EMPTY(&s->finished));
}
