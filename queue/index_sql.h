/*
 * index_sql: the text of every statement on index.db, in one table; index.c alone includes it. Values are bound, never
 * written into a text.
 *
 * rcpt_due is what the scheduler walks: pending recipients by time. Marks are characters: 112 is 'p', 104 is 'h'. An index costs
 * a random page for each row that is put, so there is none without a question that needs it.
 */
#ifndef INDEX_SQL_H
#define INDEX_SQL_H

#define INDEX_APPLICATION	0x506f7374	/* in index.db's header */
#define INDEX_VERSION		1

/* Before the first table is made, and at each start. */
static const char index_pragmas[] =
	"PRAGMA locking_mode=EXCLUSIVE; PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
	"PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-32768;"
	"PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;";

static const char index_schema[] =
	"BEGIN;"
	"CREATE TABLE segment(seg INTEGER PRIMARY KEY, rnd BLOB NOT NULL, scanned INTEGER NOT NULL, live INTEGER NOT NULL);"
	"CREATE TABLE msg(id INTEGER PRIMARY KEY, seg INTEGER NOT NULL, off INTEGER NOT NULL, arrival INTEGER NOT NULL,"
	" sender TEXT NOT NULL, tag TEXT NOT NULL, message_id TEXT NOT NULL, size INTEGER NOT NULL, uid INTEGER NOT NULL);"
	"CREATE INDEX msg_uid ON msg(uid) WHERE uid >= 0;"
	"CREATE TABLE rcpt(id INTEGER NOT NULL, n INTEGER NOT NULL, addr TEXT NOT NULL, domain TEXT NOT NULL,"
	" action TEXT NOT NULL, mark INTEGER NOT NULL, due INTEGER NOT NULL, attempts INTEGER NOT NULL, code INTEGER NOT NULL,"
	" reply TEXT NOT NULL, notified INTEGER NOT NULL, PRIMARY KEY(id, n)) WITHOUT ROWID;"
	"CREATE INDEX rcpt_due ON rcpt(due, id) WHERE mark = 112;"
	"CREATE TABLE totals(one INTEGER PRIMARY KEY, messages INTEGER, recipients INTEGER, deferred INTEGER, held INTEGER,"
	" bytes INTEGER);"
	"INSERT INTO totals VALUES(1, 0, 0, 0, 0, 0);"
	"PRAGMA application_id=1349481332;"
	"PRAGMA user_version=1;"
	"COMMIT;";

#define MSG_COLUMNS	"id, seg, off, arrival, sender, tag, message_id, size, uid"

#define INDEX_STATEMENTS(S) \
	S(BEGIN,	"BEGIN IMMEDIATE") \
	S(COMMIT,	"COMMIT") \
	S(SEG_ALL,	"SELECT seg, rnd, scanned, live FROM segment") \
	S(SEG_PUT,	"INSERT OR REPLACE INTO segment VALUES(?, ?, ?, ?)") \
	S(SEG_DEL,	"DELETE FROM segment WHERE seg = ?") \
	S(SEG_MSGS,	"SELECT id FROM msg WHERE seg = ?") \
	S(TOTALS_GET,	"SELECT messages, recipients, deferred, held, bytes FROM totals") \
	S(TOTALS_PUT,	"UPDATE totals SET messages = ?, recipients = ?, deferred = ?, held = ?, bytes = ?") \
	S(COUNT_MSG,	"SELECT count(*) FROM msg") \
	S(COUNT_RCPT,	"SELECT count(*) FROM rcpt") \
	S(MSG_PUT,	"INSERT INTO msg VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO NOTHING") \
	S(MSG_DEL,	"DELETE FROM msg WHERE id = ?") \
	S(MSG_PLACE,	"SELECT seg, size, off FROM msg WHERE id = ?") \
	S(MSG_MOVE,	"UPDATE msg SET seg = ?2, off = ?3 WHERE id = ?1") \
	S(MSG_GET,	"SELECT " MSG_COLUMNS " FROM msg WHERE id = ?") \
	S(MSG_LIST,	"SELECT " MSG_COLUMNS " FROM msg WHERE id > ? ORDER BY id LIMIT ?") \
	S(MSG_LIST_UID,	"SELECT " MSG_COLUMNS " FROM msg WHERE uid = ?3 AND uid >= 0 AND id > ?1 ORDER BY id LIMIT ?2") \
	S(RCPT_PUT,	"INSERT OR REPLACE INTO rcpt VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)") \
	S(RCPT_STATE,	"SELECT mark, attempts FROM rcpt WHERE id = ? AND n = ?") \
	S(RCPT_SET,	"UPDATE rcpt SET mark = ?3, due = ?4, attempts = ?5, code = ?6, reply = ?7, notified = ?8" \
			" WHERE id = ?1 AND n = ?2") \
	S(RCPT_DEL,	"DELETE FROM rcpt WHERE id = ? AND n = ?") \
	S(RCPT_ANY,	"SELECT 1 FROM rcpt WHERE id = ? LIMIT 1") \
	S(RCPTS,	"SELECT n, addr, domain, action, mark, due, attempts, code, reply, notified FROM rcpt WHERE id = ? ORDER BY n") \
	S(RCPTS_SUM,	"SELECT count(*), total(mark = 112 AND attempts > 0), total(mark = 104) FROM rcpt WHERE id = ?") \
	S(RCPTS_SUM_TO,	"SELECT count(*), total(mark = 112 AND attempts > 0), total(mark = 104) FROM rcpt WHERE id = ? AND n < ?") \
	S(RCPTS_DEL_TO,	"DELETE FROM rcpt WHERE id = ? AND n < ?") \
	S(RCPTS_DEL,	"DELETE FROM rcpt WHERE id = ?") \
	S(DUE,		"SELECT r.due, r.id, m.seg, m.off FROM (SELECT DISTINCT due, id FROM rcpt WHERE mark = 112 AND due <= ?1" \
			" AND (due, id) > (?2, ?3) ORDER BY due, id LIMIT ?4) r CROSS JOIN msg m ON m.id = r.id") \
	S(NEXT_DUE,	"SELECT due FROM rcpt WHERE mark = 112 ORDER BY due LIMIT 1") \
	S(LAST_DUE,	"SELECT due FROM rcpt WHERE mark = 112 ORDER BY due DESC LIMIT 1") \
	S(RETRY_ONE,	"UPDATE rcpt SET due = 0 WHERE id = ? AND mark = 112")

#endif
