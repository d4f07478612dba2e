/*
 * recovery: what start-up does with what the last run left.
 *
 * Called by main once, before any mail moves. Records with something to do get their row; rows whose segment is gone are dropped;
 * a message that compaction left in two places has one again; a notice that is found sets the marks of its parent (its sender was told, or will be by that notice). Fatal only where the
 * spool itself is unusable (spool_open).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/act_mark.h"
#include "mail/addr.h"
#include "notice/bounce.h"
#include "spool/copies.h"
#include "base/log.h"
#include "notice/notice.h"
#include "mail/qid.h"
#include "core/startup.h"
#include "base/xmalloc.h"

struct birth_found {
	uint64_t	 parent;
	uint8_t		 kind;
	char		*trail;
};

struct recovery {
	struct index		*index;
	uint32_t		*seg;		/* all there are */
	size_t			 nseg, cap;
	struct birth_found	*birth;
	size_t			 nbirth, birth_cap;
	struct copies		*copies;
	uint64_t		 records;
	uint32_t		 run;		/* the latest that an id is from */
};

/* It is there: its rows are not dropped. */
static void
present(void *arg, uint32_t seg)
{
	struct recovery *r = arg;

	if (r->nseg == r->cap) {
		r->cap = r->cap * 2 + 64;
		r->seg = xreallocarray(r->seg, r->cap, sizeof(*r->seg));
	}
	r->seg[r->nseg++] = seg;
}

static uint64_t
scanned(void *arg, uint32_t seg, const uint8_t rnd[16])
{
	struct recovery *r = arg;

	present(arg, seg);
	return index_scanned(r->index, seg, rnd);
}

static void
segment(void *arg, uint32_t seg, const uint8_t rnd[16], uint64_t end)
{
	struct recovery *r = arg;

	index_segment(r->index, seg, rnd, end);
	index_turn(r->index, true);
}

static void
keep_birth(struct recovery *r, const struct p_env *e)
{
	if (r->nbirth == r->birth_cap) {
		r->birth_cap = r->birth_cap * 2 + 16;
		r->birth = xreallocarray(r->birth, r->birth_cap, sizeof(*r->birth));
	}
	r->birth[r->nbirth++] = (struct birth_found){ e->parent, e->birth, xstrdup(e->rcpts[0].trail) };
}

static void
put_row(struct recovery *r, struct loc loc, const struct p_env *e, const uint8_t *marks, uint64_t size)
{
	struct index_msg row = { .id = e->id, .loc = loc, .arrival = e->arrival, .sender = e->sender, .tag = e->tag,
	    .message_id = "", .size = size, .uid = e->uid };
	uint32_t i;

	row.rcpts = xcalloc(e->rcpts_n + 1, sizeof(*row.rcpts));
	for (i = 0; i < e->rcpts_n; i++)
		if (!mark_final(marks[i]))
			row.rcpts[row.nrcpt++] = (struct index_rcpt){ .n = i, .addr = e->rcpts[i].addr,
			    .domain = addr_domain(e->rcpts[i].addr), .action = e->rcpts[i].action,
			    .mark = marks[i] == MARK_HELD ? MARK_HELD : MARK_PENDING, .reply = "" };
	if (row.nrcpt > 0) {
		r->records++;
		index_put(r->index, &row);
	}
	free(row.rcpts);
}

/* Its row may be older than its marks: an end in the midst of a transaction takes back what rows say, but no mark. */
static void
fit_row(struct index *ix, uint64_t id, const uint8_t *marks, uint32_t n)
{
	struct index_msg *row = index_get(ix, id);
	struct index_rcpt *rcpt;
	uint32_t i;

	for (i = 0; row != NULL && i < row->nrcpt; i++) {
		rcpt = &row->rcpts[i];
		if (rcpt->n >= n || mark_final(marks[rcpt->n])) {
			index_rcpt_final(ix, id, rcpt->n);
		} else if ((rcpt->mark == MARK_HELD) != (marks[rcpt->n] == MARK_HELD) || act_of_mark(marks[rcpt->n]) != ACT_NONE) {
			rcpt->mark = marks[rcpt->n] == MARK_HELD ? MARK_HELD : MARK_PENDING;
			rcpt->due = 0;
			index_rcpt(ix, id, rcpt);
		}
	}
	index_msg_free(row);
}

/* A notice that is on the disk is known to its sender, or will be; one that was removed may, in an old segment, be one that never was answered. */
static bool
is_born(const struct spool_record *rec)
{
	const struct p_env *e = &rec->env;

	return e->birth != BIRTH_NONE && e->birth != BIRTH_ARCHIVE && e->birth != BIRTH_DAMAGED && e->rcpts_n > 0 &&
	    !(rec->letters && rec->marks[0] == MARK_REMOVED);
}

/* Nobody was told that it is there. A row of it is one that an end in the midst of a transaction brought back. */
static void
forget(struct recovery *r, const struct spool_record *rec)
{
	struct loc at;

	if (index_place(r->index, rec->env.id, &at) && at.seg == rec->loc.seg && at.off == rec->loc.off)
		index_delete(r->index, rec->env.id);
}

static void
record(void *arg, const struct spool_record *rec)
{
	struct recovery *r = arg;
	const struct p_env *e = &rec->env;
	bool void_ = marks_void(rec->marks, e->rcpts_n);
	struct loc at;

	if (marks_never(rec->marks, e->rcpts_n)) {
		forget(r, rec);
		return;
	}
	copies_note(r->copies, e->id, rec->loc, rec->doubtful || void_, rec->damaged);
	if (void_)
		return;
	if (is_born(rec))
		keep_birth(r, e);
	if (e->birth == BIRTH_NONE && e->id >> 32 > r->run)
		r->run = (uint32_t)(e->id >> 32);
	if (!index_place(r->index, e->id, &at)) {
		put_row(r, rec->loc, e, rec->marks, rec->body_len);
	} else if (at.seg != rec->loc.seg || at.off != rec->loc.off) {
		/* The row knows more: attempts and due times. Whose marks count is seen when all is scanned. */
		copies_note(r->copies, e->id, at, true, false);
		if (rec->loc.seg > at.seg && !rec->damaged)
			index_move(r->index, e->id, rec->loc);
	} else
		fit_row(r->index, e->id, rec->marks, e->rcpts_n);
}

/* ---- the same message twice ---- */

static bool
place(void *arg, uint64_t id, struct loc *loc)
{
	struct recovery *r = arg;

	return index_place(r->index, id, loc);
}

static void
settled(void *arg, uint64_t id, struct loc loc, const struct spool_env *se)
{
	struct recovery *r = arg;
	struct loc at;

	if (se == NULL) {
		index_delete(r->index, id);
	} else if (!index_place(r->index, id, &at)) {
		put_row(r, loc, &se->env, se->marks, se->body_len);
	} else {
		if (at.seg != loc.seg || at.off != loc.off)
			index_move(r->index, id, loc);
		fit_row(r->index, id, se->marks, se->env.rcpts_n);
	}
}

/* ---- births ---- */

struct parent {
	struct spool	*sp;
	struct index	*ix;
	struct index_msg *row;
	enum mark	 fate;
};

static void
settle_rcpt(void *arg, uint32_t n)
{
	struct parent *p = arg;
	uint32_t i;

	for (i = 0; i < p->row->nrcpt; i++) {
		struct index_rcpt *r = &p->row->rcpts[i];

		if (r->n != n || r->mark != MARK_PENDING)
			continue;
		if (mark_final(p->fate)) {
			spool_mark(p->sp, p->row->loc, n, p->fate);
			index_rcpt_final(p->ix, p->row->id, n);
		} else if (!r->notified) {
			r->notified = true;
			index_rcpt(p->ix, p->row->id, r);
		}
	}
}

static void
settle_parent(struct spool *sp, struct index *ix, const struct birth_found *b)
{
	struct parent p = { .sp = sp, .ix = ix, .row = index_get(ix, b->parent), .fate = bounce_fate(b->kind) };
	struct index_msg *left;

	if (p.row == NULL)
		return;
	log_info("%s: its notice is there: marks set", qid_text(b->parent).s);
	notice_trail_each(b->trail, settle_rcpt, &p);
	if ((left = index_get(ix, b->parent)) == NULL)
		spool_final(sp, p.row->loc);
	index_msg_free(left);
	index_msg_free(p.row);
}

static int
by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void
live(void *arg, uint32_t seg, uint64_t n)
{
	spool_live_set(arg, seg, n);
}

uint32_t
recovery_open(struct spool **sp, struct index **ix)
{
	struct recovery r = { .index = index_open(), .copies = copies_new() };
	struct spool_hooks hooks = { .scanned = scanned, .unopened = present, .record = record, .segment = segment, .arg = &r };
	struct index_count c;
	size_t i;

	*ix = r.index;
	*sp = spool_open(&hooks);
	if (r.nseg > 0)
		qsort(r.seg, r.nseg, sizeof(*r.seg), by_number);
	index_prune(r.index, r.seg, r.nseg);
	copies_settle(r.copies, *sp, &(struct copies_hooks){ place, settled, &r });
	copies_free(r.copies);
	index_turn(r.index, true);
	spool_settled(*sp);
	index_live(r.index, live, *sp);
	for (i = 0; i < r.nbirth; i++) {
		settle_parent(*sp, *ix, &r.birth[i]);
		free(r.birth[i].trail);
	}
	index_turn(r.index, true);
	index_counts(r.index, &c);
	log_info("spool: %llu messages for %llu recipients wait; %llu were found by scanning", (unsigned long long)c.messages,
	    (unsigned long long)c.recipients, (unsigned long long)r.records);
	free(r.birth);
	free(r.seg);
	return r.run;
}
