/* copies: see copies.h. Owns its notes. A copy that cannot be read is passed over: the others are there; marks that cannot be written are logged. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "spool/copies.h"
#include "base/log.h"
#include "mail/qid.h"
#include "spool/record.h"
#include "base/xmalloc.h"

#define BUCKETS		16384
#define COPIES_MAX	8		/* of one message: each start that is interrupted could add one */
#define NONE		UINT32_MAX

struct note {
	uint64_t	 id;
	struct loc	 loc;
	uint32_t	 next;		/* in the bucket */
	bool		 doubtful, damaged, done;
};

struct copies {
	struct note	*note;
	uint32_t	 n, cap;
	uint32_t	 bucket[BUCKETS];
};

struct places {
	struct place {
		struct loc	 loc;
		bool		 damaged;
	}		 at[COPIES_MAX];
	size_t		 n;
};

struct copies *
copies_new(void)
{
	struct copies *c = xcalloc(1, sizeof *c);

	memset(c->bucket, 0xff, sizeof c->bucket);
	return c;
}

void
copies_free(struct copies *c)
{
	free(c->note);
	free(c);
}

static uint32_t *
bucket(struct copies *c, uint64_t id)
{
	return &c->bucket[(id ^ id >> 17) % BUCKETS];
}

static bool
same(struct loc a, struct loc b)
{
	return a.seg == b.seg && a.off == b.off;
}

void
copies_note(struct copies *c, uint64_t id, struct loc loc, bool doubtful, bool damaged)
{
	uint32_t *first = bucket(c, id), i;

	for (i = *first; i != NONE; i = c->note[i].next)
		if (c->note[i].id == id && same(c->note[i].loc, loc)) {
			c->note[i].doubtful |= doubtful;
			c->note[i].damaged |= damaged;
			return;
		}
	if (c->n == c->cap) {
		c->cap = c->cap * 2 + 256;
		c->note = xreallocarray(c->note, c->cap, sizeof *c->note);
	}
	c->note[c->n] = (struct note){ .id = id, .loc = loc, .next = *first, .doubtful = doubtful,
	    .damaged = damaged };
	*first = c->n++;
}

/* ---- settling ---- */

static void
add(struct places *p, struct loc loc, bool damaged)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (same(p->at[i].loc, loc)) {
			p->at[i].damaged |= damaged;
			return;
		}
	if (p->n < COPIES_MAX)
		p->at[p->n++] = (struct place){ loc, damaged };
}

static bool
better(const struct place *a, const struct place *b)
{
	if (a->damaged != b->damaged)
		return b->damaged;
	return a->loc.seg > b->loc.seg || (a->loc.seg == b->loc.seg && a->loc.off > b->loc.off);
}

/* What was final anywhere is final. */
static void
merge(uint8_t *to, const uint8_t *from, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		if (mark_final(from[i]) && !mark_final(to[i]))
			to[i] = from[i];
}

/* Reads the copies that count; closes the gaps of those that do not. *unread: some could not be read. */
static size_t
read_all(struct spool *s, struct places *p, struct spool_env *se, bool *unread)
{
	size_t i, n = 0;

	*unread = false;
	for (i = 0; i < p->n; i++) {
		if (spool_read_env(s, p->at[i].loc, &se[n]) == -1) {
			*unread = true;
			continue;
		}
		if (marks_void(se[n].marks, se[n].env.rcpts_n) || (n > 0 && se[n].env.rcpts_n != se[0].env.rcpts_n)) {
			spool_env_free(&se[n]);
			continue;
		}
		p->at[n++] = p->at[i];
	}
	return n;
}

static void
write_mark(struct spool *s, uint64_t id, struct loc loc, uint32_t rcpt, uint8_t mark)
{
	if (spool_mark(s, loc, rcpt, mark) == -1)
		log_error("%s: a mark in segment %08x cannot be written: %s", qid_text(id).s, loc.seg, strerror(errno));
}

/* One of n copies stays. The marks of the others are in it before they are void. */
static void
unite(struct spool *s, uint64_t id, const struct places *p, struct spool_env *se, size_t n, const struct copies_hooks *h)
{
	size_t keep = 0, i;
	uint32_t k, rcpts = se[0].env.rcpts_n;
	uint8_t *old;

	for (i = 1; i < n; i++)
		if (better(&p->at[i], &p->at[keep]))
			keep = i;
	old = xmemdup(se[keep].marks, rcpts);
	for (i = 0; i < n; i++)
		merge(se[keep].marks, se[i].marks, rcpts);
	for (k = 0; k < rcpts; k++)
		if (old[k] != se[keep].marks[k])
			write_mark(s, id, p->at[keep].loc, k, se[keep].marks[k]);
	free(old);
	for (i = 0; i < n; i++)
		if (i != keep)
			write_mark(s, id, p->at[i].loc, 0, MARK_MOVED);
	h->settled(h->arg, id, p->at[keep].loc, marks_live(se[keep].marks, rcpts) ? &se[keep] : NULL);
}

static void
settle(struct copies *c, struct spool *s, uint64_t id, const struct copies_hooks *h)
{
	struct spool_env se[COPIES_MAX];
	struct places p = { .n = 0 };
	struct loc row;
	bool doubtful = false;
	size_t n, i;
	bool unread, has = h->place(h->arg, id, &row);

	if (has)
		add(&p, row, false);
	for (i = *bucket(c, id); i != NONE; i = c->note[i].next)
		if (c->note[i].id == id) {
			c->note[i].done = true;
			doubtful |= c->note[i].doubtful;
			add(&p, c->note[i].loc, c->note[i].damaged);
		}
	if (p.n == 1 && (!has || !doubtful))	/* alone: final, or it has its row */
		return;
	n = read_all(s, &p, se, &unread);
	if (n > 0)
		unite(s, id, &p, se, n, h);
	else if (has && !unread)
		h->settled(h->arg, id, row, NULL);
	for (i = 0; i < n; i++)
		spool_env_free(&se[i]);
}

void
copies_settle(struct copies *c, struct spool *s, const struct copies_hooks *h)
{
	uint32_t i;

	for (i = 0; i < c->n; i++)
		if (!c->note[i].done)
			settle(c, s, c->note[i].id, h);
}
