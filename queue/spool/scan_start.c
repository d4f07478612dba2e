/*
 * recover: start-up. Looks at every segment of earlier runs, reports what the index does not know, puts damage aside.
 *
 * Called by spool_open, once. STATES.md says what is done about each thing that can be found. No content of a file is fatal.
 */
#include <sys/stat.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "mail/qid.h"
#include "spool/spool_priv.h"
#include "base/xmalloc.h"

struct numbers {
	uint32_t	*v;
	size_t		 n, cap;
};

/* ---- quarantine ---- */

static int
copy_range(int from, int to, uint64_t off, uint64_t len)
{
	char block[65536];
	uint64_t done = 0;
	size_t want;
	ssize_t n;

	while (done < len) {
		want = len - done < sizeof block ? len - done : sizeof block;
		n = pread(from, block, want, (off_t)(off + done));
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {		/* cannot be read: zeros stand for it */
			want = want < 4096 ? want : 4096;
			memset(block, 0, want);
			n = (ssize_t)want;
		}
		if (n == 0)
			break;
		if (pwrite_all(to, block, (size_t)n, done) == -1)
			return -1;
		done += (uint64_t)n;
	}
	return fsync(to);
}

/* A copy of a damaged stretch for people to look at; once for each place. */
int
quarantine(int fd, uint32_t seg, uint64_t off, uint64_t len)
{
	char name[64];
	int to, rc;

	snprintf(name, sizeof name, "quarantine/%08x-%llx", seg, (unsigned long long)off);
	if ((to = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)) == -1) {
		if (errno == EEXIST)
			return 0;
		log_error("cannot make %s: %m", name);
		return -1;
	}
	if ((rc = copy_range(fd, to, off, len)) == -1) {
		log_error("cannot write %s: %m", name);
		unlink(name);
	} else
		log_error("%llu damaged bytes are kept in %s", (unsigned long long)len, name);
	close(to);
	return rc;
}

/* ---- one segment's records ---- */

static bool
decode(const struct scan *sc, struct p_env *env)
{
	struct rd r = { sc->env, sc->head.env_len, false };

	p_env_get(&r, env);
	if (!r.bad && r.left == 0 && env->rcpts_n == sc->head.nrcpt)
		return true;
	p_env_free(env);
	return false;
}

static bool
report(struct spool *s, struct seg *g, struct scan *sc, bool bad, const struct spool_hooks *hooks)
{
	struct spool_record r = { .loc = { g->no, sc->at }, .doubtful = g->rescan };

	if (!decode(sc, &r.env)) {
		log_error("segment %08x: the envelope at %llu cannot be read", g->no, (unsigned long long)sc->at);
		return quarantine(g->fd, g->no, sc->at, sc->len) == 0;
	}
	if (sc->wrong > 0)
		marks_mended(s, r.loc, sc->wrong, sc->marks, sc->head.nrcpt);
	r.marks = sc->marks;
	r.damaged = bad;
	r.letters = g->version == MARKS_LETTERS;
	r.body_off = sc->at + rec_body_off(&sc->head);
	r.body_len = sc->head.body_len;
	hooks->record(hooks->arg, &r);
	p_env_free(&r.env);
	return true;
}

/* A stretch that is no record: it is kept for people. */
static bool
put_aside(struct seg *g, const struct scan *sc)
{
	log_error("segment %08x is damaged at %llu", g->no, (unsigned long long)sc->at);
	return quarantine(g->fd, g->no, sc->at, sc->len) == 0;
}

/*
 * The envelope is good, the message is not. Whether it was answered cannot be told of the last one, so it lives as any other: deliver finds
 * what is wrong, and it is held. Nobody needs the bytes of what is done.
 */
static bool
damaged(struct spool *s, struct seg *g, struct scan *sc, const struct spool_hooks *hooks)
{
	bool kept;

	if (!marks_live(sc->marks, sc->head.nrcpt))
		return report(s, g, sc, true, hooks);
	log_error("segment %08x: the message at %llu is damaged", g->no, (unsigned long long)sc->at);
	kept = quarantine(g->fd, g->no, sc->at, sc->len) == 0;
	return report(s, g, sc, true, hooks) && kept;
}

/* -> up to where the segment need not be looked at again */
static uint64_t
scan_segment(struct spool *s, struct seg *g, uint64_t from, const struct spool_hooks *hooks)
{
	enum scan_what what;
	bool complete = true;
	struct scan sc;

	scan_open(&sc, g, from);
	while ((what = scan_next(&sc)) != SCAN_END && what != SCAN_SEAL) {
		if (what == SCAN_GOOD)
			complete &= report(s, g, &sc, false, hooks);
		else if (sc.env != NULL)
			complete &= damaged(s, g, &sc, hooks);
		else if (what == SCAN_DAMAGE)
			complete &= put_aside(g, &sc);
		else
			log_info("segment %08x ends in a torn record at %llu, which was never answered", g->no, (unsigned long long)sc.at);
	}
	if (sc.unreadable)
		log_error("segment %08x cannot be read in full; it is kept", g->no);
	complete &= !sc.unreadable;
	scan_free(&sc);
	g->keep = !complete;
	return complete ? g->size : 0;
}

/* ---- one file ---- */

/* The header is damaged. The first record stands where no message's bytes can be, so its random bytes may be believed. */
static bool
salvage(int fd, uint64_t size, struct seg_head *h)
{
	uint8_t p[REC_HEAD], mark;
	struct scan sc;
	bool good;

	if (pread(fd, p, sizeof p, SEG_HEAD) != REC_HEAD || !rec_rnd(p, h->rnd))
		return false;
	/* An earlier version's header may be gone, but not the letters of its marks. */
	h->version = pread(fd, &mark, 1, SEG_HEAD + REC_HEAD) == 1 && mark_is_letter(mark) ? MARKS_LETTERS : SEG_VERSION;
	h->kind = SEG_SHARED;
	scan_init(&sc, fd, size, h, 0);
	good = scan_next(&sc) == SCAN_GOOD;
	h->kind = good && sc.off == size ? SEG_OWN : SEG_SHARED;
	h->rescan = true;
	h->made = 0;
	scan_free(&sc);
	return good;
}

static bool
all_zeros(int fd)
{
	static const char zeros[65536];
	char block[sizeof zeros];
	uint64_t off;
	ssize_t n;

	for (off = 0; (n = pread(fd, block, sizeof block, (off_t)off)) > 0; off += (uint64_t)n)
		if (memcmp(block, zeros, (size_t)n) != 0)
			return false;
	return n == 0;
}

static void
not_a_segment(int fd, const char *name)
{
	char to[64];

	if (all_zeros(fd)) {
		log_debug("%s was never begun", name);
		unlink(name);
		return;
	}
	snprintf(to, sizeof to, "quarantine/seg-%s-%llx", name + 4, (unsigned long long)ev_time_ms());
	if (rename(name, to) == -1)
		log_error("%s is no segment; it cannot be moved to quarantine/: %m", name);
	else
		log_error("%s is no segment; moved to %s", name, to);
}

#define UNOPENED_MS	5000

/* It is there, that is all. Its rows and its file stay. */
static struct seg *
unopened(struct spool *s, uint32_t no, const char *name)
{
	struct seg_head h = { .version = SEG_VERSION };
	struct seg *g;

	log_error("cannot read %s: %m; what is in it waits", name);
	g = seg_add(s, no, &h, 0, -1);
	g->unopened = g->keep = true;
	s->unopened++;
	return g;
}

bool
spool_turned_up(struct spool *s)
{
	uint8_t p[SEG_HEAD];
	bool readable = false;
	struct seg *g;
	char name[32];
	int fd;

	if (s->unopened == 0 || ev_now_ms() < s->unopened_next)
		return false;
	if (s->unopened_next > 0)
		RB_FOREACH(g, segs, &s->segs) {
			if (!g->unopened)
				continue;
			seg_name(name, g->no);
			if ((fd = open(name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)) == -1)
				continue;
			readable |= pread(fd, p, sizeof p, 0) != -1;
			close(fd);
		}
	s->unopened_next = ev_now_ms() + UNOPENED_MS;
	ev_timer_set(&s->unopened_timer, UNOPENED_MS);
	if (readable)
		log_warn("a segment that could not be read before can be read now");
	return readable;
}

int64_t
spool_last_made(const struct spool *s)
{
	return s->last_made;
}

static struct seg *
no_file(const char *name)
{
	if (errno != ENOENT)
		log_error("%s is no regular file; left alone", name);
	return NULL;
}

/* Opens it and reads its header; NULL if it is none of ours, or gone. */
static struct seg *
take_in(struct spool *s, uint32_t no)
{
	uint8_t p[SEG_HEAD];
	struct seg_head h;
	struct seg *g;
	struct stat st;
	char name[32];
	ssize_t n;
	int fd;

	seg_name(name, no);
	if (s->nopen >= SEG_FDS)
		seg_trim(s);
	if ((fd = open(name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)) == -1)
		return errno == ENOENT || errno == ELOOP || errno == EISDIR || errno == ENXIO ? no_file(name) : unopened(s, no, name);
	if (fstat(fd, &st) == -1) {
		log_error("cannot look at %s: %m", name);
	} else if (!S_ISREG(st.st_mode)) {
		log_error("%s is no regular file; left alone", name);
	} else if ((n = pread(fd, p, sizeof p, 0)) == -1) {
		g = unopened(s, no, name);
		close(fd);
		return g;
	} else if ((n == SEG_HEAD && seg_head_get(p, &h)) || salvage(fd, (uint64_t)st.st_size, &h)) {
		g = seg_add(s, no, &h, (uint64_t)st.st_size, fd);
		g->rescan = h.rescan;
		if (h.made > s->last_made)
			s->last_made = h.made;
		return g;
	} else
		not_a_segment(fd, name);
	if (fd != -1)
		close(fd);
	return NULL;
}

static void
recover_one(struct spool *s, uint32_t no, const struct spool_hooks *hooks)
{
	struct seg *g = take_in(s, no);
	uint64_t from, end;

	if (g == NULL)
		return;
	g->sealed = true;
	if (g->unopened) {
		if (hooks->unopened != NULL)
			hooks->unopened(hooks->arg, no);
		return;
	}
	/* What is only in the page cache, marks too, may not become the reason for a mark elsewhere, or for none. */
	if (!s->synced && fdatasync(g->fd) == -1)
		seg_fail(s, g, errno, "sync");
	from = hooks->scanned(hooks->arg, no, g->rnd);
	if (g->rescan)
		from = 0;
	end = g->size;
	if (from < g->size)
		end = scan_segment(s, g, from, hooks);
	hooks->segment(hooks->arg, no, g->rnd, end);
	seg_candidate(s, g);
}

/* ---- the folder ---- */

static bool
number_of(const char *name, uint32_t *no)
{
	char again[16];
	char *end;

	*no = (uint32_t)strtoul(name, &end, 16);
	snprintf(again, sizeof again, "%08x", *no);
	return strcmp(again, name) == 0;
}

static int
by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static struct numbers
list_segments(void)
{
	struct numbers l = { NULL, 0, 0 };
	struct dirent *e;
	DIR *d = opendir("seg");
	uint32_t no;

	if (d == NULL)
		fatal("cannot read seg/");
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		if (!number_of(e->d_name, &no)) {
			log_warn("seg/%s is none of ours; left alone", e->d_name);
			continue;
		}
		if (l.n == l.cap) {
			l.cap = l.cap > 0 ? l.cap * 2 : 64;
			l.v = xreallocarray(l.v, l.cap, sizeof *l.v);
		}
		l.v[l.n++] = no;
	}
	closedir(d);
	if (l.n > 0)
		qsort(l.v, l.n, sizeof *l.v, by_number);
	return l;
}

void
recover(struct spool *s, const struct spool_hooks *hooks)
{
	struct numbers l = list_segments();
	size_t i;

	/* One call, where it works: marks that the last run wrote and nobody synced are in segments that are not scanned any more, too. */
	s->synced = syncfs(s->dir_fd) == 0;
	if (l.n > 0)
		s->last_no = l.v[l.n - 1];
	for (i = 0; i < l.n; i++)
		recover_one(s, l.v[i], hooks);
	free(l.v);
}

/* The order on the disk: what was settled first, then that there is no doubt any more. */
void
spool_settled(struct spool *s)
{
	struct seg *g;
	bool all = true;

	RB_FOREACH(g, segs, &s->segs)
		if (g->dirty && fdatasync(g->fd) == -1)
			all = false;
	RB_FOREACH(g, segs, &s->segs)
		if (all && g->rescan && !g->keep && !g->failed)
			seg_rescan(s, g, false);
}
