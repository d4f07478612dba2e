/*
 * index: what waits, in SQLite (index.db). The only owner of sqlite3.h in the queue; one connection in one process.
 *
 * A cache for scheduling, search and listing: everything here can be made again from the segments. Rows are gathered in one
 * transaction that index_turn commits (when a sync ended or after 10 ms). An error here never loses mail: the call
 * returns -1, the caller keeps the message in memory or answers 451, and index_broken tells that the queue must start again.
 */
#ifndef INDEX_H
#define INDEX_H

#include <stdbool.h>
#include <stdint.h>
#include "spool/spool.h"

struct index;

/*
 * Opens or makes index.db (relative); a corrupt or foreign one is moved to quarantine/ and made anew (all segments are then scanned from 0).
 * Without room for its log, or when it cannot be used, the index is in memory.
 */
struct index *index_open(void);
void	 index_close(struct index *);
bool	 index_broken(const struct index *);
const char *index_memory(const struct index *);	/* why it is in memory; NULL: it is on the disk */
/* Each turn: back to the disk, when that has had room for half a minute. */
void	 index_home(struct index *, bool room);
void	 index_turn(struct index *, bool force);	/* commits what is gathered if due */
/*
 * ... in this turn: somebody is about to be told that it is done, once index_stored says so of the ticket: no kill takes it back then.
 * That may need marks on the disk first: spool_hurry.
 */
uint64_t index_soon(struct index *);
bool	 index_stored(const struct index *, uint64_t ticket);
bool	 index_waits_for_marks(const struct index *);

/* segments */
uint64_t index_scanned(struct index *, uint32_t seg, const uint8_t rnd[16]);
int	 index_segment(struct index *, uint32_t seg, const uint8_t rnd[16], uint64_t scanned);	/* with the rows, in one transaction */
int	 index_segment_gone(struct index *, uint32_t seg);		/* its rows go too, which reads them all: at start */
int	 index_segment_emptied(struct index *, uint32_t seg);	/* it goes in order; if there are rows still, the next start sees to it */
void	 index_live(struct index *, void (*cb)(void *, uint32_t seg, uint64_t live), void *);	/* live records per segment */
/* Drops rows whose segment is not there any more (have: sorted numbers). */
int	 index_prune(struct index *, const uint32_t *have, size_t n);

/* messages. Times that are read lie between 0 and that: what a damaged row says beyond would overflow what is reckoned with it. */
#define INDEX_TIME_MOST	253402300799999		/* ms: the end of the year 9999 */

static inline int64_t
index_time(int64_t ms)
{
	return ms < 0 ? 0 : ms < INDEX_TIME_MOST ? ms : INDEX_TIME_MOST;
}

struct index_rcpt {
	uint32_t	 n;
	const char	*addr, *domain, *action;
	enum mark	 mark;			/* PENDING or HELD */
	int64_t		 due;			/* wall ms; 0: now */
	uint32_t	 attempts;
	unsigned	 code;			/* last reply; 0: none yet */
	const char	*relay;			/* who gave it: "host[address]:port"; NULL or "" if nobody */
	const char	*reply;			/* "4.4.1 connection refused ..."; "" if none */
	bool		 notified;		/* a delay notice went out */
};
struct index_msg {
	uint64_t	 id;
	struct loc	 loc;
	int64_t		 arrival;
	const char	*sender, *tag, *message_id;
	uint64_t	 size;			/* of the message */
	int64_t		 uid;			/* submitter, -1 */
	struct index_rcpt *rcpts;		/* those that are not final */
	uint32_t	 nrcpt;
};
int	 index_put(struct index *, const struct index_msg *);			/* replaces the row of that id */
/* In parts, for a message with many recipients: its own row (m->nrcpt counts all), then theirs. In between index_hold. */
int	 index_put_msg(struct index *, const struct index_msg *m);
int	 index_put_rcpts(struct index *, uint64_t id, const struct index_rcpt *, uint32_t n);
int	 index_msg_live(struct index *, uint64_t id, uint32_t n);	/* when all are there: so many of them have a row */
int	 index_delete_rcpts(struct index *, uint64_t id, uint32_t below);	/* rows with n below that; index_delete takes the rest */
void	 index_hold(struct index *, bool);	/* on: the transaction is not committed until off, but by force */
int	 index_rcpt(struct index *, uint64_t id, const struct index_rcpt *);	/* due, attempts, reply, mark; 1: no such row */
int	 index_rcpt_final(struct index *, uint64_t id, uint32_t n);		/* the recipient's row goes; the message's too with its last */
int	 index_delete(struct index *, uint64_t id);
/* One message with its recipients; the result is freed with index_msg_free. NULL: not there. */
struct index_msg *index_get(struct index *, uint64_t id);
/* ... with up to max of its recipients, those from number n on. */
struct index_msg *index_part(struct index *, uint64_t id, uint32_t n, uint32_t max);
/* ... with those of these recipients that are not final. */
struct index_msg *index_some(struct index *, uint64_t id, const uint32_t *n, size_t count);
void	 index_msg_free(struct index_msg *);
/* Where its row says that it is; false: no row. */
bool	 index_place(struct index *, uint64_t id, struct loc *);
/* Its record is there now. 1: no such row */
int	 index_move(struct index *, uint64_t id, struct loc to);
/* Its row is there and means that record: a scan that meets it again need not put it anew (and lose attempts and due times). */
bool	 index_has(struct index *, uint64_t id, struct loc);

/* scheduling: the pending recipients of a destination, soonest due first, beginning behind (due, id); -> how many */
struct index_due {
	int64_t		 due;
	uint64_t	 id;
	int64_t		 arrival;
	bool		 tried;
	bool		 unreached;		/* its last attempt ended at no host's word: there was none to be reached */
	bool		 notified;
};
size_t	 index_due(struct index *, const char *action, const char *domain, int64_t due, uint64_t id, struct index_due *out, size_t max);
/* The destination behind that one ("", "" at first) for which something pends, and when the first of it is due. false: there is none */
bool	 index_next_dest(struct index *, struct buf *action, struct buf *domain, int64_t *due);
/* How many of its recipients are due before (due, id), up to max. */
unsigned index_before(struct index *, const char *action, const char *domain, int64_t due, uint64_t id, unsigned max);

/* control */
struct index_count { uint64_t messages, recipients, held, tried, bytes; };	/* tried: pending, with an attempt */
void	 index_counts(struct index *, struct index_count *);
/* Ids behind that one, in order -> how many; the last one (0: none). */
size_t	 index_ids(struct index *, uint64_t after, uint64_t *out, size_t max);
uint64_t index_last_id(struct index *);

#endif
