/*
 * index_sql: the text of every statement on index.db, in one table; index.c alone includes it. Values are bound, never
 * written into a text.
 *
 * rcpt_dest is what the scheduler walks: pending recipients by destination and time; mark stands in it although it is always the same, or
 * SQLite would read the row for it. Marks are characters: 112 is 'p', 104 is 'h'. An index costs
 * a random page for each row that is put, so there is none without a question that needs it: rcpt_domain answers domain= and to=
 * both. msg.live counts a message's rows in rcpt, so that from=, age= and sums over all need not visit those.
 *
 * A history row is a block: the results of up to a second, gathered (history.h). Nothing but its time is indexed.
 */
#ifndef INDEX_SQL_H
#define INDEX_SQL_H

#define INDEX_APPLICATION	0x506f7374	/* in index.db's header */
#define INDEX_VERSION		4

/* Before the first table is made, and at each start. */
static const char index_pragmas[] =
	"PRAGMA locking_mode=EXCLUSIVE; PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
	"PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-32768;"
	"PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;";

static const char index_schema[] =
	"BEGIN;"
	"CREATE TABLE segment(seg INTEGER PRIMARY KEY, rnd BLOB NOT NULL, scanned INTEGER NOT NULL, live INTEGER NOT NULL);"
	"CREATE TABLE msg(id INTEGER PRIMARY KEY, seg INTEGER NOT NULL, off INTEGER NOT NULL, arrival INTEGER NOT NULL,"
	" sender TEXT NOT NULL COLLATE NOCASE, tag TEXT NOT NULL, message_id TEXT NOT NULL, size INTEGER NOT NULL,"
	" uid INTEGER NOT NULL, live INTEGER NOT NULL);"
	"CREATE INDEX msg_uid ON msg(uid) WHERE uid >= 0;"
	"CREATE INDEX msg_sender ON msg(sender, id, live);"
	"CREATE INDEX msg_arrival ON msg(arrival, id, live);"
	"CREATE TABLE rcpt(id INTEGER NOT NULL, n INTEGER NOT NULL, addr TEXT NOT NULL COLLATE NOCASE,"
	" domain TEXT NOT NULL COLLATE NOCASE, action TEXT NOT NULL, mark INTEGER NOT NULL, due INTEGER NOT NULL,"
	" attempts INTEGER NOT NULL, code INTEGER NOT NULL, relay TEXT NOT NULL, reply TEXT NOT NULL, notified INTEGER NOT NULL,"
	" PRIMARY KEY(id, n)) WITHOUT ROWID;"
	"CREATE INDEX rcpt_dest ON rcpt(domain, action, due, id, n, mark) WHERE mark = 112;"
	"CREATE INDEX rcpt_domain ON rcpt(domain, addr);"
	"CREATE INDEX rcpt_held ON rcpt(id, n, mark) WHERE mark = 104;"
	"CREATE TABLE history(seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, results INTEGER NOT NULL, block BLOB NOT NULL);"
	"CREATE TABLE totals(one INTEGER PRIMARY KEY, messages INTEGER, recipients INTEGER, held INTEGER, tried INTEGER,"
	" bytes INTEGER);"
	"INSERT INTO totals VALUES(1, 0, 0, 0, 0, 0);"
	"PRAGMA application_id=1349481332;"
	"PRAGMA user_version=4;"
	"COMMIT;";

#define MSG_COLUMNS	"id, seg, off, arrival, sender, tag, message_id, size, uid"

/*
 * Pages of a walk (index_walk.h). ?1 and ?2: behind this id and recipient; ?3: rows of a page; ?4 and ?5: texts that are looked for;
 * ?6: a number that is looked for, or the upper end; ?7 to ?9: what else orders the walk, of the row it is behind.
 * KEY gives what an index has, MSG the message without its recipients, RCPT the recipient, BOTH all.
 */
#define WALK_KEY	"SELECT id, n, 1"
#define WALK_MSG	"SELECT m.id, -1, m.live, '', '', 0, 0, 0, '', '', '', m.sender, m.arrival, m.size, m.tag, m.uid FROM msg m "
#define WALK_RCPT	"SELECT r.id, r.n, 1, r.addr, r.domain, r.mark, r.due, r.attempts, r.relay, r.reply, r.action"
#define WALK_BOTH	WALK_RCPT ", m.sender, m.arrival, m.size, m.tag, m.uid FROM "
#define WALK_THEN_MSG	"rcpt r CROSS JOIN msg m ON m.id = r.id "
#define WALK_THEN_RCPT	"msg m CROSS JOIN rcpt r ON r.id = m.id AND r.n >= iif(m.id = ?1, ?2 + 1, 0) "

#define WALK_STATEMENTS(S) \
	S(WALK_ALL_MSG,	WALK_MSG "WHERE m.id > ?1 ORDER BY m.id LIMIT ?3") \
	S(WALK_ALL_RCPT, WALK_RCPT " FROM rcpt r WHERE (r.id, r.n) > (?1, ?2) ORDER BY r.id, r.n LIMIT ?3") \
	S(WALK_ALL_BOTH, WALK_BOTH WALK_THEN_MSG "WHERE (r.id, r.n) > (?1, ?2) ORDER BY r.id, r.n LIMIT ?3") \
	S(WALK_ID_MSG,	WALK_MSG "WHERE m.id = ?6 AND m.id > ?1 LIMIT ?3") \
	S(WALK_ID_BOTH,	WALK_BOTH WALK_THEN_MSG "WHERE r.id = ?6 AND r.n > ?2 ORDER BY r.n LIMIT ?3") \
	S(WALK_TO_KEY,	WALK_KEY " FROM rcpt WHERE domain = ?4 AND addr = ?5 AND (id, n) > (?1, ?2) ORDER BY id, n LIMIT ?3") \
	S(WALK_TO_BOTH,	WALK_BOTH WALK_THEN_MSG "WHERE r.domain = ?4 AND r.addr = ?5 AND (r.id, r.n) > (?1, ?2)" \
			" ORDER BY r.id, r.n LIMIT ?3") \
	S(WALK_DOMAIN_KEY, WALK_KEY ", addr FROM rcpt WHERE domain = ?4 AND (addr, id, n) > (?8, ?1, ?2)" \
			" ORDER BY addr, id, n LIMIT ?3") \
	S(WALK_DOMAIN_BOTH, WALK_BOTH WALK_THEN_MSG "WHERE r.domain = ?4 AND (r.addr, r.id, r.n) > (?8, ?1, ?2)" \
			" ORDER BY r.addr, r.id, r.n LIMIT ?3") \
	S(WALK_DOMAINS_KEY, WALK_KEY ", addr, domain FROM rcpt WHERE (domain, addr, id, n) > (?9, ?8, ?1, ?2)" \
			" ORDER BY domain, addr, id, n LIMIT ?3") \
	S(WALK_HELD_KEY, WALK_KEY " FROM rcpt WHERE mark = 104 AND (id, n) > (?1, ?2) ORDER BY id, n LIMIT ?3") \
	S(WALK_HELD_BOTH, WALK_BOTH WALK_THEN_MSG "WHERE r.mark = 104 AND (r.id, r.n) > (?1, ?2) ORDER BY r.id, r.n LIMIT ?3") \
	S(WALK_FROM_KEY, "SELECT id, -1, live FROM msg WHERE sender = ?4 AND id > ?1 ORDER BY id LIMIT ?3") \
	S(WALK_FROM_MSG, WALK_MSG "WHERE m.sender = ?4 AND m.id > ?1 ORDER BY m.id LIMIT ?3") \
	S(WALK_FROM_BOTH, WALK_BOTH WALK_THEN_RCPT "WHERE m.sender = ?4 AND m.id >= ?1 ORDER BY m.id, r.n LIMIT ?3") \
	S(WALK_AGE_KEY,	"SELECT id, -1, live, arrival FROM msg WHERE arrival <= ?6 AND (arrival, id) > (?7, ?1)" \
			" ORDER BY arrival, id LIMIT ?3") \
	S(WALK_AGE_MSG,	WALK_MSG "WHERE m.arrival <= ?6 AND (m.arrival, m.id) > (?7, ?1) ORDER BY m.arrival, m.id LIMIT ?3") \
	S(WALK_AGE_BOTH, WALK_BOTH WALK_THEN_RCPT "WHERE m.arrival <= ?6 AND (m.arrival, m.id) >= (?7, ?1)" \
			" ORDER BY m.arrival, m.id, r.n LIMIT ?3") \
	S(WALK_UID_MSG,	WALK_MSG "WHERE m.uid = ?6 AND m.uid >= 0 AND m.id > ?1 ORDER BY m.id LIMIT ?3") \
	S(WALK_UID_BOTH, WALK_BOTH WALK_THEN_RCPT "WHERE m.uid = ?6 AND m.uid >= 0 AND m.id >= ?1 ORDER BY m.id, r.n LIMIT ?3")

#define INDEX_STATEMENTS(S) \
	S(BEGIN,	"BEGIN IMMEDIATE") \
	S(COMMIT,	"COMMIT") \
	S(SEG_ALL,	"SELECT seg, rnd, scanned, live FROM segment") \
	S(SEG_PUT,	"INSERT OR REPLACE INTO segment VALUES(?, ?, ?, ?)") \
	S(SEG_DEL,	"DELETE FROM segment WHERE seg = ?") \
	S(SEG_MSGS,	"SELECT id FROM msg WHERE seg = ?") \
	S(TOTALS_GET,	"SELECT messages, recipients, held, tried, bytes FROM totals") \
	S(TOTALS_PUT,	"UPDATE totals SET messages = ?, recipients = ?, held = ?, tried = ?, bytes = ?") \
	S(COUNT_MSG,	"SELECT count(*) FROM msg") \
	S(COUNT_RCPT,	"SELECT count(*) FROM rcpt") \
	S(MSG_PUT,	"INSERT INTO msg VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO NOTHING") \
	S(MSG_DEL,	"DELETE FROM msg WHERE id = ?") \
	S(MSG_PLACE,	"SELECT seg, size, off FROM msg WHERE id = ?") \
	S(MSG_MOVE,	"UPDATE msg SET seg = ?2, off = ?3 WHERE id = ?1") \
	S(MSG_GET,	"SELECT " MSG_COLUMNS " FROM msg WHERE id = ?") \
	S(MSG_IDS,	"SELECT id FROM msg WHERE id > ? ORDER BY id LIMIT ?") \
	S(MSG_LAST,	"SELECT id FROM msg ORDER BY id DESC LIMIT 1") \
	S(RCPT_PUT,	"INSERT OR REPLACE INTO rcpt VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)") \
	S(RCPT_STATE,	"SELECT mark, attempts FROM rcpt WHERE id = ? AND n = ?") \
	S(RCPT_SET,	"UPDATE rcpt SET mark = ?3, due = ?4, attempts = ?5, code = ?6, relay = ?7, reply = ?8, notified = ?9," \
			" action = ?10 WHERE id = ?1 AND n = ?2") \
	S(RCPT_DEL,	"DELETE FROM rcpt WHERE id = ? AND n = ?") \
	S(MSG_LIVE,	"UPDATE msg SET live = ?2 WHERE id = ?1") \
	S(MSG_LESS,	"UPDATE msg SET live = live - 1 WHERE id = ?") \
	S(RCPT_ANY,	"SELECT 1 FROM rcpt WHERE id = ? LIMIT 1") \
	S(RCPTS,	"SELECT n, addr, domain, action, mark, due, attempts, code, relay, reply, notified FROM rcpt WHERE id = ?" \
			" AND n >= ? AND n < 4294967295 ORDER BY n LIMIT ?") \
	S(RCPT_GET,	"SELECT n, addr, domain, action, mark, due, attempts, code, relay, reply, notified FROM rcpt WHERE id = ?" \
			" AND n = ?") \
	S(RCPTS_SUM,	"SELECT count(*), total(mark = 104), total(mark = 112 AND attempts > 0) FROM rcpt WHERE id = ?") \
	S(RCPTS_SUM_TO,	"SELECT count(*), total(mark = 104), total(mark = 112 AND attempts > 0) FROM rcpt WHERE id = ?" \
			" AND n < ?") \
	S(RCPTS_DEL_TO,	"DELETE FROM rcpt WHERE id = ? AND n < ?") \
	S(RCPTS_DEL,	"DELETE FROM rcpt WHERE id = ?") \
	S(DUE,		"SELECT r.due, r.id, m.arrival, r.code = 0 AND r.attempts > 0 AND r.reply GLOB '4.4.*', r.notified, r.attempts > 0" \
			" FROM rcpt r CROSS JOIN msg m ON m.id = r.id WHERE r.mark = 112 AND r.domain = ?1 AND r.action = ?2" \
			" AND (r.due, r.id) > (?3, ?4) ORDER BY r.due, r.id LIMIT ?5") \
	S(NEXT_DEST,	"SELECT domain, action, due FROM rcpt WHERE mark = 112 AND (domain, action) > (?1, ?2)" \
			" ORDER BY domain, action, due LIMIT 1") \
	S(BEFORE,	"SELECT count(*) FROM (SELECT 1 FROM rcpt WHERE mark = 112 AND domain = ?1 AND action = ?2" \
			" AND (due, id) < (?3, ?4) LIMIT ?5)") \
	S(HISTORY_PUT,	"INSERT INTO history(at, results, block) VALUES(?, ?, ?)") \
	S(HISTORY_OLD,	"SELECT seq, at, results FROM history ORDER BY seq LIMIT 1") \
	S(HISTORY_DEL,	"DELETE FROM history WHERE seq = ?") \
	S(HISTORY_SUM,	"SELECT total(results) FROM history") \
	S(HISTORY_PAGE,	"SELECT seq, block FROM history WHERE seq > ? ORDER BY seq LIMIT 1") \
	WALK_STATEMENTS(S)

#endif
