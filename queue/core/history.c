/*
 * history: see history.h. Called by result and act (add), main (run), the control verbs (page).
 *
 * Owns the block that is being filled. A block is results one behind the other, in the codec of common/base/buf.h; what cannot be
 * decoded is passed over. When the index is broken results are dropped.
 */
#include <string.h>
#include "program/child.h"
#include "proc/clock.h"
#include "proc/ev.h"
#include "core/history.h"
#include "index/history.h"

#define BLOCK_BYTES	(64 * 1024)
#define BLOCK_MS	1000
#define TEXT_MAX	1000			/* of a reply */
#define TRIM_MAX	8			/* old blocks that go with a new one */

static struct {
	struct index	*index;
	struct buf	 block;
	uint32_t	 results;		/* in it */
	int64_t		 since;			/* of its first */
	uint64_t	 stored;		/* in index.db */
	struct ev_timer	 timer;
} hi;

const char *
history_word(enum history_what what)
{
	static const char *const name[HISTORY__N] = { [HISTORY_SENT] = "sent", [HISTORY_DEFERRED] = "deferred",
	    [HISTORY_BOUNCED] = "bounced", [HISTORY_EXPIRED] = "expired", [HISTORY_REMOVED] = "removed" };

	return name[what];
}

static void
put_part(struct buf *b, const char *s)
{
	size_t n = strnlen(s, TEXT_MAX);

	put_u16(b, (uint16_t)n);
	buf_add(b, s, n);
	put_u8(b, '\0');
}

static const char *
get_part(struct rd *r)
{
	size_t n = get_u16(r);
	const char *s = (const char *)r->p;

	if (r->bad || r->left <= n || s[n] != '\0') {
		r->bad = true;
		return "";
	}
	r->p += n + 1;
	r->left -= n + 1;
	return s;
}

void
history_add(const struct message *m, uint32_t n, enum history_what what, unsigned code, const char *dsn, const char *text,
    const char *relay)
{
	struct buf *b = &hi.block;

	if (hi.index == NULL)
		return;
	if (hi.results++ == 0) {
		hi.since = clock_now();
		ev_timer_set(&hi.timer, BLOCK_MS);
	}
	put_u64(b, m->id);
	put_i64(b, ev_time_ms());
	put_i64(b, m->env.arrival);
	put_i64(b, m->env.uid);
	put_u8(b, (uint8_t)what);
	put_u32(b, m->rcpts[n].attempts + (what <= HISTORY_BOUNCED));
	put_u16(b, (uint16_t)code);
	put_part(b, m->env.sender);
	put_part(b, m->env.rcpts[n].addr);
	put_part(b, m->message_id);
	put_part(b, relay);
	put_part(b, dsn);
	put_part(b, text);
}

static void
trim(void)
{
	const struct conf *c = child_conf();
	int64_t now = clock_now() < ev_time_ms() ? clock_now() : ev_time_ms();	/* a jump ahead ends nothing */
	int64_t before = now - (int64_t)c->limit[LIM_HISTORY];
	uint32_t gone;
	int i;

	for (i = 0; i < TRIM_MAX; i++) {
		gone = index_history_trim(hi.index, before, hi.stored > c->limit[LIM_HISTORY_RESULTS]);
		if (gone == 0)
			return;
		hi.stored -= gone < hi.stored ? gone : hi.stored;
	}
}

static void
store(void)
{
	if (hi.results == 0)
		return;
	if (index_history_put(hi.index, ev_time_ms(), hi.results, (struct blob){ buf_data(&hi.block), hi.block.len }) == 0) {
		hi.stored += hi.results;
		trim();
	}
	hi.results = 0;
	buf_reset(&hi.block, 2 * BLOCK_BYTES);
}

void
history_run(bool end)
{
	if (hi.results > 0 && (end || hi.block.len >= BLOCK_BYTES || clock_now() - hi.since >= BLOCK_MS))
		store();
	if (end)
		ev_timer_clear(&hi.timer);
}

static void
each(struct blob block, void (*cb)(void *, const struct history_result *), void *arg)
{
	struct rd r = { block.p, block.len, false };
	struct history_result h;
	uint8_t what;

	while (r.left > 0 && !r.bad) {
		h.id = get_u64(&r);
		h.when = index_time(get_i64(&r));
		h.arrival = index_time(get_i64(&r));
		h.uid = get_i64(&r);
		what = get_u8(&r);
		h.what = what < HISTORY__N ? (enum history_what)what : HISTORY_DEFERRED;
		h.attempt = get_u32(&r);
		h.code = get_u16(&r);
		h.sender = get_part(&r);
		h.addr = get_part(&r);
		h.message_id = get_part(&r);
		h.relay = get_part(&r);
		h.dsn = get_part(&r);
		h.text = get_part(&r);
		if (!r.bad)
			cb(arg, &h);
	}
}

struct asked {
	void		(*cb)(void *, const struct history_result *);
	void		*arg;
};

static void
block_cb(void *arg, struct blob block)
{
	struct asked *a = arg;

	each(block, a->cb, a->arg);
}

bool
history_page(uint64_t *seq, void (*cb)(void *, const struct history_result *), void *arg)
{
	struct asked a = { cb, arg };

	store();
	return index_history_next(hi.index, seq, block_cb, &a);
}

/* The loop turns, and history_run with it. */
static void
timer(void *arg)
{
	(void)arg;
}

void
history_init(struct index *ix)
{
	hi.index = ix;
	hi.stored = index_history_sum(ix);
	ev_timer_init(&hi.timer, timer, NULL);
}
