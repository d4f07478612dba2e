/*
 * spool: the queue's files. Segments of self-describing records, marks in place, the sync thread, recovery.
 *
 * Called by the queue's main loop, intake, sched, bounce and control; owns everything below the current directory (the spool),
 * which it reaches by relative names only. STATES.md lists every on-disk state. Errors: -1/errno for what the disk did;
 * a damaged record is quarantined and logged, never fatal.
 */
#ifndef SPOOL_H
#define SPOOL_H

#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mail/bodyscan.h"
#include "spool/mark_code.h"
#include "proc/msg.h"

struct spool;

/* Where a record is. */
struct loc {
	uint32_t	seg;
	uint64_t	off;		/* of the record header */
};

/* ---- a message on its way in ---- */
struct body {			/* up to 128 KiB in memory (64 MiB for all), beyond that its own file in tmp/ */
	uint64_t	 len;
	struct bodyscan	 scan;
	int		 error;		/* errno of the first failure, sticky */
	struct body_priv *priv;
};
/* env is complete (all recipients): its size fixes where the bytes of a large message begin. Borrowed until spool_commit's done. */
struct body *body_new(struct spool *, const struct p_env *);
void	 body_add(struct body *, const void *, size_t);	/* failures stay in ->error */
int	 body_read(const struct body *, uint64_t off, void *, size_t);	/* what is in it so far; -1/errno */
uint32_t body_crc(const struct body *);			/* CRC-32C of what is in it so far */
void	 body_free(struct body *);			/* aborts: nothing of it can surface */

/*
 * Hand a completed message over for the next group. done comes after its sync, in a later turn: error 0 = durable (loc
 * says where; body_off/body_len for readers), else errno and it is not there (or may surface after a restart, never to be
 * answered 250). body is the spool's from here on.
 */
typedef void spool_done(void *arg, int error, struct loc, uint64_t body_off);
void	 spool_commit(struct spool *, struct body *, const struct p_env *, spool_done *, void *arg);

/* ---- the main loop's steps ---- */
/* intake_commit: if no sync runs and messages wait, append them all and start their sync; harvest a finished one. The durability point. */
void	 spool_turn(struct spool *);
/* Unlinks or recycles segments whose records are all final; makes the next segment ahead. */
void	 spool_reclaim(struct spool *);

/*
 * Calls cb for each segment in which messages became durable since the last call, with the end of the last of those whose done
 * was called. To be used when every message told so far has its rows or is final: cb is then index_segment, in one
 * transaction with them, and the next start scans from there on.
 */
void	 spool_progress(struct spool *, void (*cb)(void *arg, uint32_t seg, const uint8_t rnd[16], uint64_t end), void *arg);

/* ---- open, recover, close ---- */
/* Takes SPOOL/lock (10 s, then exits 75) and keeps it until the process ends. Done by index_open and spool_open, whichever is first. */
void	 spool_lock(void);
struct spool_record {		/* what the scan found */
	struct loc	 loc;
	struct p_env	 env;		/* strings point into the scan's buffer: valid during the callback */
	const uint8_t	*marks;		/* one per recipient */
	uint64_t	 body_off, body_len;
	bool		 letters;		/* of a version that had no mark for "never answered": that is removed too */
	bool		 damaged;		/* its message is not what its checksum says */
	bool		 doubtful;		/* its segment is scanned in full, for instance since it was being emptied: see copies.h */
};
struct spool_hooks {
	/* From which offset a segment need be scanned (0: all of it), by its number and random bytes: the index knows. */
	uint64_t	(*scanned)(void *arg, uint32_t seg, const uint8_t rnd[16]);
	/* That one is there, but cannot be opened or read for now: see spool_turned_up. May be NULL */
	void		(*unopened)(void *arg, uint32_t seg);
	/* Every record after that offset: also those that have rows, when the last run ended before spool_progress was stored. */
	void		(*record)(void *arg, const struct spool_record *);
	void		(*segment)(void *arg, uint32_t seg, const uint8_t rnd[16], uint64_t end);	/* scan of it is done up to end */
	void		*arg;
};
/* Takes the lock, makes missing folders, empties tmp/, scans, opens a new segment. Fatal on what makes a spool unusable. */
struct spool *spool_open(const struct spool_hooks *);
/* After the start, when what was found twice has one meaning again: brings those marks to the disk; no full scan then at the next start. */
void	 spool_settled(struct spool *);
/* A segment that could not be opened then can be now, and what the index does not know of it waits for a start. Looks now and then. */
bool	 spool_turned_up(struct spool *);
int64_t	 spool_last_made(const struct spool *);	/* ms: when the latest of the segments that were found was made; 0: none */
void	 spool_close(struct spool *);		/* waits for the sync */

/* ---- records ---- */
/* How many records of a segment still live: the index's count at start, then every commit adds one. */
void	 spool_live_set(struct spool *, uint32_t seg, uint64_t live);
void	 spool_final(struct spool *, struct loc);	/* this record's marks are all final (and copies synced): one less */
/* Overwrites one mark; durable with the next group commit, 1 s at most. -1/errno. */
int	 spool_mark(struct spool *, struct loc, uint32_t rcpt, enum mark);
/* The same for n recipients from that one on, in one write: what does not change is written as it is. */
int	 spool_marks(struct spool *, struct loc, uint32_t first, const uint8_t *marks, uint32_t n);
void	 spool_hurry(struct spool *);	/* somebody waits for the marks made so far: with the next job, not within 1 s */
/* Reads a record back; buf holds env's strings and marks. -1/errno (EBADMSG: damaged, quarantined). */
struct spool_env {
	struct buf	 buf;
	struct p_env	 env;
	uint8_t		*marks;
	uint64_t	 body_off, body_len;
	uint32_t	 body_crc;
};
int	 spool_read_env(struct spool *, struct loc, struct spool_env *);
void	 spool_env_free(struct spool_env *);
ssize_t	 spool_read(struct spool *, uint32_t seg, uint64_t off, void *, size_t);
int	 spool_fd(struct spool *, uint32_t seg);	/* a new read-only descriptor of it, for deliver; -1/errno */
/* A copy of that record for people, in quarantine/. -1: logged */
int	 spool_aside(struct spool *, struct loc);
/*
 * Compaction, a step of the main loop: empties old segments that hold little, a slice at a time. A record is left where it is while
 * may says no; moved is called when its copy is durable and the old record void, and everything that knows "from" must then say "to".
 */
struct spool_movers {
	bool		(*may)(void *arg, uint64_t id, struct loc);
	void		(*moved)(void *arg, uint64_t id, struct loc from, struct loc to);
	void		*arg;
};
void	 spool_compact(struct spool *, const struct spool_movers *);

/* Called when a segment goes (unlinked or to be recycled), so that deliver may close it and its row go. Two may ask. */
void	 spool_on_gone(struct spool *, void (*)(void *arg, uint32_t seg), void *arg);

/* Space: low is set below the reserve (answers 452 4.3.1 at MAIL), with hysteresis. Checked at most once a second. */
bool	 spool_low(struct spool *);
struct spool_stat { uint64_t segments, bytes, syncs, commits, memory, emptied /* by compaction */; bool low; };
void	 spool_stat(struct spool *, struct spool_stat *);

#endif
