/*
 * compact: a sealed segment that holds little and is no longer young is emptied, so that one deferred message does not pin 16 MiB.
 *
 * spool_compact is a step of the main loop: one segment at a time, slices of a few milliseconds with rests between them (none while
 * space is low). The steps are K1 to K6 of STATES.md. Owns what is under way. Whatever fails, the old record still counts, or both
 * do and the next start unites them (copies.c): mail may go twice then, never be lost.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/crc32c.h"
#include "base/log.h"
#include "spool/spool_priv.h"
#include "base/xmalloc.h"

#define SPARSE		4		/* emptied when a part of so many lives; half may while space is low */
#define SPARSE_LOW	2
#define SLICE_US	3000
#define RESTS		2000		/* slices while a segment is young: one each 30 ms */
#define LAPS		12		/* looks at all segments in that time */
#define LAP_LOW_MS	500
#define BACKOFF_MS	10000		/* after an error */
#define PICK_MAX	1000		/* segments looked at in a turn */
#define ROUND_N		256		/* copies that wait for one sync */
#define ROUND_BYTES	(1024 * 1024)
#define WALK_CHUNK	1024

enum step { ST_PICK, ST_WALK, ST_DOUBT, ST_COPY };

struct live_rec {
	uint64_t	 off, len;
};

struct compact {
	enum step	 step;
	struct seg	*g;			/* not in ST_PICK */
	struct scan	 scan;			/* ST_WALK */
	struct live_rec	*rec;			/* what lives in it */
	size_t		 n, cap, at;		/* at: the next to be copied */
	uint64_t	 bytes, longest;	/* of those */
	uint32_t	 cursor;		/* the next segment to be looked at */
	size_t		 flying;		/* copies that wait for their sync */
	bool		 failed;
	struct ev_timer	 timer;
	uint64_t	 not_before;
	struct spool_movers movers;
};

struct copy {
	struct spool	*s;
	uint64_t	 id;
	struct loc	 from;
	struct copied	 what;			/* points into bytes */
	uint8_t		 bytes[];
};

static uint64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void
turn_soon(void *arg)
{
	(void)arg;
}

void
compact_open(struct spool *s)
{
	s->compact = xcalloc(1, sizeof *s->compact);
	s->compact_age = YOUNG_MS;
	ev_timer_init(&s->compact->timer, turn_soon, NULL);
}

void
compact_close(struct spool *s)
{
	ev_timer_clear(&s->compact->timer);
	scan_free(&s->compact->scan);
	free(s->compact->rec);
	free(s->compact);
}

static void
rest(struct compact *c, uint64_t ms)
{
	c->not_before = ev_now_ms() + ms;
	if (ms > 0)
		ev_timer_set(&c->timer, ms);
	else
		ev_wake();
}

/* Nothing more is done about this segment for now. */
static void
let_be(struct spool *s)
{
	struct compact *c = s->compact;

	scan_free(&c->scan);
	c->g->emptied = false;
	seg_candidate(s, c->g);
	c->g = NULL;
	c->n = c->at = 0;
	c->bytes = c->longest = 0;
	c->failed = false;
	c->step = ST_PICK;
}

/* ---- which one ---- */

static bool
promising(const struct spool *s, const struct seg *g)
{
	if (g->kind != SEG_SHARED || !g->sealed || g->failed || g->keep || g->cand || g->live == 0)
		return false;
	if (!s->low && ev_now_ms() - g->born < s->compact_age)
		return false;
	if (g->walked > 0)
		return g->live * 2 <= g->walked || (s->low && g->live < g->walked);
	return g->records == 0 || g->live * (s->low ? SPARSE_LOW : SPARSE) <= g->records;
}

static void
pick(struct spool *s)
{
	struct compact *c = s->compact;
	struct seg key = { .no = c->cursor }, *g = RB_NFIND(segs, &s->segs, &key);
	int n;

	for (n = 0; g != NULL && n < PICK_MAX && !promising(s, g); n++)
		g = RB_NEXT(segs, &s->segs, g);
	if (g == NULL) {
		c->cursor = 0;
		rest(c, s->low ? LAP_LOW_MS : s->compact_age / LAPS);
		return;
	}
	c->cursor = g->no + 1;
	if (n == PICK_MAX || seg_fd(s, g) == -1) {
		rest(c, s->compact_age / RESTS);
		return;
	}
	c->g = g;
	g->emptied = true;
	scan_open(&c->scan, g, 0);
	c->scan.bodies = false;
	c->scan.chunk = WALK_CHUNK;
	c->step = ST_WALK;
}

/* ---- what lives in it ---- */

static void
note(struct compact *c)
{
	if (!marks_live(c->scan.marks, c->scan.head.nrcpt))
		return;
	if (c->n == c->cap) {
		c->cap = c->cap * 2 + 64;
		c->rec = xreallocarray(c->rec, c->cap, sizeof *c->rec);
	}
	c->rec[c->n++] = (struct live_rec){ c->scan.at, c->scan.len };
	c->bytes += c->scan.len;
	if (c->scan.len > c->longest)
		c->longest = c->scan.len;
}

static bool
sparse(const struct spool *s)
{
	const struct compact *c = s->compact;

	return c->bytes * (s->low ? SPARSE_LOW : SPARSE) <= c->g->size;
}

/* Short of space the copies must fit into what is there already. */
static bool
fits(const struct spool *s)
{
	return !s->low || s->compact->bytes + s->compact->longest + SHARED_MAX / 8 <= commit_room(s);
}

static void
walk(struct spool *s)
{
	struct compact *c = s->compact;
	uint64_t until = now_us() + SLICE_US;
	enum scan_what what = SCAN_GOOD;

	while (sparse(s) && now_us() < until && (what = scan_next(&c->scan)) != SCAN_END && what != SCAN_SEAL)
		if (what == SCAN_GOOD)
			note(c);
	if (sparse(s) && what != SCAN_END && what != SCAN_SEAL)
		return;
	if (!sparse(s) || c->n == 0 || !fits(s)) {
		c->g->walked = sparse(s) && c->n > 0 ? 0 : c->g->live;
		let_be(s);
		return;
	}
	/* The next start must look for two copies before the first can be there. */
	if (!c->g->rescan && seg_rescan(s, c->g, true) == -1) {
		let_be(s);
		rest(c, BACKOFF_MS);
		return;
	}
	s->overdue |= s->low;
	c->step = ST_DOUBT;
}

static void
doubt(struct spool *s)
{
	struct seg *g = s->compact->g;

	if (g->failed)
		let_be(s);
	else if (!g->dirty && !g->busy)
		s->compact->step = ST_COPY;
}

/* ---- copying ---- */

/* The copy that lost is void. If that cannot be said, the old segment must be there when the next start sees both. */
static void
give_up_copy(struct spool *s, const struct copy *y, struct loc to)
{
	struct seg *g = seg_find(s, y->from.seg);

	if (spool_mark(s, to, 0, MARK_MOVED) == -1 && g != NULL)
		g->keep = true;
	spool_final(s, to);
}

/* Nobody touched it since it was read. */
static bool
unchanged(struct spool *s, const struct copy *y)
{
	const struct compact *c = s->compact;
	uint8_t *marks = xmalloc(y->what.head.nrcpt);
	const struct seg *g = seg_find(s, y->from.seg);
	bool same = g != NULL &&
	    spool_read(s, y->from.seg, y->from.off + REC_HEAD, marks, y->what.head.nrcpt) == (ssize_t)y->what.head.nrcpt &&
	    marks_decode(marks, marks, y->what.head.nrcpt, g->version) == 0 && memcmp(marks, y->what.marks, y->what.head.nrcpt) == 0;

	free(marks);
	return same && c->movers.may(c->movers.arg, y->id, y->from);
}

static void
copied(void *arg, int error, struct loc to, uint64_t body_off)
{
	struct copy *y = arg;
	struct spool *s = y->s;
	struct compact *c = s->compact;
	struct seg *g = seg_find(s, y->from.seg);

	(void)body_off;
	c->flying--;
	if (error != 0) {
		if (g != NULL && to.seg != 0)
			g->keep = true;	/* of the copy something may be there */
		c->failed = true;
	} else if (!unchanged(s, y) || spool_mark(s, y->from, 0, MARK_MOVED) == -1) {
		give_up_copy(s, y, to);
	} else {
		c->movers.moved(c->movers.arg, y->id, y->from, to);
		spool_final(s, y->from);
	}
	free(y);
}

/* Points what into the bytes; false if they are not what they should be. */
static bool
dissect(const struct seg *g, struct copy *y, uint64_t len)
{
	struct copied *w = &y->what;
	struct p_env env;
	struct rd r;

	if (!rec_get(y->bytes, g->rnd, &w->head) || !rec_fits(&w->head, len) || rec_len(&w->head) != len)
		return false;
	marks_decode(y->bytes + REC_HEAD, y->bytes + REC_HEAD, w->head.nrcpt, g->version);
	w->marks = y->bytes + REC_HEAD;
	w->env = y->bytes + rec_env_off(&w->head);
	w->bytes = y->bytes + rec_body_off(&w->head);
	if (!rec_envelope_ok(y->bytes, &w->head, w->env) || crc32c(0, w->bytes, w->head.body_len) != w->head.body_crc ||
	    !marks_live(w->marks, w->head.nrcpt))
		return false;
	r = (struct rd){ w->env, w->head.env_len, false };
	p_env_get(&r, &env);
	y->id = env.id;
	p_env_free(&env);
	return !r.bad;
}

/* -> bytes on their way; 0: this one stays where it is */
static uint64_t
copy_one(struct spool *s, const struct live_rec *rec)
{
	struct compact *c = s->compact;
	struct copy *y;

	if (rec->len > SHARED_MAX || rec->len > s->seg_bytes - SEG_HEAD - 2 * REC_HEAD)
		return 0;
	y = xmalloc(sizeof *y + rec->len);
	y->s = s;
	y->from = (struct loc){ c->g->no, rec->off };
	if (spool_read(s, c->g->no, rec->off, y->bytes, rec->len) != (ssize_t)rec->len || !dissect(c->g, y, rec->len) ||
	    !c->movers.may(c->movers.arg, y->id, y->from)) {
		free(y);
		return 0;
	}
	c->flying++;
	commit_copy(s, &y->what, copied, y);
	return rec->len;
}

static void
end(struct spool *s)
{
	struct compact *c = s->compact;
	bool failed = c->failed;

	if (c->g->live == 0) {
		log_debug("segment %08x is emptied: %zu messages moved", c->g->no, c->n);
		s->emptied++;
	} else
		c->g->born = ev_now_ms();	/* what is in memory now is seen to later */
	let_be(s);
	rest(c, failed ? BACKOFF_MS : s->low ? 0 : s->compact_age / RESTS);
}

static void
copy(struct spool *s)
{
	struct compact *c = s->compact;
	uint64_t bytes = 0, until = now_us() + SLICE_US;

	if (c->flying > 0)
		return;
	if (c->failed || c->at == c->n) {
		end(s);
		return;
	}
	while (c->at < c->n && c->flying < ROUND_N && bytes < ROUND_BYTES && now_us() < until)
		bytes += copy_one(s, &c->rec[c->at++]);
}

void
spool_compact(struct spool *s, const struct spool_movers *movers)
{
	static void (*const steps[])(struct spool *) = { [ST_PICK] = pick, [ST_WALK] = walk, [ST_DOUBT] = doubt, [ST_COPY] = copy };
	struct compact *c = s->compact;
	enum step step = c->step;

	if (ev_now_ms() < c->not_before && !(s->low && step != ST_PICK))
		return;
	c->movers = *movers;
	steps[step](s);
	if (c->not_before <= ev_now_ms() && step != ST_DOUBT && c->flying == 0)
		rest(c, s->low || c->step != step ? 0 : s->compact_age / RESTS);
}
