/*
 * space: how much of the file system is left, and the spool's numbers.
 *
 * Called by intake and main (spool_low, each turn: looks at most once a second) and control. A file system that cannot be asked
 * counts as having room: the commit finds out.
 */
#include <sys/statvfs.h>
#include "base/log.h"
#include "spool/spool_priv.h"

#define RESERVE		(64ull * 1024 * 1024)
#define RESERVE_FILES	1000ull
#define PART		20		/* at most one in so many of the whole is reserved */
#define GRAIN		(64ull * 1024)

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t
most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* A sixteenth of a small file system. */
uint64_t
space_segment_bytes(void)
{
	struct statvfs v;
	uint64_t part;

	if (statvfs(".", &v) == -1)
		return SEG_BYTES;
	part = (uint64_t)v.f_blocks * v.f_frsize / 16 / GRAIN * GRAIN;
	return most(least(SEG_BYTES, part), SEG_BYTES_MIN);
}

/* percent: how much of the reserve must be free. */
static bool
space_left(const struct spool *s, const struct statvfs *v, uint64_t percent)
{
	uint64_t all = (uint64_t)v->f_blocks * v->f_frsize, avail = (uint64_t)v->f_bavail * v->f_frsize;
	uint64_t bytes = most(least(RESERVE, all / PART), s->seg_bytes);
	uint64_t files = most(least(RESERVE_FILES, v->f_files / PART), 8);

	return avail >= bytes / 100 * percent && (v->f_files == 0 || v->f_favail >= files * percent / 100);
}

void
space_check(struct spool *s)
{
	struct statvfs v;
	bool low;

	if (s->space_next > ev_now_ms() || statvfs(".", &v) == -1)
		return;
	s->space_next = ev_now_ms() + 1000;
	low = !space_left(s, &v, s->low ? 125 : 100);
	s->roomy = space_left(s, &v, 400);
	if (low != s->low)
		log_warn("%s", low ? "the spool is short of space: no new mail for now" : "the spool has space again");
	s->low = low;
}

bool
spool_low(struct spool *s)
{
	space_check(s);
	return s->low;
}

void
spool_stat(struct spool *s, struct spool_stat *st)
{
	struct seg *g;

	*st = (struct spool_stat){ .bytes = s->bytes, .syncs = s->syncs, .commits = s->commits, .memory = s->memory,
	    .emptied = s->emptied, .low = spool_low(s) };
	RB_FOREACH(g, segs, &s->segs)
		st->segments++;
}
