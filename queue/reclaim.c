/*
 * reclaim: segments in which nothing lives any more, spare files, and the next segment made ahead.
 *
 * spool_reclaim is called each turn by the main loop; it looks at candidates only. Whatever the counters say, no file goes
 * before the marks in it were read and found final: counters are memory, marks are the truth.
 */
#include <errno.h>
#include <unistd.h>
#include "log.h"
#include "spool_priv.h"

#define PER_TURN	4
#define WALK_CHUNK	1024

/* A damaged stretch is no reason to keep the rest, once it is in quarantine. */
static bool
all_final(struct spool *s, struct seg *g)
{
	enum scan_what what;
	struct scan sc;
	bool final = seg_fd(s, g) != -1;

	if (!final)
		return false;
	scan_open(&sc, g, 0);
	sc.bodies = false;
	sc.chunk = WALK_CHUNK;
	while (final && (what = scan_next(&sc)) != SCAN_END && what != SCAN_SEAL)
		final = what == SCAN_GOOD ? !marks_live(sc.marks, sc.head.nrcpt) :
		    what == SCAN_TORN || quarantine(g->fd, g->no, sc.at, sc.len) == 0;
	final &= !sc.unreadable;
	scan_free(&sc);
	return final;
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
let_go(struct spool *s, struct seg *g)
{
	struct spare *sp = &s->spare[s->nspare];
	bool spare = worth_keeping(s, g);
	char name[32];

	if (s->gone != NULL)
		s->gone(s->gone_arg, g->no);
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

void
spool_reclaim(struct spool *s)
{
	struct seg *g, *more;
	int n = 0;

	TAILQ_FOREACH_SAFE(g, &s->cands, cand_link, more) {
		if (g->busy || g->emptied)
			continue;
		if (n++ == PER_TURN) {
			ev_wake();
			break;
		}
		TAILQ_REMOVE(&s->cands, g, cand_link);
		g->cand = false;
		if (g->live > 0 || g->keep)
			continue;
		if (all_final(s, g))
			let_go(s, g);
		else
			keep(s, g);
	}
	if (s->low && s->nspare > 0)
		spare_drop(s);
	make_ahead(s);
}

void
spool_on_gone(struct spool *s, void (*gone)(void *, uint32_t), void *arg)
{
	s->gone = gone;
	s->gone_arg = arg;
}
