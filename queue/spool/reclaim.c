/*
 * reclaim: segments in which nothing lives any more, spare files, and the next segment made ahead.
 *
 * spool_reclaim is called each turn by the main loop; it looks at candidates only, a slice at a time. Whatever the counters say, no file goes
 * before the marks in it were read and found final: counters are memory, marks are the truth.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"
#include "spool/spool_priv.h"
#include "base/xmalloc.h"

#define SLICE_US	1000		/* of a turn */
#define WALK_CHUNK	1024

/* A segment whose marks are read, before it goes. It is "emptied" meanwhile. */
struct checking {
	struct seg	*g;			/* NULL: none */
	struct scan	 scan;
	bool		 final;			/* so far */
};

/* ---- one segment is read, a slice at a time ---- */

static void
check_begin(struct spool *s, struct seg *g)
{
	struct checking *c = s->checking;

	g->emptied = true;
	c->g = g;
	c->final = seg_fd(s, g) != -1;
	if (!c->final)
		return;
	scan_open(&c->scan, g, 0);
	c->scan.bodies = false;
	c->scan.chunk = WALK_CHUNK;
}

/* A damaged stretch is no reason to keep the rest, once it is in quarantine. -> there is more to read */
static bool
check_more(struct checking *c)
{
	uint64_t until = ev_busy_us() + SLICE_US;
	enum scan_what what = SCAN_GOOD;

	while (c->final && ev_busy_us() < until && (what = scan_next(&c->scan)) != SCAN_END && what != SCAN_SEAL)
		c->final = what == SCAN_GOOD ? !marks_live(c->scan.marks, c->scan.head.nrcpt) :
		    what == SCAN_TORN || quarantine(c->g->fd, c->g->no, c->scan.at, c->scan.len) == 0;
	return c->final && what != SCAN_END && what != SCAN_SEAL;
}

static struct seg *
check_end(struct spool *s, bool *final)
{
	struct checking *c = s->checking;
	struct seg *g = c->g;

	*final = c->final && !c->scan.unreadable;
	scan_free(&c->scan);
	*c = (struct checking){ .g = NULL };
	g->emptied = false;
	return g;
}

void
reclaim_open(struct spool *s)
{
	s->checking = xcalloc(1, sizeof *s->checking);
}

void
reclaim_close(struct spool *s)
{
	scan_free(&s->checking->scan);
	free(s->checking);
}

/* The counters were wrong. It stays, and the next start looks at all of it. */
static void
keep(struct spool *s, struct seg *g)
{
	log_error("segment %08x: not all in it is done, though it was counted so; it is kept", g->no);
	g->keep = true;
	seg_rescan(s, g, true);
}

static bool
worth_keeping(const struct spool *s, const struct seg *g)
{
	return g->kind == SEG_SHARED && g->size == s->seg_bytes && !g->failed && s->nspare < SPARES && s->roomy;
}

static void
tell_gone(struct spool *s, uint32_t no)
{
	size_t i;

	for (i = 0; i < sizeof s->gone / sizeof s->gone[0] && s->gone[i].cb != NULL; i++)
		s->gone[i].cb(s->gone[i].arg, no);
}

static void
let_go(struct spool *s, struct seg *g)
{
	struct spare *sp = &s->spare[s->nspare];
	bool spare = worth_keeping(s, g);
	char name[32];

	tell_gone(s, g->no);
	seg_name(name, g->no);
	if (spare)
		snprintf(sp->name, sizeof sp->name, "tmp/f-%llx", (unsigned long long)++s->tmp_no);
	if ((spare ? rename(name, sp->name) : unlink(name)) == -1 && errno != ENOENT) {
		log_error("cannot give up %s: %m", name);
		g->keep = true;
		return;
	}
	dir_changed(s);
	if (spare) {
		s->nspare++;
		sp->fd = seg_take_fd(s, g);
	}
	seg_free(s, g);
}

void
spare_drop(struct spool *s)
{
	struct spare *sp = &s->spare[--s->nspare];

	unlink(sp->name);
	close(sp->fd);
}

/* The next one to be looked at; it is no candidate then. */
static struct seg *
next_candidate(struct spool *s)
{
	struct seg *g, *more;

	TAILQ_FOREACH_SAFE(g, &s->cands, cand_link, more) {
		if (g->busy || g->emptied)
			continue;
		TAILQ_REMOVE(&s->cands, g, cand_link);
		g->cand = false;
		if (g->live == 0 && !g->keep)
			return g;
	}
	return NULL;
}

static void
look(struct spool *s)
{
	uint64_t until = ev_busy_us() + SLICE_US;
	struct seg *g;
	bool final;

	do {
		if (s->checking->g == NULL) {
			if ((g = next_candidate(s)) == NULL)
				return;
			check_begin(s, g);
		}
		if (check_more(s->checking))
			break;
		g = check_end(s, &final);
		if (g->live > 0)
			continue;
		if (g->busy || g->emptied)	/* since the look began: a sync under way has it in hand */
			seg_candidate(s, g);
		else if (final)
			let_go(s, g);
		else
			keep(s, g);
	} while (ev_busy_us() < until);
	ev_wake();
}

void
spool_reclaim(struct spool *s)
{
	look(s);
	if (s->low && s->nspare > 0)
		spare_drop(s);
	make_ahead(s);
}

void
spool_on_gone(struct spool *s, void (*gone)(void *, uint32_t), void *arg)
{
	size_t i;

	for (i = 0; i < sizeof s->gone / sizeof s->gone[0]; i++)
		if (s->gone[i].cb == NULL) {
			s->gone[i].cb = gone;
			s->gone[i].arg = arg;
			return;
		}
	fatalx("too many want to know which segments go");
}
