/*
 * segment: segment files and the table of them; sealing, failing.
 *
 * Called by the spool's other files. Owns the descriptors of segments: at most SEG_FDS stay open beside those that the group
 * commit needs. What the disk refuses is -1 or NULL with errno; a segment that failed is never written to by a group again.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "spool/order.h"
#include "spool/spool_priv.h"
#include "base/xmalloc.h"

static int
seg_cmp(struct seg *a, struct seg *b)
{
	return a->no < b->no ? -1 : a->no > b->no;
}

RB_GENERATE(segs, seg, tree, seg_cmp)

void
seg_name(char out[32], uint32_t no)
{
	snprintf(out, 32, "seg/%08x", no);
}

struct seg *
seg_find(struct spool *s, uint32_t no)
{
	struct seg key = { .no = no };

	return RB_FIND(segs, &s->segs, &key);
}

struct seg *
seg_add(struct spool *s, uint32_t no, const struct seg_head *h, uint64_t size, int fd)
{
	struct seg *g = xcalloc(1, sizeof *g);

	g->no = no;
	memcpy(g->rnd, h->rnd, RND_LEN);
	g->kind = h->kind;
	g->version = h->version;
	g->size = size;
	g->end = SEG_HEAD;
	g->born = ev_now_ms();
	g->fd = fd;
	if (RB_INSERT(segs, &s->segs, g) != NULL)
		fatalx("segment %08x twice", no);
	if (fd != -1) {
		if (s->nopen >= SEG_FDS)
			seg_trim(s);
		TAILQ_INSERT_HEAD(&s->lru, g, lru_link);
		s->nopen++;
	}
	s->bytes += size;
	return g;
}

int
seg_take_fd(struct spool *s, struct seg *g)
{
	int fd = g->fd;

	if (fd == -1)
		return -1;
	TAILQ_REMOVE(&s->lru, g, lru_link);
	s->nopen--;
	g->fd = -1;
	return fd;
}

static void
seg_close(struct spool *s, struct seg *g)
{
	int fd = seg_take_fd(s, g);

	if (fd != -1)
		close(fd);
}

void
seg_free(struct spool *s, struct seg *g)
{
	seg_close(s, g);
	if (g->dirty)
		TAILQ_REMOVE(&s->dirty, g, dirty_link);
	if (g->cand)
		TAILQ_REMOVE(&s->cands, g, cand_link);
	if (g->told > 0)
		TAILQ_REMOVE(&s->told, g, told_link);
	RB_REMOVE(segs, &s->segs, g);
	s->bytes -= g->size;
	free(g);
}

/* Closes the one that was not used for longest and that nobody needs open. */
void
seg_trim(struct spool *s)
{
	struct seg *g;

	TAILQ_FOREACH_REVERSE(g, &s->lru, seg_list, lru_link)
		if (!g->busy && !g->dirty && !g->emptied && g != s->cur && g != s->next) {
			seg_close(s, g);
			return;
		}
}

int
seg_fd(struct spool *s, struct seg *g)
{
	char name[32];

	if (g->fd != -1) {
		if (TAILQ_FIRST(&s->lru) != g) {
			TAILQ_REMOVE(&s->lru, g, lru_link);
			TAILQ_INSERT_HEAD(&s->lru, g, lru_link);
		}
		return g->fd;
	}
	if (g->unopened) {
		errno = EAGAIN;
		return -1;
	}
	if (s->nopen >= SEG_FDS)
		seg_trim(s);
	seg_name(name, g->no);
	if ((g->fd = open(name, O_RDWR | O_CLOEXEC | O_NOFOLLOW)) == -1)
		return -1;
	TAILQ_INSERT_HEAD(&s->lru, g, lru_link);
	s->nopen++;
	return g->fd;
}

uint32_t
seg_number(struct spool *s)
{
	do
		s->last_no++;
	while (s->last_no == 0 || seg_find(s, s->last_no) != NULL);
	return s->last_no;
}

/* ---- writing ---- */

ssize_t
pwrite_all(int fd, const void *p, size_t n, uint64_t off)
{
	size_t done = 0;
	ssize_t k;

	while (done < n) {
		k = pwrite(fd, (const char *)p + done, n - done, (off_t)(off + done));
		if (k == -1 && errno == EINTR)
			continue;
		if (k == -1)
			return -1;
		if (k == 0) {
			errno = ENOSPC;
			return -1;
		}
		done += (size_t)k;
	}
	return (ssize_t)n;
}

/* ---- the end of a segment's use ---- */

void
seg_candidate(struct spool *s, struct seg *g)
{
	if (g->live > 0 || g->cand || g->keep || !(g->sealed || g->failed))
		return;
	g->cand = true;
	TAILQ_INSERT_TAIL(&s->cands, g, cand_link);
}

/* Its seal is written already, or could not be. */
void
seg_seal(struct spool *s, struct seg *g)
{
	g->sealed = true;
	if (s->cur == g)
		s->cur = NULL;
	seg_candidate(s, g);
}

void
seg_fail(struct spool *s, struct seg *g, int error, const char *what)
{
	if (g->failed)
		return;
	log_error("segment %08x: %s: %s; it is closed for new mail", g->no, what, strerror(error));
	g->failed = true;
	if (g->dirty) {
		g->dirty = false;
		TAILQ_REMOVE(&s->dirty, g, dirty_link);
	}
	if (s->next == g)
		s->next = NULL;
	seg_seal(s, g);
}

int
seg_rescan(struct spool *s, struct seg *g, bool yes)
{
	uint8_t byte = yes ? '!' : 0;
	int fd = seg_fd(s, g);

	if (fd == -1 || pwrite_all(fd, &byte, 1, SEG_RESCAN) == -1)
		return -1;
	g->rescan = yes;
	seg_dirty(s, g);
	return 0;
}

int
seg_put_marks(struct spool *s, struct seg *g, uint64_t off, const uint8_t *marks, uint32_t n)
{
	uint8_t *bytes = xmalloc((size_t)n + 1);
	int fd = seg_fd(s, g), rc;

	marks_encode(bytes, marks, n);
	rc = fd == -1 || pwrite_all(fd, bytes, n, off) == -1 ? -1 : 0;
	free(bytes);
	if (rc == 0)
		seg_dirty(s, g);
	return rc;
}

int
seg_retire(struct spool *s, struct seg *g, uint64_t off, uint32_t nrcpt, enum mark mark)
{
	uint8_t *marks = xmalloc((size_t)nrcpt + 1);
	int rc;

	memset(marks, (int)mark, nrcpt);
	if ((rc = seg_put_marks(s, g, off + REC_HEAD, marks, nrcpt)) == -1)
		log_warn("segment %08x: cannot mark the record at %llu: %m", g->no, (unsigned long long)off);
	free(marks);
	return rc;
}

void
seg_dirty(struct spool *s, struct seg *g)
{
	if (g->failed)
		return;
	order_mark();
	if (g->dirty)
		return;
	g->dirty = true;
	TAILQ_INSERT_TAIL(&s->dirty, g, dirty_link);
	durable_soon(s);
}

void
dir_changed(struct spool *s)
{
	s->dir_gen++;
	durable_soon(s);
}
