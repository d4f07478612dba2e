/*
 * index: see index.h. The one owner of sqlite3.h in the queue.
 *
 * Rows gather in a transaction that begins with the first change and ends after 10 ms or when index_turn is forced; offsets,
 * live counts and totals are stored in the same one. The first error breaks the index for this run: every call says so,
 * nothing here ends the process. What SQLite calls corrupt goes to quarantine/ at once, so that the next start makes a new one.
 *
 * What SQLite writes and syncs is done behind it by a helper, in that order (index_vfs.c): no commit and no checkpoint waits for the disk.
 *
 * A full disk is no error if it can be helped: after each commit the log has room for the next, or all moves into memory; and back to
 * the disk when that has room again. Both are copies between two transactions, so nothing but the place changes.
 */
#include <sqlite3.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#include "proc/ev.h"
#include "index/index.h"
#include "index/priv.h"
#include "index/vfs.h"
#include "base/log.h"
#include "spool/order.h"
#include "base/xmalloc.h"

#define COMMIT_MS	10
#define COMMIT_LATER_MS	100			/* while marks are on their way, which the disk must have first */
#define HOME_MS		(30 * 1000)		/* so long there must be room before it goes back to the disk */
#define BEHIND_BYTES	(32u * 1024 * 1024)	/* with more on its way to the disk rows gather in one transaction */
#define NO_ROOM		"the disk is full"
#define CANNOT_WRITE	"index.db cannot be written"
#define CANNOT_OPEN	"index.db cannot be opened"
#define CHECK_BYTES	(64 * 1024 * 1024)	/* a larger one is not read in full at start: damage is found when it is met */

#define ST_TEXT(name, text)	[ST_##name] = text,
static const char *const statements[] = { INDEX_STATEMENTS(ST_TEXT) };

/* ---- errors ---- */

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
	log_error("index%s: %s: %s (%d); the queue starts again", ix->memory != NULL ? " in memory" : ".db", what,
	    sqlite3_errmsg(ix->db), code);
	ix->broken = true;
	if (ix->memory == NULL && corrupt_code(code))
		index_files_set_aside();
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

/* ---- connections ---- */

/* NULL: it cannot be opened. */
static sqlite3 *
connect_to(const char *name)
{
	sqlite3 *db;

	if (sqlite3_open_v2(name, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW,
	    late_vfs()) != SQLITE_OK) {
		log_error("%s: %s", name, sqlite3_errmsg(db));
		sqlite3_close(db);
		return NULL;
	}
	sqlite3_extended_result_codes(db, 1);
	sqlite3_busy_timeout(db, 10 * 1000);
	return db;
}

static bool
prepare(sqlite3 *db, sqlite3_stmt **st)
{
	size_t i;

	for (i = 0; i < ST__MAX; i++)
		if (sqlite3_prepare_v3(db, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &st[i], NULL) != SQLITE_OK)
			return false;
	return true;
}

static void
disconnect(sqlite3 *db, sqlite3_stmt **st)
{
	size_t i;

	for (i = 0; i < ST__MAX; i++) {
		sqlite3_finalize(st[i]);
		st[i] = NULL;
	}
	sqlite3_close(db);
}

/* The log keeps what is in it, and its length: for a connection whose files go, and for one that found the disk full. */
static void
leave_log(sqlite3 *db)
{
	sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}

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

/* After each commit: how long the log is now. */
static int
committed(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct index *ix = arg;

	(void)db;
	(void)name;
	ix->log.pages = (unsigned)pages;
	return SQLITE_OK;
}

/* What is in the log goes to index.db; the next transaction begins it anew. -> SQLite's code */
static int
empty_log(struct index *ix)
{
	int pages, done, rc;
	uint64_t begun = ev_busy_us();

	rc = sqlite3_wal_checkpoint_v2(ix->db, "main", SQLITE_CHECKPOINT_PASSIVE, &pages, &done);
	if (rc == SQLITE_OK && done == pages)
		ix->log.pages = 0;
	ix->emptied = late_number();
	ix->emptied_at = ev_now_ms();
	ix->emptied_us = ev_busy_us() - begun;
	return rc & 0xff;
}

/* true: there is room to begin with. */
static bool
begin_log(struct index *ix)
{
	sqlite3_wal_hook(ix->db, committed, ix);
	return index_log_begin(&ix->log);
}

/* What the last emptying of the log cost, here and the disk, says how long it may become. */
static void
measure_log(struct index *ix)
{
	if (ix->emptied_at == 0 || !late_reached(ix->emptied))
		return;
	index_log_took(&ix->log, ix->emptied_us, ev_now_ms() - ix->emptied_at);
	ix->emptied_at = 0;
}

/* ---- into memory, and back to the disk ---- */

/* All of it, as the last commit left it. */
static bool
copy(sqlite3 *to, sqlite3 *from)
{
	sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");

	if (b == NULL)
		return false;
	sqlite3_backup_step(b, -1);
	return sqlite3_backup_finish(b) == SQLITE_OK;
}

/* A database with the same content stands in for the one in use. false: it cannot, and is closed. */
static bool
stand_in(struct index *ix, sqlite3 *db)
{
	sqlite3_stmt *st[ST__MAX] = { NULL };

	if (sqlite3_exec(db, index_pragmas, NULL, NULL, NULL) != SQLITE_OK || !prepare(db, st)) {
		log_error("index: %s", sqlite3_errmsg(db));
		disconnect(db, st);
		return false;
	}
	leave_log(ix->db);
	disconnect(ix->db, ix->st);
	ix->db = db;
	memcpy(ix->st, st, sizeof st);
	return true;
}

/*
 * On a full disk rows must go, attempts must be noted: nothing of that may wait for room. No transaction is open, so what was committed
 * is all there is. index.db goes: once it is out of date it must never be met again (STATES.md, M0).
 */
static void
go_to_memory(struct index *ix, const char *why)
{
	sqlite3 *db = connect_to(":memory:");

	if (db == NULL || !copy(db, ix->db)) {
		sqlite3_close(db);
		fail(ix, "copy");
		return;
	}
	if (!stand_in(ix, db)) {
		ix->broken = true;
		return;
	}
	late_off();
	index_files_remove();
	ix->memory = why;
	ix->since_room = 0;
	log_warn("the index is in memory from now on: %s", why);
}

/* What one transaction may need is made sure of before it begins: in the middle of one it is too late. */
static void
keep_room(struct index *ix)
{
	bool full = ix->log.pages >= ix->log.most && late_reached(ix->emptied);
	int error = late_error();

	if (error == 0 && (full || !index_log_room(&ix->log)) && empty_log(ix) == SQLITE_IOERR)
		error = EIO;
	if (error != 0)
		go_to_memory(ix, error == ENOSPC || error == EDQUOT || error == EFBIG ? NO_ROOM : CANNOT_WRITE);
	else if (!index_log_room(&ix->log))
		go_to_memory(ix, NO_ROOM);
}

/* A copy of the index in memory becomes index.db, whole and synced, or there is none. */
static bool
save(struct index *ix)
{
	sqlite3 *db;
	bool done;

	if (!index_files_room(&ix->log, (uint64_t)pragma_number(ix->db, "PRAGMA page_count") * INDEX_PAGE) ||
	    (db = connect_to(INDEX_COPY)) == NULL)
		return false;
	/* It is not in use yet: a journal would be of no use. */
	done = sqlite3_exec(db, "PRAGMA journal_mode=OFF; PRAGMA synchronous=FULL", NULL, NULL, NULL) == SQLITE_OK &&
	    copy(db, ix->db);
	if (!done)
		log_warn("the index cannot go back to the disk yet: %s", sqlite3_errmsg(db));
	sqlite3_close(db);
	if (done)
		return index_files_replace();
	unlink(INDEX_COPY);
	return false;
}

static void
go_home(struct index *ix)
{
	sqlite3 *db;

	index_turn(ix, true);
	if (ix->broken || !save(ix))
		return;
	if ((db = connect_to(INDEX_DB)) == NULL || !stand_in(ix, db)) {
		index_files_remove();
		return;
	}
	ix->memory = NULL;
	begin_log(ix);
	late_on();
	log_info("the index is on the disk again");
}

void
index_home(struct index *ix, bool room)
{
	if (ix->memory == NULL || ix->broken)
		return;
	if (!room)
		ix->since_room = 0;
	else if (ix->since_room == 0) {
		ix->since_room = ev_now_ms();
		ev_timer_set(&ix->home, HOME_MS);
	} else if (ev_now_ms() - ix->since_room >= HOME_MS && !ix->held) {
		ix->since_room = 0;	/* if it fails, not at once again */
		go_home(ix);
	}
}

const char *
index_memory(const struct index *ix)
{
	return ix->memory;
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
	index_run(ix, ST_TOTALS_PUT, "iiiii", (int64_t)t->messages, (int64_t)t->recipients, (int64_t)t->held, (int64_t)t->tried,
	    (int64_t)t->bytes);
	index_run(ix, ST_COMMIT, "");
	ix->begun = false;
	if (ix->memory == NULL && !ix->broken)
		keep_room(ix);
}

/* A disk that is far behind gets less to do: what changes again meanwhile is written once. */
static bool
is_due(const struct index *ix)
{
	uint64_t age = ev_now_ms() - ix->since;

	if (ix->held || age < COMMIT_MS)
		return false;
	return ix->since == 0 || ((order_marks_durable() == order_marks() || age >= COMMIT_LATER_MS) && late_bytes() < BEHIND_BYTES);
}

void
index_turn(struct index *ix, bool force)
{
	bool soon = ix->since == 0;

	if (ix->begun && !ix->broken && (force || is_due(ix))) {
		commit(ix);
		ix->commits++;
		if (soon)
			ix->soon = late_number();
	}
	late_turn();
	if (late_error() != 0 && !ix->begun && !ix->broken && ix->memory == NULL)
		keep_room(ix);
	measure_log(ix);
}

uint64_t
index_soon(struct index *ix)
{
	ix->since = 0;
	if (!ix->begun)
		ix->soon = late_number();
	return ix->commits + ix->begun;
}

bool
index_stored(const struct index *ix, uint64_t ticket)
{
	return ix->broken || (ix->commits >= ticket && late_reached(ix->soon));
}

bool
index_waits_for_marks(const struct index *ix)
{
	return !ix->broken && ix->memory == NULL && !late_reached(ix->soon);
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
	return pragma_number(db, "PRAGMA page_count") * INDEX_PAGE > CHECK_BYTES;
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
	t->tried = (uint64_t)sqlite3_column_int64(st, 3);
	t->bytes = (uint64_t)sqlite3_column_int64(st, 4);
	sqlite3_reset(st);
	return !ix->broken && (large(ix->db) || (number(ix, ST_COUNT_MSG) == (int64_t)t->messages &&
	    number(ix, ST_COUNT_RCPT) == (int64_t)t->recipients));
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
	late_off();
	if (ix->broken)
		leave_log(ix->db);
	disconnect(ix->db, ix->st);
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

	if ((ix->db = connect_to(name)) == NULL)
		return FOUND_UNUSABLE;
	if (sqlite3_exec(ix->db, index_pragmas, NULL, NULL, NULL) == SQLITE_OK)
		found = look(ix->db);
	if (found == FOUND_GOOD && !(prepare(ix->db, ix->st) && load(ix)))
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
	enum found found = open_db(ix, INDEX_DB);

	if (found == FOUND_GOOD || found == FOUND_UNUSABLE)
		return found;
	index_files_set_aside();
	if (found == FOUND_OLD)
		log_info("index.db is of another version of Postern: it is in quarantine/ now, and is made again from the segments");
	else
		log_error("index.db was damaged: it is made again from the segments");
	return open_db(ix, INDEX_DB);
}

/* A write, before anything depends on it; with room for a run that is no better than the last one. */
static void
try_disk(struct index *ix)
{
	bool room = begin_log(ix);

	if (index_begin(ix) == 0)
		commit(ix);
	if (ix->broken) {
		sqlite3_exec(ix->db, "ROLLBACK", NULL, NULL, NULL);
		ix->broken = ix->begun = false;
		go_to_memory(ix, CANNOT_WRITE);
	} else if (!room && ix->memory == NULL)
		go_to_memory(ix, NO_ROOM);
}

static void
open_memory(struct index *ix)
{
	if (ix->db != NULL)
		close_db(ix);
	index_files_remove();
	index_log_begin(&ix->log);
	ix->memory = CANNOT_OPEN;
	log_warn("the index of this run is in memory, and made from the segments: %s", ix->memory);
	if (open_db(ix, ":memory:") != FOUND_GOOD)
		fatalx("no index can be opened");
}

struct index *
index_open(void)
{
	struct index *ix = xcalloc(1, sizeof *ix);

	spool_lock();
	iseg_init(&ix->segs);
	ev_timer_init(&ix->timer, turn_soon, NULL);
	ev_timer_init(&ix->home, turn_soon, NULL);
	unlink(INDEX_COPY);
	/* A write-ahead log of one that is gone is no part of a new one. */
	if (access(INDEX_DB, F_OK) == -1)
		index_files_remove();
	if (open_or_make(ix) == FOUND_GOOD)
		try_disk(ix);
	if (ix->db == NULL || ix->broken)
		open_memory(ix);
	if (ix->memory == NULL) {
		index_files_named();
		late_on();
	}
	return ix;
}

void
index_close(struct index *ix)
{
	index_turn(ix, true);
	if (ix->memory != NULL && !ix->broken)
		save(ix);
	ev_timer_clear(&ix->timer);
	ev_timer_clear(&ix->home);
	close_db(ix);
	free(ix);
}
