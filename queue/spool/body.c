/*
 * body: a message on its way in: in memory up to 128 KiB (64 MiB for all), beyond that in its own file in tmp/.
 *
 * Called by intake with the bytes as they come, and by commit.c. Owns the memory and the file until it is freed or its
 * file has become a segment. What the disk refuses stays in body->error and is answered at the commit.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/crc32c.h"
#include "spool/spool_priv.h"
#include "base/xmalloc.h"

#define MEM_LEAST	4096

struct body *
body_new(struct spool *s, const struct p_env *env)
{
	struct body *b = xcalloc(1, sizeof *b);

	b->priv = xcalloc(1, sizeof *b->priv);
	b->priv->spool = s;
	b->priv->env = env;
	b->priv->fd = -1;
	bodyscan_init(&b->scan);
	return b;
}

static void
give_back(struct body_priv *p)
{
	struct blocks *kept = &p->spool->blocks;

	if (p->cap == BODY_MEM && kept->n < BLOCKS)
		kept->free[kept->n++] = p->mem;
	else
		free(p->mem);
}

/* What is in it moves along. */
static void
enlarge(struct body_priv *p, size_t have, size_t cap)
{
	struct blocks *kept = &p->spool->blocks;
	uint8_t *mem = cap == BODY_MEM && kept->n > 0 ? kept->free[--kept->n] : xmalloc(cap);

	if (have > 0)
		memcpy(mem, p->mem, have);
	give_back(p);
	p->spool->memory += cap - p->cap;
	p->mem = mem;
	p->cap = cap;
}

void
body_close(struct spool *s)
{
	while (s->blocks.n > 0)
		free(s->blocks.free[--s->blocks.n]);
}

void
body_free_mem(struct body *b)
{
	struct body_priv *p = b->priv;

	p->spool->memory -= p->cap;
	give_back(p);
	p->mem = NULL;
	p->cap = 0;
}

static void
tmp_name(const struct body_priv *p, char out[32])
{
	snprintf(out, 32, "tmp/m-%llx", (unsigned long long)p->name);
}

void
body_free(struct body *b)
{
	char name[32];

	if (b == NULL)
		return;
	if (b->priv->fd != -1) {
		tmp_name(b->priv, name);
		unlink(name);
		close(b->priv->fd);
	}
	body_free_mem(b);
	free(b->priv);
	free(b);
}

static int
failed(struct body *b)
{
	b->error = errno;
	return -1;
}

/* From memory to a file; headers come at the commit, in the room left for them. */
int
body_spill(struct body *b)
{
	struct body_priv *p = b->priv;
	struct spool *s = p->spool;
	char name[32];

	buf_reset(&s->env, SHARED_MAX);
	p_env_put(&s->env, p->env);
	p->env_len = s->env.len;
	p->base = SEG_HEAD + REC_HEAD + (uint64_t)p->env->rcpts_n + p->env_len;
	arc4random_buf(p->rnd, sizeof p->rnd);
	p->name = ++s->tmp_no;
	tmp_name(p, name);
	if ((p->fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)) == -1)
		return failed(b);
	if (b->len > 0 && pwrite_all(p->fd, p->mem, b->len, p->base) == -1)
		return failed(b);
	body_free_mem(b);
	return 0;
}

/* Segment header, record header, marks, envelope: the file is then a segment, but for its name. */
int
body_seal(struct body *b, const struct p_env *env)
{
	struct body_priv *p = b->priv;
	struct spool *s = p->spool;
	struct seg_head h = { .kind = SEG_OWN, .made = ev_time_ms() };
	struct buf head = BUF_INIT;
	int rc;

	buf_reset(&s->env, SHARED_MAX);
	p_env_put(&s->env, env);
	if (s->env.len != p->env_len || SEG_HEAD + REC_HEAD + (uint64_t)env->rcpts_n + s->env.len != p->base) {
		errno = EINVAL;		/* the envelope changed its size under way: our own fault, but only this message's */
		return failed(b);
	}
	memcpy(h.rnd, p->rnd, RND_LEN);
	seg_head_put(&head, &h);
	rec_put(&head, p->rnd, (struct blob){ buf_data(&s->env), s->env.len }, env->rcpts_n, b->len, p->crc);
	rc = pwrite_all(p->fd, buf_data(&head), head.len, 0) == -1 ? failed(b) : 0;
	buf_free(&head);
	return rc;
}

/* Room for need bytes in memory, of which it has some; false if that is over a limit. */
static bool
mem_room(struct body_priv *p, size_t have, size_t need)
{
	size_t cap = p->cap > 0 ? p->cap : MEM_LEAST;

	if (need <= p->cap)
		return true;
	if (need > BODY_MEM)
		return false;
	while (cap < need)
		cap *= 2;
	if (p->spool->memory + (cap - p->cap) > BODY_MEM_ALL)
		return false;
	enlarge(p, have, cap);
	return true;
}

void
body_add(struct body *b, const void *data, size_t n)
{
	struct body_priv *p = b->priv;

	if (b->error != 0 || n == 0)
		return;
	if (p->fd == -1 && (b->len > BODY_MEM - n || n > BODY_MEM || !mem_room(p, b->len, b->len + n)) && body_spill(b) == -1)
		return;
	if (p->fd == -1)
		memcpy(p->mem + b->len, data, n);
	else if (pwrite_all(p->fd, data, n, p->base + b->len) == -1) {
		failed(b);
		return;
	}
	p->crc = crc32c(p->crc, data, n);
	bodyscan_feed(&b->scan, data, n);
	b->len += n;
}

uint32_t
body_crc(const struct body *b)
{
	return b->priv->crc;
}

int
body_read(const struct body *b, uint64_t off, void *to, size_t n)
{
	const struct body_priv *p = b->priv;
	ssize_t got;

	if (off > b->len || n > b->len - off) {
		errno = EINVAL;
		return -1;
	}
	if (p->fd == -1) {
		memcpy(to, p->mem + off, n);
		return 0;
	}
	while (n > 0) {
		if ((got = pread(p->fd, to, n, (off_t)(p->base + off))) == -1 && errno == EINTR)
			continue;
		if (got <= 0) {
			errno = got == 0 ? EIO : errno;
			return -1;
		}
		to = (char *)to + got;
		off += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}
