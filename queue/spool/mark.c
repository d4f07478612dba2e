/*
 * mark: marks in place, live counts, and reading records back.
 *
 * Called by intake, sched, bounce and control through spool.h. Marking needs no free block. A record that turns out damaged
 * is EBADMSG and its bytes are copied to quarantine/.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "spool/spool_priv.h"

#define FIRST_READ	4096	/* header, marks and envelope of nearly every record */

/* A segment that holds off, open. */
static struct seg *
place(struct spool *s, uint32_t no, uint64_t off)
{
	struct seg *g = seg_find(s, no);

	if (g != NULL && g->unopened) {
		errno = EAGAIN;
		return NULL;
	}
	if (g == NULL || off < SEG_HEAD || off >= g->size) {
		errno = ENOENT;
		return NULL;
	}
	return seg_fd(s, g) == -1 ? NULL : g;
}

static ssize_t
read_at(const struct seg *g, void *p, size_t n, uint64_t off)
{
	size_t done = 0;
	ssize_t k;

	while (done < n) {
		k = pread(g->fd, (char *)p + done, n - done, (off_t)(off + done));
		if (k == -1 && errno == EINTR)
			continue;
		if (k == -1)
			return -1;
		if (k == 0)
			break;
		done += (size_t)k;
	}
	return (ssize_t)done;
}

/* A wrong number would overwrite an envelope, so the header is asked each time. */
int
spool_marks(struct spool *s, struct loc loc, uint32_t first, const uint8_t *marks, uint32_t count)
{
	struct seg *g = place(s, loc.seg, loc.off);
	uint8_t head[REC_HEAD];
	struct rec_head h;
	ssize_t n;

	if (g == NULL || (n = read_at(g, head, sizeof head, loc.off)) == -1)
		return -1;
	if (n != REC_HEAD || !rec_get(head, g->rnd, &h) || !rec_fits(&h, g->size - loc.off)) {
		errno = EBADMSG;
		return -1;
	}
	if (first >= h.nrcpt || count > h.nrcpt - first) {
		errno = EINVAL;
		return -1;
	}
	return seg_put_marks(s, g, loc.off + REC_HEAD + first, marks, count);
}

int
spool_mark(struct spool *s, struct loc loc, uint32_t rcpt, enum mark mark)
{
	uint8_t byte = (uint8_t)mark;

	return spool_marks(s, loc, rcpt, &byte, 1);
}

void
spool_live_set(struct spool *s, uint32_t no, uint64_t live)
{
	struct seg *g = seg_find(s, no);

	if (g == NULL)
		return;
	g->live = live;
	seg_candidate(s, g);
}

void
spool_final(struct spool *s, struct loc loc)
{
	struct seg *g = seg_find(s, loc.seg);

	if (g == NULL || g->live == 0) {
		log_warn("segment %08x: a record too many was finished", loc.seg);
		return;
	}
	if (--g->live == 0)
		seg_candidate(s, g);
}

/* ---- reading ---- */

static void
damaged(const struct seg *g, uint64_t off, uint64_t len)
{
	log_error("segment %08x: the record at %llu is damaged", g->no, (unsigned long long)off);
	quarantine(g->fd, g->no, off, len);
}

/* Header, marks and envelope into buf. */
static int
read_head(const struct seg *g, uint64_t off, struct buf *b, struct rec_head *h)
{
	size_t want = FIRST_READ;
	ssize_t n;

	if ((n = read_at(g, buf_reserve(b, want), want, off)) == -1)
		return -1;
	buf_grow(b, (size_t)n);
	if (n < REC_HEAD || !rec_get(buf_data(b), g->rnd, h) || !rec_fits(h, g->size - off) || rec_is_seal(h)) {
		damaged(g, off, (uint64_t)n);
		errno = EBADMSG;
		return -1;
	}
	if (rec_body_off(h) > b->len) {
		want = rec_body_off(h) - b->len;
		if ((n = read_at(g, buf_reserve(b, want), want, off + b->len)) == -1)
			return -1;
		buf_grow(b, (size_t)n);
	}
	if (b->len < rec_body_off(h) || !rec_envelope_ok(buf_data(b), h, buf_data(b) + rec_env_off(h))) {
		damaged(g, off, rec_len(h));
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

void
marks_mended(struct spool *s, struct loc loc, uint32_t wrong, const uint8_t *marks, uint32_t n)
{
	log_error("segment %08x: %u marks of the record at %llu were damaged: read as the nearest, or as pending", loc.seg, wrong,
	    (unsigned long long)loc.off);
	if (spool_marks(s, loc, 0, marks, n) == -1)
		log_warn("segment %08x: they cannot be written anew: %m", loc.seg);
}

int
spool_read_env(struct spool *s, struct loc loc, struct spool_env *e)
{
	struct seg *g = place(s, loc.seg, loc.off);
	struct rec_head h;
	uint32_t wrong;
	struct rd r;

	*e = (struct spool_env){ .buf = BUF_INIT };
	if (g == NULL)
		return -1;
	if (read_head(g, loc.off, &e->buf, &h) == -1) {
		buf_free(&e->buf);
		return -1;
	}
	e->marks = buf_data(&e->buf) + REC_HEAD;
	e->body_off = loc.off + rec_body_off(&h);
	e->body_len = h.body_len;
	e->body_crc = h.body_crc;
	if ((wrong = marks_decode(e->marks, e->marks, h.nrcpt, g->version)) > 0)
		marks_mended(s, loc, wrong, e->marks, h.nrcpt);
	r = (struct rd){ buf_data(&e->buf) + rec_env_off(&h), h.env_len, false };
	p_env_get(&r, &e->env);
	if (r.bad || r.left != 0 || e->env.rcpts_n != h.nrcpt) {
		damaged(g, loc.off, rec_len(&h));
		spool_env_free(e);
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

int
spool_aside(struct spool *s, struct loc loc)
{
	struct seg *g = place(s, loc.seg, loc.off);
	uint8_t head[REC_HEAD];
	struct rec_head h;

	if (g == NULL || read_at(g, head, sizeof head, loc.off) != REC_HEAD || !rec_get(head, g->rnd, &h) ||
	    !rec_fits(&h, g->size - loc.off))
		return -1;
	return quarantine(g->fd, g->no, loc.off, rec_len(&h));
}

void
spool_env_free(struct spool_env *e)
{
	p_env_free(&e->env);
	buf_free(&e->buf);
}

ssize_t
spool_read(struct spool *s, uint32_t no, uint64_t off, void *p, size_t n)
{
	struct seg *g = place(s, no, off);

	return g == NULL ? -1 : read_at(g, p, n, off);
}

int
spool_fd(struct spool *s, uint32_t no)
{
	struct seg *g = seg_find(s, no);
	char name[32];

	if (g == NULL || g->unopened) {
		errno = g == NULL ? ENOENT : EAGAIN;
		return -1;
	}
	seg_name(name, no);
	return open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}
