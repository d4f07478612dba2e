/*
 * scan: the records of a segment, one after the other, whatever its bytes are.
 *
 * Called by recover.c (with the messages' CRC) and reclaim.c (without). Reads through a window; owns only that. Never
 * fails: what cannot be read counts as zeros, which no record is made of, and is noted in unreadable.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/crc32c.h"
#include "spool/spool_priv.h"
#include "base/xmalloc.h"

#define CHUNK	(256 * 1024)
#define BLOCK	4096

enum at { AT_NOTHING, AT_BAD, AT_BAD_BODY, AT_SEAL, AT_GOOD };

void
scan_init(struct scan *sc, int fd, uint64_t size, const struct seg_head *h, uint64_t from)
{
	*sc = (struct scan){ .fd = fd, .size = size, .kind = h->kind, .version = h->version, .bodies = true, .chunk = CHUNK };
	sc->off = from < SEG_HEAD ? SEG_HEAD : from;
	memcpy(sc->rnd, h->rnd, RND_LEN);
}

void
scan_open(struct scan *sc, const struct seg *g, uint64_t from)
{
	struct seg_head h = { .version = g->version, .kind = g->kind };

	memcpy(h.rnd, g->rnd, RND_LEN);
	scan_init(sc, g->fd, g->size, &h, from);
}

void
scan_free(struct scan *sc)
{
	free(sc->win);
	free(sc->marks_mem);
	sc->win = sc->marks_mem = NULL;
}

/* n bytes at off into p. After an error goes on block by block. */
static void
fill(struct scan *sc, uint8_t *p, size_t n, uint64_t off)
{
	size_t done = 0, want = n;
	ssize_t k;

	while (done < n) {
		if (want > n - done)
			want = n - done;
		k = pread(sc->fd, p + done, want, (off_t)(off + done));
		if (k == -1 && errno == EINTR)
			continue;
		if (k > 0) {
			done += (size_t)k;
			continue;
		}
		if (want > BLOCK) {
			want = BLOCK;
			continue;
		}
		memset(p + done, 0, want);
		done += want;
		sc->unreadable = true;
	}
}

const uint8_t *
scan_bytes(struct scan *sc, uint64_t off, size_t n)
{
	size_t want = n > sc->chunk ? n : sc->chunk;

	if (off > sc->size || n > sc->size - off)
		return NULL;
	if (off >= sc->win_off && off - sc->win_off <= sc->win_len && n <= sc->win_len - (off - sc->win_off))
		return sc->win + (off - sc->win_off);
	if (want > sc->size - off)
		want = sc->size - off;
	if (want > sc->win_cap) {
		free(sc->win);
		sc->win = xmalloc(want);
		sc->win_cap = want;
	}
	fill(sc, sc->win, want, off);
	sc->win_off = off;
	sc->win_len = want;
	return sc->win;
}

static bool
body_ok(struct scan *sc, uint64_t at)
{
	uint64_t off = at + rec_body_off(&sc->head), left = sc->head.body_len;
	uint32_t crc = 0;
	size_t n;

	for (; left > 0; left -= n, off += n) {
		n = left < CHUNK ? left : CHUNK;
		crc = crc32c(crc, scan_bytes(sc, off, n), n);
	}
	return crc == sc->head.body_crc;
}

static void
read_marks(struct scan *sc, const uint8_t *p)
{
	uint32_t n = sc->head.nrcpt;

	if (n > sc->marks_cap) {
		sc->marks_mem = xreallocarray(sc->marks_mem, n, 1);
		sc->marks_cap = n;
	}
	sc->wrong = marks_decode(sc->marks_mem, p, n, sc->version);
	sc->marks = sc->marks_mem;
}

/* What stands at off; sc->head is set unless it is AT_NOTHING. */
static enum at
look(struct scan *sc, uint64_t off, bool bodies)
{
	const uint8_t *p = scan_bytes(sc, off, REC_HEAD);
	bool good;

	sc->marks = sc->env = NULL;
	if (p == NULL || !rec_get(p, sc->rnd, &sc->head))
		return AT_NOTHING;
	if (!rec_fits(&sc->head, sc->size - off))
		return AT_BAD;
	if (rec_is_seal(&sc->head))
		return rec_envelope_ok(p, &sc->head, p) ? AT_SEAL : AT_BAD;
	if (sc->head.nrcpt == 0 || sc->head.env_len == 0)
		return AT_BAD;
	p = scan_bytes(sc, off, rec_body_off(&sc->head));
	if (!rec_envelope_ok(p, &sc->head, p + rec_env_off(&sc->head)))
		return AT_BAD;
	good = !bodies || body_ok(sc, off);
	p = scan_bytes(sc, off, rec_body_off(&sc->head));	/* the window may have moved on */
	read_marks(sc, p + REC_HEAD);
	sc->env = p + rec_env_off(&sc->head);
	return good ? AT_GOOD : AT_BAD_BODY;
}

/* The next place from off on where a record stands (or the seal); 0: none. */
static uint64_t
find(struct scan *sc, uint64_t off)
{
	uint8_t key[REC_KEY];
	const uint8_t *p, *hit;
	size_t n;

	rec_key(key, sc->rnd);
	while (off < sc->size && sc->size - off >= REC_HEAD) {
		n = sc->size - off < CHUNK ? sc->size - off : CHUNK;
		p = scan_bytes(sc, off, n);
		hit = memmem(p, n, key, REC_KEY);
		if (hit == NULL) {
			off += n - REC_KEY + 1;
			continue;
		}
		off += (uint64_t)(hit - p);
		if (look(sc, off, false) >= AT_BAD_BODY)
			return off;
		off++;
	}
	return 0;
}

static enum scan_what
bad_record(struct scan *sc, enum at what)
{
	uint64_t at = sc->off, next;

	if (what == AT_BAD_BODY) {	/* its lengths are good */
		sc->len = rec_len(&sc->head);
		next = find(sc, at + sc->len);
		look(sc, at, false);
		sc->off = at + sc->len;
	} else {
		next = find(sc, at + 1);
		if (next == 0 && what == AT_NOTHING && (sc->kind == SEG_SHARED || at > SEG_HEAD))
			return SCAN_END;
		sc->marks = sc->env = NULL;
		sc->len = (next != 0 ? next : sc->size) - at;
		sc->off = at + sc->len;
	}
	sc->at = at;
	return next != 0 || sc->kind == SEG_OWN ? SCAN_DAMAGE : SCAN_TORN;
}

enum scan_what
scan_next(struct scan *sc)
{
	enum at what;

	if (sc->off >= sc->size)
		return SCAN_END;
	what = look(sc, sc->off, sc->bodies);
	if (what == AT_SEAL)
		return SCAN_SEAL;
	if (what != AT_GOOD)
		return bad_record(sc, what);
	sc->at = sc->off;
	sc->len = rec_len(&sc->head);
	sc->off += sc->len;
	return SCAN_GOOD;
}
