/*
 * index_priv: what the index's own files share; nobody else includes it.
 *
 * index.c has SQLite (its types are names without content elsewhere): opening, statements, the transaction, the way into memory and
 * back. index_vfs.c brings to the disk what it writes; index_rows.c writes, index_read.c reads, index_seg.c keeps the segments' offsets and counts in memory, index_files.c has the files.
 */
#ifndef INDEX_PRIV_H
#define INDEX_PRIV_H

#include "proc/ev.h"
#include "index/index.h"
#include "index/files.h"
#include "index/seg.h"
#include "index/sql.h"

#define ST_ENUM(name, text)	ST_##name,
enum st { INDEX_STATEMENTS(ST_ENUM) ST__MAX };

struct sqlite3;
struct sqlite3_stmt;

struct index {
	struct sqlite3	*db;
	struct sqlite3_stmt *st[ST__MAX];
	bool		 broken;
	const char	*memory;		/* why it is in memory; NULL: it is on the disk */
	uint64_t	 since_room;		/* ... and since when there is room for it there; 0: there is none */
	struct ev_timer	 home;
	struct index_log log;
	uint64_t	 emptied, emptied_at, emptied_us;	/* the last time: late_number(); ev_now_ms(), 0: measured; time of the loop */
	uint64_t	 commits;
	uint64_t	 soon;			/* late_number() of what somebody waits for */
	bool		 begun;			/* a transaction is open */
	bool		 held;			/* ... and is to stay so */
	uint64_t	 since;			/* ev_now_ms() of its beginning */
	struct ev_timer	 timer;
	struct index_count totals;
	struct iseg_table segs;
};

/* A row stands where it cannot stand: the index is put aside and broken; it is made again from the segments. */
void	 index_damaged(struct index *);
int	 index_begin(struct index *);		/* a transaction, if none is open */
/* types: one letter a value: i = int64_t, t = text, r = 16 random bytes, b = bytes, uint64_t. Values are borrowed until the statement ended. */
struct sqlite3_stmt *index_ask(struct index *, enum st, const char *types, ...);	/* NULL: broken */
bool	 index_row(struct index *, struct sqlite3_stmt *);	/* the next row; the statement is over when there is none */
void	 index_end(struct sqlite3_stmt *);			/* over before that */
int	 index_run(struct index *, enum st, const char *types, ...);	/* one without rows */
int	 index_changes(struct index *);
int64_t	 index_int(struct sqlite3_stmt *, int column);
const char *index_text(struct sqlite3_stmt *, int column);
struct blob index_blob(struct sqlite3_stmt *, int column);

#endif
