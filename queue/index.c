/*
 * index: see index.h. The one owner of sqlite3.h in the queue.
 *
 * Rows gather in a transaction that begins with the first change and ends after 10 ms or when index_turn is forced; offsets,
 * live counts and totals are stored in the same one. The first error breaks the index for this run: every call says so,
 * nothing here ends the process. What SQLite calls corrupt goes to quarantine/ at once, so that the next start makes a new one.
 */
#include <sys/statvfs.h>
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
#include "index_priv.h"
#include "log.h"
#include "xmalloc.h"

#define COMMIT_MS	10
#define PAGE		4096
#define WAL_PAGES	8000			/* before a checkpoint; fewer on a small disk */
#define WAL_PAGES_MIN	200
#define WAL_PART	64			/* of the file system at most, one in so many */
#define CHECK_BYTES	(64 * 1024 * 1024)	/* a larger one is not read in full at start: damage is found when it is met */

#define ST_TEXT(name, text)	[ST_##name] = text,
static const char *const statements[] = { INDEX_STATEMENTS(ST_TEXT) };

/* ---- errors ---- */

static void
set_aside(void)
{
	char to[64];
	int64_t name = ev_time_ms();

	do
		snprintf(to, sizeof to, "quarantine/index.db-%llx", (unsigned long long)name++);
	while (access(to, F_OK) == 0);
	if (rename("index.db", to) == -1 && errno != ENOENT) {
		log_error("index.db cannot be moved to quarantine/: %m");
		unlink("index.db");
	}
	strlcat(to, "-wal", sizeof to);
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

/* ---- statements: i = int64_t, t = text, r = 16 random bytes, b = bytes and their number ---- */

static sqlite3_stmt *
bind_v(struct index *ix, enum st which, const char *types, va_list ap)
{
	sqlite3_stmt *st = ix->st[which];
	const void *bytes;
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
		case 'b':
			bytes = va_arg(ap, const void *);
			rc = sqlite3_bind_blob64(st, i, bytes, va_arg(ap, uint64_t), SQLITE_STATIC);
			break;
		}
	if (rc == SQLITE_OK)
		return st;
	fail(ix, "bind");
	return NULL;
}

sqlite3_stmt *
index_ask(struct index *ix, enum st which, const char *types, ...)
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
bool
index_row(struct index *ix, sqlite3_stmt *st)
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
int
index_run(struct index *ix, enum st which, const char *types, ...)
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

const char *
index_text(sqlite3_stmt *st, int i)
{
	const char *s = (const char *)sqlite3_column_text(st, i);

	return s != NULL ? s : "";
}

struct blob
index_blob(sqlite3_stmt *st, int i)
{
	const void *p = sqlite3_column_blob(st, i);

	return (struct blob){ p, p != NULL ? (size_t)sqlite3_column_bytes(st, i) : 0 };
}

int64_t
index_int(sqlite3_stmt *st, int i)
{
	return sqlite3_column_int64(st, i);
}

void
index_end(sqlite3_stmt *st)
{
	if (st != NULL)
		sqlite3_reset(st);
}

int
index_changes(struct index *ix)
{
	return sqlite3_changes(ix->db);
}

/* ---- the transaction ---- */

int
index_begin(struct index *ix)
{
	if (ix->broken)
		return -1;
	if (ix->begun)
		return 0;
	if (index_run(ix, ST_BEGIN, "") == -1)
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
			index_run(ix, ST_SEG_PUT, "irii", (int64_t)g->no, g->rnd, (int64_t)g->scanned, (int64_t)g->live);
			continue;
		}
		index_run(ix, ST_SEG_DEL, "i", (int64_t)g->no);
		iseg_drop(&ix->segs, g);
	}
}

static void
commit(struct index *ix)
{
	const struct index_count *t = &ix->totals;

	ev_timer_clear(&ix->timer);
	store_segments(ix);
	index_run(ix, ST_TOTALS_PUT, "iiii", (int64_t)t->messages, (int64_t)t->recipients, (int64_t)t->held, (int64_t)t->bytes);
	index_run(ix, ST_COMMIT, "");
	ix->begun = false;
}

void
index_turn(struct index *ix, bool force)
{
	if (ix->begun && !ix->broken && (force || (!ix->held && ev_now_ms() - ix->since >= COMMIT_MS)))
		commit(ix);
}

void
index_hold(struct index *ix, bool on)
{
	ix->held = on;
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
	    strcmp(index_text(st, 0), "ok") == 0;

	sqlite3_finalize(st);
	return ok;
}

static bool
large(sqlite3 *db)
{
	return pragma_number(db, "PRAGMA page_count") * PAGE > CHECK_BYTES;
}

enum found { FOUND_GOOD, FOUND_OLD /* or too new */, FOUND_DAMAGED, FOUND_UNUSABLE };

/* The file as such; an empty one gets its tables. */
static enum found
look(sqlite3 *db)
{
	int64_t version = pragma_number(db, "PRAGMA user_version");
	bool good;

	if (version == 0 && pragma_number(db, "SELECT count(*) FROM sqlite_master") == 0)
		good = sqlite3_exec(db, index_schema, NULL, NULL, NULL) == SQLITE_OK;
	else if (pragma_number(db, "PRAGMA application_id") != INDEX_APPLICATION)
		good = false;
	else if (version > 0 && version != INDEX_VERSION)
		return FOUND_OLD;
	else
		good = large(db) || check_ok(db, "PRAGMA integrity_check(1)");
	return good ? FOUND_GOOD : FOUND_DAMAGED;
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
	sqlite3_stmt *st = index_ask(ix, which, "");
	int64_t v = -1;

	if (index_row(ix, st)) {
		v = sqlite3_column_int64(st, 0);
		sqlite3_reset(st);
	}
	return v;
}

/* Segments and totals; false if the totals are not what is there. */
static bool
load(struct index *ix)
{
	sqlite3_stmt *st = index_ask(ix, ST_SEG_ALL, "");
	struct index_count *t = &ix->totals;
	struct iseg *g;

	while (index_row(ix, st)) {
		g = iseg_get(&ix->segs, (uint32_t)sqlite3_column_int64(st, 0));
		if (sqlite3_column_bytes(st, 1) == sizeof g->rnd)
			memcpy(g->rnd, sqlite3_column_blob(st, 1), sizeof g->rnd);
		g->scanned = (uint64_t)sqlite3_column_int64(st, 2);
		g->live = (uint64_t)sqlite3_column_int64(st, 3);
	}
	st = index_ask(ix, ST_TOTALS_GET, "");
	if (!index_row(ix, st))
		return false;
	t->messages = (uint64_t)sqlite3_column_int64(st, 0);
	t->recipients = (uint64_t)sqlite3_column_int64(st, 1);
	t->held = (uint64_t)sqlite3_column_int64(st, 2);
	t->bytes = (uint64_t)sqlite3_column_int64(st, 3);
	sqlite3_reset(st);
	return !ix->broken && (large(ix->db) || (number(ix, ST_COUNT_MSG) == (int64_t)t->messages &&
	    number(ix, ST_COUNT_RCPT) == (int64_t)t->recipients));
}

/*
 * The write-ahead log is bounded, and an eighth of it gets its blocks now, so that rows can go on a disk that others have
 * filled. A file system that cannot do that is no trouble.
 */
static void
bound_wal(struct index *ix)
{
	int fd, mb = 1024 * 1024, pages = WAL_PAGES;
	struct statvfs v;

	if (statvfs(".", &v) == 0 && (uint64_t)v.f_blocks * v.f_frsize / WAL_PART / PAGE < WAL_PAGES)
		pages = (int)((uint64_t)v.f_blocks * v.f_frsize / WAL_PART / PAGE);
	if (pages < WAL_PAGES_MIN)
		pages = WAL_PAGES_MIN;
	sqlite3_wal_autocheckpoint(ix->db, pages);
	if (pages == WAL_PAGES)
		sqlite3_file_control(ix->db, "main", SQLITE_FCNTL_CHUNK_SIZE, &mb);
	if ((fd = open("index.db-wal", O_WRONLY | O_CLOEXEC | O_NOFOLLOW)) == -1)
		return;
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)pages * PAGE / 8) == -1)
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

static bool
unusable_code(int code)
{
	return (code & 0xff) == SQLITE_FULL || (code & 0xff) == SQLITE_CANTOPEN || (code & 0xff) == SQLITE_READONLY;
}

/* It is open only if it is good. */
static enum found
open_db(struct index *ix, const char *name)
{
	enum found found = FOUND_DAMAGED;

	if (sqlite3_open_v2(name, &ix->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
	    SQLITE_OPEN_NOFOLLOW, NULL) != SQLITE_OK) {
		close_db(ix);
		return FOUND_UNUSABLE;
	}
	sqlite3_extended_result_codes(ix->db, 1);
	sqlite3_busy_timeout(ix->db, 10 * 1000);
	if (sqlite3_exec(ix->db, index_pragmas, NULL, NULL, NULL) == SQLITE_OK)
		found = look(ix->db);
	if (found == FOUND_GOOD && !(prepare(ix) && load(ix)))
		found = FOUND_DAMAGED;
	if (found == FOUND_GOOD)
		return found;
	in_use(ix);
	if (found == FOUND_DAMAGED) {
		log_error("%s: %s", name, sqlite3_errmsg(ix->db));
		if (unusable_code(sqlite3_errcode(ix->db)))
			found = FOUND_UNUSABLE;
	}
	close_db(ix);
	return found;
}

/* Of what is there and is not good a new one is made, once. */
static enum found
open_or_make(struct index *ix)
{
	enum found found = open_db(ix, "index.db");

	if (found == FOUND_GOOD || found == FOUND_UNUSABLE)
		return found;
	set_aside();
	if (found == FOUND_OLD)
		log_info("index.db is of another version of Postern: it is in quarantine/ now, and is made again from the segments");
	else
		log_error("index.db was damaged: it is made again from the segments");
	return open_db(ix, "index.db");
}

struct index *
index_open(void)
{
	struct index *ix = xcalloc(1, sizeof *ix);

	spool_lock();
	iseg_init(&ix->segs);
	ix->sweep_to = INT64_MIN;
	ev_timer_init(&ix->timer, turn_soon, NULL);
	if (access("index.db", F_OK) == -1) {
		/* A write-ahead log of one that is gone is no part of a new one. */
		unlink("index.db-wal");
		unlink("index.db-journal");
	}
	if (open_or_make(ix) == FOUND_GOOD) {
		bound_wal(ix);
		return ix;
	}
	log_error("index.db cannot be used: the index of this run is in memory");
	ix->memory = true;
	if (open_db(ix, ":memory:") != FOUND_GOOD)
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
