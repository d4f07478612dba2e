/*
 * index: see index.h. The one owner of sqlite3.h in the queue.
 *
 * Rows gather in a transaction that begins with the first change and ends after 10 ms or when index_turn is forced; offsets,
 * live counts and totals are stored in the same one. The first error breaks the index for this run: every call says so,
 * nothing here ends the process. What SQLite calls corrupt goes to quarantine/ at once, so that the next start makes a new one.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#include "ev.h"
#include "index.h"
#include "index_seg.h"
#include "index_sql.h"
#include "log.h"
#include "xmalloc.h"

#define COMMIT_MS	10
#define WAL_RESERVE	(2200 * 4120)		/* blocks that a full disk cannot take away: a WAL of wal_autocheckpoint pages */
#define CHECK_BYTES	(64 * 1024 * 1024)	/* larger ones are checked by their totals only */

#define ST_ENUM(name, text)	ST_##name,
#define ST_TEXT(name, text)	[ST_##name] = text,
enum st { INDEX_STATEMENTS(ST_ENUM) ST__MAX };
static const char *const statements[] = { INDEX_STATEMENTS(ST_TEXT) };

struct index {
	sqlite3		*db;
	sqlite3_stmt	*st[ST__MAX];
	bool		 broken, memory;
	bool		 begun;			/* a transaction is open */
	uint64_t	 since;			/* ev_now_ms() of its beginning */
	struct ev_timer	 timer;
	struct index_count totals;
	struct iseg_table segs;
};

/* ---- errors ---- */

static void
set_aside(void)
{
	char to[64];
	int64_t now = ev_time_ms();

	snprintf(to, sizeof to, "quarantine/index.db-%llx", (unsigned long long)now);
	if (rename("index.db", to) == -1 && errno != ENOENT) {
		log_error("index.db cannot be moved to quarantine/: %m");
		unlink("index.db");
	}
	snprintf(to, sizeof to, "quarantine/index.db-%llx-wal", (unsigned long long)now);
	if (rename("index.db-wal", to) == -1)
		unlink("index.db-wal");
}

static bool
corrupt_code(int code)
{
	return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB || (code & 0xff) == SQLITE_MISMATCH ||
	    (code & 0xff) == SQLITE_CONSTRAINT || (code & 0xff) == SQLITE_ERROR;
}

static int
fail(struct index *ix, const char *what)
{
	int code = sqlite3_extended_errcode(ix->db);

	if (ix->broken)
		return -1;
	log_error("index.db: %s: %s (%d); it is made again at the next start", what, sqlite3_errmsg(ix->db), code);
	ix->broken = true;
	if (!ix->memory && corrupt_code(code))
		set_aside();
	return -1;
}

/* ---- statements: i = int64_t, t = text, r = 16 random bytes ---- */

static sqlite3_stmt *
bind_v(struct index *ix, enum st which, const char *types, va_list ap)
{
	sqlite3_stmt *st = ix->st[which];
	const char *text;
	int i, rc = SQLITE_OK;

	for (i = 1; types[i - 1] != '\0' && rc == SQLITE_OK; i++)
		switch (types[i - 1]) {
		case 'i':
			rc = sqlite3_bind_int64(st, i, va_arg(ap, int64_t));
			break;
		case 't':
			text = va_arg(ap, const char *);
			rc = sqlite3_bind_text(st, i, text != NULL ? text : "", -1, SQLITE_STATIC);
			break;
		case 'r':
			rc = sqlite3_bind_blob(st, i, va_arg(ap, const uint8_t *), 16, SQLITE_STATIC);
			break;
		}
	if (rc == SQLITE_OK)
		return st;
	fail(ix, "bind");
	return NULL;
}

static sqlite3_stmt *
ask(struct index *ix, enum st which, const char *types, ...)
{
	sqlite3_stmt *st;
	va_list ap;

	if (ix->broken)
		return NULL;
	va_start(ap, types);
	st = bind_v(ix, which, types, ap);
	va_end(ap);
	return st;
}

/* The next row of a statement; at the end (or after an error) it is reset. */
static bool
row(struct index *ix, sqlite3_stmt *st)
{
	int rc;

	if (st == NULL)
		return false;
	if ((rc = sqlite3_step(st)) == SQLITE_ROW)
		return true;
	if (rc != SQLITE_DONE)
		fail(ix, "read");
	sqlite3_reset(st);
	return false;
}

/* One that gives no rows. */
static int
run(struct index *ix, enum st which, const char *types, ...)
{
	sqlite3_stmt *st;
	va_list ap;
	int rc;

	if (ix->broken)
		return -1;
	va_start(ap, types);
	st = bind_v(ix, which, types, ap);
	va_end(ap);
	if (st == NULL)
		return -1;
	rc = sqlite3_step(st);
	if (rc != SQLITE_DONE)
		fail(ix, "write");
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : -1;
}

static const char *
text_col(sqlite3_stmt *st, int i)
{
	const char *s = (const char *)sqlite3_column_text(st, i);

	return s != NULL ? s : "";
}

/* ---- the transaction ---- */

static int
begin(struct index *ix)
{
	if (ix->broken)
		return -1;
	if (ix->begun)
		return 0;
	if (run(ix, ST_BEGIN, "") == -1)
		return -1;
	ix->begun = true;
	ix->since = ev_now_ms();
	ev_timer_set(&ix->timer, COMMIT_MS);
	return 0;
}

static void
store_segments(struct index *ix)
{
	struct iseg *g;

	while ((g = iseg_take_changed(&ix->segs)) != NULL) {
		if (!g->gone) {
			run(ix, ST_SEG_PUT, "irii", (int64_t)g->no, g->rnd, (int64_t)g->scanned, (int64_t)g->live);
			continue;
		}
		run(ix, ST_SEG_DEL, "i", (int64_t)g->no);
		iseg_drop(&ix->segs, g);
	}
}

static void
commit(struct index *ix)
{
	const struct index_count *t = &ix->totals;

	ev_timer_clear(&ix->timer);
	store_segments(ix);
	run(ix, ST_TOTALS_PUT, "iiiii", (int64_t)t->messages, (int64_t)t->recipients, (int64_t)t->deferred, (int64_t)t->held,
	    (int64_t)t->bytes);
	run(ix, ST_COMMIT, "");
	ix->begun = false;
}

void
index_turn(struct index *ix, bool force)
{
	if (ix->begun && !ix->broken && (force || ev_now_ms() - ix->since >= COMMIT_MS))
		commit(ix);
}

/* The loop turns, and index_turn with it. */
static void
turn_soon(void *arg)
{
	(void)arg;
}

bool
index_broken(const struct index *ix)
{
	return ix->broken;
}

/* ---- opening ---- */

static int64_t
pragma_number(sqlite3 *db, const char *text)
{
	sqlite3_stmt *st;
	int64_t v = -1;

	if (sqlite3_prepare_v2(db, text, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		v = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return v;
}

static bool
check_ok(sqlite3 *db, const char *check)
{
	sqlite3_stmt *st;
	bool ok = sqlite3_prepare_v2(db, check, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW &&
	    strcmp(text_col(st, 0), "ok") == 0;

	sqlite3_finalize(st);
	return ok;
}

static bool
ours(sqlite3 *db)
{
	if (pragma_number(db, "PRAGMA user_version") == 0 && pragma_number(db, "SELECT count(*) FROM sqlite_master") == 0)
		return sqlite3_exec(db, index_schema, NULL, NULL, NULL) == SQLITE_OK;
	if (pragma_number(db, "PRAGMA application_id") != INDEX_APPLICATION ||
	    pragma_number(db, "PRAGMA user_version") != INDEX_VERSION)
		return false;
	if (pragma_number(db, "PRAGMA page_count") * 4096 > CHECK_BYTES)
		return true;
	return check_ok(db, "PRAGMA integrity_check(1)");
}

static bool
prepare(struct index *ix)
{
	size_t i;

	for (i = 0; i < ST__MAX; i++)
		if (sqlite3_prepare_v3(ix->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &ix->st[i], NULL) != SQLITE_OK)
			return false;
	return true;
}

static int64_t
number(struct index *ix, enum st which)
{
	sqlite3_stmt *st = ask(ix, which, "");
	int64_t v = -1;

	if (row(ix, st)) {
		v = sqlite3_column_int64(st, 0);
		sqlite3_reset(st);
	}
	return v;
}

/* Segments and totals; false if the totals are not what is there. */
static bool
load(struct index *ix)
{
	sqlite3_stmt *st = ask(ix, ST_SEG_ALL, "");
	struct index_count *t = &ix->totals;
	struct iseg *g;

	while (row(ix, st)) {
		g = iseg_get(&ix->segs, (uint32_t)sqlite3_column_int64(st, 0));
		if (sqlite3_column_bytes(st, 1) == sizeof g->rnd)
			memcpy(g->rnd, sqlite3_column_blob(st, 1), sizeof g->rnd);
		g->scanned = (uint64_t)sqlite3_column_int64(st, 2);
		g->live = (uint64_t)sqlite3_column_int64(st, 3);
	}
	st = ask(ix, ST_TOTALS_GET, "");
	if (!row(ix, st))
		return false;
	t->messages = (uint64_t)sqlite3_column_int64(st, 0);
	t->recipients = (uint64_t)sqlite3_column_int64(st, 1);
	t->deferred = (uint64_t)sqlite3_column_int64(st, 2);
	t->held = (uint64_t)sqlite3_column_int64(st, 3);
	t->bytes = (uint64_t)sqlite3_column_int64(st, 4);
	sqlite3_reset(st);
	return number(ix, ST_COUNT_MSG) == (int64_t)t->messages && number(ix, ST_COUNT_RCPT) == (int64_t)t->recipients &&
	    !ix->broken;
}

/* Only the size of the reserve depends on it, so a file system that cannot do it is no trouble. */
static void
reserve_wal(struct index *ix)
{
	int fd, mb = 1024 * 1024;

	sqlite3_file_control(ix->db, "main", SQLITE_FCNTL_CHUNK_SIZE, &mb);
	if ((fd = open("index.db-wal", O_WRONLY | O_CLOEXEC | O_NOFOLLOW)) == -1)
		return;
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, WAL_RESERVE) == -1)
		log_debug("index.db-wal cannot be made ahead: %m");
	close(fd);
}

/* A second queue has been kept off by the lock already; whoever else has it open must go. */
static void
in_use(const struct index *ix)
{
	int code = sqlite3_errcode(ix->db) & 0xff;

	if (code != SQLITE_BUSY && code != SQLITE_LOCKED)
		return;
	log_error("index.db is in use by another program");
	log_flush();
	exit(EX_TEMPFAIL);
}

static void
close_db(struct index *ix)
{
	size_t i;

	for (i = 0; i < ST__MAX; i++) {
		sqlite3_finalize(ix->st[i]);
		ix->st[i] = NULL;
	}
	sqlite3_close(ix->db);
	ix->db = NULL;
	iseg_free(&ix->segs);
	ix->totals = (struct index_count){ 0 };
	ix->broken = false;
}

/* true: it is open and good. *damaged: there is one, and it is not. */
static bool
open_db(struct index *ix, const char *name, bool *damaged)
{
	bool good;

	*damaged = false;
	if (sqlite3_open_v2(name, &ix->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
	    SQLITE_OPEN_NOFOLLOW, NULL) != SQLITE_OK) {
		close_db(ix);
		return false;
	}
	sqlite3_extended_result_codes(ix->db, 1);
	sqlite3_busy_timeout(ix->db, 10 * 1000);
	good = sqlite3_exec(ix->db, index_pragmas, NULL, NULL, NULL) == SQLITE_OK && ours(ix->db) && prepare(ix) && load(ix);
	if (good)
		return true;
	in_use(ix);
	log_error("%s: %s", name, sqlite3_errmsg(ix->db));
	*damaged = (sqlite3_errcode(ix->db) & 0xff) != SQLITE_FULL && (sqlite3_errcode(ix->db) & 0xff) != SQLITE_CANTOPEN &&
	    (sqlite3_errcode(ix->db) & 0xff) != SQLITE_READONLY;
	close_db(ix);
	return false;
}

struct index *
index_open(void)
{
	struct index *ix = xcalloc(1, sizeof *ix);
	bool damaged;

	spool_lock();
	iseg_init(&ix->segs);
	ev_timer_init(&ix->timer, turn_soon, NULL);
	if (access("index.db", F_OK) == -1) {
		/* A write-ahead log of one that is gone is no part of a new one. */
		unlink("index.db-wal");
		unlink("index.db-journal");
	}
	if (!open_db(ix, "index.db", &damaged) && damaged) {
		set_aside();
		log_error("index.db was damaged: it is made again from the segments");
		open_db(ix, "index.db", &damaged);
	}
	if (ix->db != NULL) {
		reserve_wal(ix);
		return ix;
	}
	log_error("index.db cannot be used: the index of this run is in memory");
	ix->memory = true;
	if (!open_db(ix, ":memory:", &damaged))
		fatalx("no index can be opened");
	return ix;
}

void
index_close(struct index *ix)
{
	index_turn(ix, true);
	ev_timer_clear(&ix->timer);
	close_db(ix);
	free(ix);
}

/* ---- rows go ---- */

static void
live_add(struct index *ix, uint32_t seg, int64_t n)
{
	struct iseg *g = iseg_get(&ix->segs, seg);

	g->live = (uint64_t)((int64_t)g->live + n);
	iseg_change(&ix->segs, g);
}

/* What a recipient in that state adds to the totals. */
static void
count_rcpt(struct index *ix, int64_t mark, int64_t attempts, int64_t sign)
{
	ix->totals.recipients += (uint64_t)sign;
	if (mark == MARK_PENDING && attempts > 0)
		ix->totals.deferred += (uint64_t)sign;
	if (mark == MARK_HELD)
		ix->totals.held += (uint64_t)sign;
}

/* The message's own row, when no recipient's is left. */
static int
delete_msg(struct index *ix, uint64_t id)
{
	sqlite3_stmt *st = ask(ix, ST_MSG_PLACE, "i", (int64_t)id);
	uint32_t seg;
	uint64_t size;

	if (!row(ix, st))
		return ix->broken ? -1 : 0;
	seg = (uint32_t)sqlite3_column_int64(st, 0);
	size = (uint64_t)sqlite3_column_int64(st, 1);
	sqlite3_reset(st);
	live_add(ix, seg, -1);
	ix->totals.messages--;
	ix->totals.bytes -= size;
	return run(ix, ST_MSG_DEL, "i", (int64_t)id);
}

int
index_delete(struct index *ix, uint64_t id)
{
	sqlite3_stmt *st;

	if (begin(ix) == -1 || !row(ix, st = ask(ix, ST_RCPTS_SUM, "i", (int64_t)id)))
		return -1;
	ix->totals.recipients -= (uint64_t)sqlite3_column_int64(st, 0);
	ix->totals.deferred -= (uint64_t)sqlite3_column_int64(st, 1);
	ix->totals.held -= (uint64_t)sqlite3_column_int64(st, 2);
	sqlite3_reset(st);
	return run(ix, ST_RCPTS_DEL, "i", (int64_t)id) == -1 ? -1 : delete_msg(ix, id);
}

int
index_rcpt_final(struct index *ix, uint64_t id, uint32_t n)
{
	sqlite3_stmt *st;

	if (begin(ix) == -1)
		return -1;
	if (!row(ix, st = ask(ix, ST_RCPT_STATE, "ii", (int64_t)id, (int64_t)n)))
		return ix->broken ? -1 : 0;
	count_rcpt(ix, sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1), -1);
	sqlite3_reset(st);
	if (run(ix, ST_RCPT_DEL, "ii", (int64_t)id, (int64_t)n) == -1)
		return -1;
	if (!row(ix, st = ask(ix, ST_RCPT_ANY, "i", (int64_t)id)))
		return ix->broken ? -1 : delete_msg(ix, id);
	sqlite3_reset(st);
	return 0;
}

/* ---- segments ---- */

/* Rows that point to a segment that is not the one they mean. Reads every message's row; happens after losses only. */
static int
drop_rows(struct index *ix, uint32_t seg)
{
	uint64_t *ids = NULL;
	size_t n = 0, i;
	sqlite3_stmt *st = ask(ix, ST_SEG_MSGS, "i", (int64_t)seg);
	int rc = 0;

	while (row(ix, st)) {
		ids = xreallocarray(ids, n + 1, sizeof *ids);
		ids[n++] = (uint64_t)sqlite3_column_int64(st, 0);
	}
	if (n > 0)
		log_warn("%zu rows of the index point into segment %08x, which is not there any more", n, seg);
	for (i = 0; i < n && rc == 0; i++)
		rc = index_delete(ix, ids[i]);
	free(ids);
	return ix->broken ? -1 : rc;
}

uint64_t
index_scanned(struct index *ix, uint32_t seg, const uint8_t rnd[16])
{
	static const uint8_t unknown[16];
	struct iseg *g = iseg_find(&ix->segs, seg);

	if (g == NULL || g->gone || ix->broken)
		return 0;
	if (memcmp(g->rnd, rnd, sizeof g->rnd) == 0)
		return g->scanned;
	/* Rows came, but nobody said yet which segment it is: they may be good. */
	if (memcmp(g->rnd, unknown, sizeof g->rnd) != 0 && g->live > 0 && begin(ix) == 0)
		drop_rows(ix, seg);
	g->scanned = 0;
	return 0;
}

int
index_segment(struct index *ix, uint32_t seg, const uint8_t rnd[16], uint64_t scanned)
{
	struct iseg *g;

	if (begin(ix) == -1)
		return -1;
	g = iseg_get(&ix->segs, seg);
	if (g->scanned == scanned && memcmp(g->rnd, rnd, sizeof g->rnd) == 0 && !g->gone)
		return 0;
	memcpy(g->rnd, rnd, sizeof g->rnd);
	g->scanned = scanned;
	g->gone = false;
	iseg_change(&ix->segs, g);
	return 0;
}

int
index_segment_gone(struct index *ix, uint32_t seg)
{
	struct iseg *g = iseg_find(&ix->segs, seg);

	if (begin(ix) == -1)
		return -1;
	if (g == NULL)
		return 0;
	if (g->live > 0 && drop_rows(ix, seg) == -1)
		return -1;
	g->gone = true;
	iseg_change(&ix->segs, g);
	return 0;
}

void
index_live(struct index *ix, void (*cb)(void *, uint32_t, uint64_t), void *arg)
{
	struct iseg *g;

	RB_FOREACH(g, isegs, &ix->segs.all)
		if (!g->gone)
			cb(arg, g->no, g->live);
}

static int
by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

int
index_prune(struct index *ix, const uint32_t *have, size_t n)
{
	struct iseg *g;

	if (ix->broken)
		return -1;
	RB_FOREACH(g, isegs, &ix->segs.all)
		if (!g->gone && bsearch(&g->no, have, n, sizeof *have, by_number) == NULL &&
		    index_segment_gone(ix, g->no) == -1)
			return -1;
	return 0;
}

/* ---- messages ---- */

static int
put_msg(struct index *ix, const struct index_msg *m)
{
	return run(ix, ST_MSG_PUT, "iiiitttii", (int64_t)m->id, (int64_t)m->loc.seg, (int64_t)m->loc.off, m->arrival, m->sender,
	    m->tag, m->message_id, (int64_t)m->size, m->uid);
}

static int
put_rcpt(struct index *ix, uint64_t id, const struct index_rcpt *r)
{
	count_rcpt(ix, r->mark, r->attempts, 1);
	return run(ix, ST_RCPT_PUT, "iitttiiiiti", (int64_t)id, (int64_t)r->n, r->addr, r->domain, r->action, (int64_t)r->mark,
	    r->due, (int64_t)r->attempts, (int64_t)r->code, r->reply, (int64_t)r->notified);
}

int
index_put(struct index *ix, const struct index_msg *m)
{
	uint32_t i;

	if (begin(ix) == -1 || put_msg(ix, m) == -1)
		return -1;
	if (sqlite3_changes(ix->db) == 0 && (index_delete(ix, m->id) == -1 || put_msg(ix, m) == -1))
		return -1;
	ix->totals.messages++;
	ix->totals.bytes += m->size;
	live_add(ix, m->loc.seg, 1);
	for (i = 0; i < m->nrcpt; i++)
		if (put_rcpt(ix, m->id, &m->rcpts[i]) == -1)
			return -1;
	return 0;
}

int
index_rcpt(struct index *ix, uint64_t id, const struct index_rcpt *r)
{
	sqlite3_stmt *st;

	if (begin(ix) == -1)
		return -1;
	if (!row(ix, st = ask(ix, ST_RCPT_STATE, "ii", (int64_t)id, (int64_t)r->n)))
		return ix->broken ? -1 : 1;
	count_rcpt(ix, sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1), -1);
	sqlite3_reset(st);
	count_rcpt(ix, r->mark, r->attempts, 1);
	return run(ix, ST_RCPT_SET, "iiiiiiti", (int64_t)id, (int64_t)r->n, (int64_t)r->mark, r->due, (int64_t)r->attempts,
	    (int64_t)r->code, r->reply, (int64_t)r->notified);
}

/* ---- reading ---- */

/* Strings of one message lie behind each other; until it is complete, pointers to them are offsets. */
struct whole {
	struct index_msg msg;		/* what the caller sees; first */
	struct buf	 text;
};

static const char *
keep_text(struct buf *b, const char *s)
{
	size_t at = b->len;

	buf_add(b, s, strlen(s) + 1);
	return (const char *)(uintptr_t)at;
}

static void
settle(const struct whole *w, const char **s)
{
	*s = (const char *)w->text.base + (uintptr_t)*s;
}

static struct whole *
read_msg(sqlite3_stmt *st)
{
	struct whole *w = xcalloc(1, sizeof *w);
	struct index_msg *m = &w->msg;

	m->id = (uint64_t)sqlite3_column_int64(st, 0);
	m->loc.seg = (uint32_t)sqlite3_column_int64(st, 1);
	m->loc.off = (uint64_t)sqlite3_column_int64(st, 2);
	m->arrival = sqlite3_column_int64(st, 3);
	m->sender = keep_text(&w->text, text_col(st, 4));
	m->tag = keep_text(&w->text, text_col(st, 5));
	m->message_id = keep_text(&w->text, text_col(st, 6));
	m->size = (uint64_t)sqlite3_column_int64(st, 7);
	m->uid = sqlite3_column_int64(st, 8);
	return w;
}

static void
read_rcpt(struct whole *w, sqlite3_stmt *st, struct index_rcpt *r)
{
	r->n = (uint32_t)sqlite3_column_int64(st, 0);
	r->addr = keep_text(&w->text, text_col(st, 1));
	r->domain = keep_text(&w->text, text_col(st, 2));
	r->action = keep_text(&w->text, text_col(st, 3));
	r->mark = sqlite3_column_int64(st, 4) == MARK_HELD ? MARK_HELD : MARK_PENDING;
	r->due = sqlite3_column_int64(st, 5);
	r->attempts = (uint32_t)sqlite3_column_int64(st, 6);
	r->code = (unsigned)sqlite3_column_int64(st, 7);
	r->reply = keep_text(&w->text, text_col(st, 8));
	r->notified = sqlite3_column_int64(st, 9) != 0;
}

static struct index_msg *
read_rcpts(struct index *ix, struct whole *w)
{
	struct index_msg *m = &w->msg;
	sqlite3_stmt *st = ask(ix, ST_RCPTS, "i", (int64_t)m->id);
	uint32_t cap = 0, i;

	while (row(ix, st)) {
		if (m->nrcpt == cap) {
			cap = cap > 0 ? cap * 2 : 4;
			m->rcpts = xreallocarray(m->rcpts, cap, sizeof *m->rcpts);
		}
		read_rcpt(w, st, &m->rcpts[m->nrcpt++]);
	}
	settle(w, &m->sender);
	settle(w, &m->tag);
	settle(w, &m->message_id);
	for (i = 0; i < m->nrcpt; i++) {
		settle(w, &m->rcpts[i].addr);
		settle(w, &m->rcpts[i].domain);
		settle(w, &m->rcpts[i].action);
		settle(w, &m->rcpts[i].reply);
	}
	return m;
}

struct index_msg *
index_get(struct index *ix, uint64_t id)
{
	sqlite3_stmt *st = ask(ix, ST_MSG_GET, "i", (int64_t)id);
	struct whole *w;

	if (!row(ix, st))
		return NULL;
	w = read_msg(st);
	sqlite3_reset(st);
	return read_rcpts(ix, w);
}

bool
index_has(struct index *ix, uint64_t id, struct loc loc)
{
	sqlite3_stmt *st = ask(ix, ST_MSG_PLACE, "i", (int64_t)id);
	bool has;

	if (!row(ix, st))
		return false;
	has = sqlite3_column_int64(st, 0) == (int64_t)loc.seg && sqlite3_column_int64(st, 2) == (int64_t)loc.off;
	sqlite3_reset(st);
	return has;
}

void
index_msg_free(struct index_msg *m)
{
	struct whole *w = (struct whole *)m;

	if (m == NULL)
		return;
	free(m->rcpts);
	buf_free(&w->text);
	free(w);
}

size_t
index_list(struct index *ix, uint64_t after, int64_t uid, struct index_msg **out, size_t max)
{
	sqlite3_stmt *st = uid < 0 ? ask(ix, ST_MSG_LIST, "ii", (int64_t)after, (int64_t)max) :
	    ask(ix, ST_MSG_LIST_UID, "iii", (int64_t)after, (int64_t)max, uid);
	size_t n = 0, i;

	while (n < max && row(ix, st))
		out[n++] = &read_msg(st)->msg;
	if (st != NULL)
		sqlite3_reset(st);
	for (i = 0; i < n; i++)
		read_rcpts(ix, (struct whole *)out[i]);
	return n;
}

/* ---- scheduling ---- */

size_t
index_due(struct index *ix, int64_t by, struct index_due after, struct index_due *out, size_t max)
{
	sqlite3_stmt *st = ask(ix, ST_DUE, "iiii", by, after.due, (int64_t)after.id, (int64_t)max);
	size_t n = 0;

	while (n < max && row(ix, st)) {
		out[n].due = sqlite3_column_int64(st, 0);
		out[n].id = (uint64_t)sqlite3_column_int64(st, 1);
		out[n].loc.seg = (uint32_t)sqlite3_column_int64(st, 2);
		out[n++].loc.off = (uint64_t)sqlite3_column_int64(st, 3);
	}
	if (st != NULL)
		sqlite3_reset(st);
	return n;
}

int64_t
index_next_due(struct index *ix)
{
	sqlite3_stmt *st = ask(ix, ST_NEXT_DUE, "");
	int64_t due = INT64_MAX;

	if (row(ix, st)) {
		due = sqlite3_column_int64(st, 0);
		sqlite3_reset(st);
	}
	return due;
}

uint64_t
index_retry(struct index *ix, uint64_t id)
{
	sqlite3_stmt *st;
	uint64_t n = 0;

	if (begin(ix) == -1)
		return 0;
	if (id != 0)
		return run(ix, ST_RETRY_ONE, "i", (int64_t)id) == 0 && sqlite3_changes(ix->db) > 0;
	if (row(ix, st = ask(ix, ST_RETRY_COUNT, ""))) {
		n = (uint64_t)sqlite3_column_int64(st, 0);
		sqlite3_reset(st);
	}
	return run(ix, ST_RETRY_ALL, "") == 0 ? n : 0;
}

void
index_counts(struct index *ix, struct index_count *c)
{
	*c = ix->totals;
}
