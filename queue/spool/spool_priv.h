/*
 * spool_priv: what the spool's own files share; nobody else includes it.
 *
 * spool.c opens and closes, segment.c has the segments, seg_make.c makes them, body.c a message on its way in, commit.c the group commit (batch.c its write), mark.c
 * marks and reading, scan.c walks a segment's records, recover.c is start-up, reclaim.c, compact.c and space.c give space back and look
 * after it. One spool per process; one thread (sync.c's helper sees nothing but descriptors).
 */
#ifndef SPOOL_PRIV_H
#define SPOOL_PRIV_H

#include <sys/queue.h>
#include <sys/tree.h>
#include <stdio.h>
#include "proc/ev.h"
#include "spool/batch.h"
#include "spool/body_priv.h"
#include "spool/record.h"
#include "spool/spool.h"
#include "spool/sync.h"

#define GROUP_BYTES	(4 * 1024 * 1024)	/* of one group, about */
#define GROUP_FILES	64			/* messages of their own in one group */
#define SHARED_MAX	(256 * 1024)		/* a longer record gets a segment of its own */
#define SEG_BYTES	(16 * 1024 * 1024)
#define SEG_BYTES_MIN	(256 * 1024)
#define SPARES		4
#define SEG_FDS		128			/* segments kept open */
#define DURABLE_MS	1000			/* marks and unlinks are on the disk by then */
#define YOUNG_MS	60000			/* compaction: most of what is in it goes by itself */

struct seg {
	RB_ENTRY(seg)	 tree;
	TAILQ_ENTRY(seg) dirty_link, cand_link, lru_link, told_link;
	uint32_t	 no;
	uint8_t		 rnd[RND_LEN];
	enum seg_kind	 kind;
	uint8_t		 version;		/* of its format */
	int		 fd;			/* -1: not open now */
	uint64_t	 size;			/* of the file */
	uint64_t	 end;			/* current segment: where the next record goes */
	uint64_t	 live;
	uint64_t	 told;			/* end of the last record whose owner was told that it is durable; 0: none lately */
	uint64_t	 name_gen;		/* its name is durable once the directory was synced up to this */
	bool		 sealed;		/* nothing more is appended */
	bool		 failed;		/* a write or sync failed: never appended to or synced again */
	bool		 unopened;		/* at start it could not be opened: nothing is known of it but its number */
	bool		 keep;			/* never given up in this run */
	bool		 dirty;			/* has marks that are not synced */
	bool		 busy;			/* in the running sync job */
	bool		 cand;			/* on the list of candidates */
	bool		 rescan;		/* its header asks for a full scan */
	bool		 emptied;		/* compaction or reclaim reads it: neither closed nor given up */
	uint64_t	 born;			/* ev_now_ms() when it was made or found */
	uint64_t	 records;		/* appended in this run; 0: unknown */
	uint64_t	 walked;		/* live when compaction last found too much in it; 0: never */
};
RB_HEAD(segs, seg);
RB_PROTOTYPE(segs, seg, tree, seg_cmp)
TAILQ_HEAD(seg_list, seg);

struct commit {
	TAILQ_ENTRY(commit) link;
	struct body	*body;			/* NULL once written to a segment, and for a copy */
	const struct copied *copy;		/* compaction: a whole record instead of body and env */
	const struct p_env *env;
	spool_done	*done;
	void		*arg;
	struct seg	*seg;
	struct loc	 loc;
	uint64_t	 body_off;
	uint64_t	 end;			/* of the record */
	uint32_t	 nrcpt;
	int		 error;
};
TAILQ_HEAD(commits, commit);

/* A record on its way from one segment to another. */
struct copied {
	struct rec_head	 head;
	const uint8_t	*marks, *env, *bytes;	/* as the record has them */
};

struct spare {
	int		 fd;
	char		 name[32];
};

/* A segment that is being made (seg_make.c). */
struct seg_new {
	enum { NEW_NONE, NEW_WRITTEN, NEW_SYNCING, NEW_SYNCED } step;
	struct spare	 file;			/* in tmp/ */
	struct seg_head	 head;
};

struct spool {
	struct segs	 segs;
	struct seg_list	 dirty, cands, lru, told;
	size_t		 nopen;
	struct seg	*cur, *next;
	struct seg_new	 making;
	uint32_t	 last_no;
	uint64_t	 tmp_no;
	uint64_t	 seg_bytes;
	struct spare	 spare[SPARES];
	size_t		 nspare;
	uint64_t	 memory;		/* bytes of bodies in memory */
	struct blocks	 blocks;

	/* group commit */
	struct commits	 small, own;		/* waiting: to be written; written in tmp/, to be synced */
	struct commits	 group, files;		/* in the running job: of the current segment; files in tmp/ */
	struct commits	 renamed, naming;	/* wait for the directory's sync: the next job's; the running one's */
	struct commits	 finished;		/* to be told */
	struct sync	*sync;
	struct sync_item *items;
	struct seg	**item_seg;		/* beside items: NULL for files and the directory */
	size_t		 nitems, cap_items, new_item;	/* new_item: the header of the segment that is being made; SIZE_MAX: not there */
	struct ev_timer	 unopened_timer;
	struct ev_timer	 durable;		/* marks or unlinks wait for a sync */
	bool		 overdue;
	uint64_t	 marks_job;		/* marks that the running job makes durable; 0: not all of what there was */
	int		 dir_fd;
	uint64_t	 dir_gen, dir_synced, dir_job;	/* changes of seg/: made, durable, in the running job */
	struct batch	 batch;
	struct buf	 env;

	/* space */
	uint64_t	 space_next;		/* not looked at before */
	uint64_t	 make_after;		/* no next segment could be made: not again before */
	bool		 low, roomy;
	uint64_t	 unopened, unopened_next; /* how many segments; when they are tried again */
	int64_t		 last_made;
	bool		 synced;		/* all that the last run wrote is on the disk */
	uint64_t	 syncs, commits, bytes, emptied;

	struct {
		void	(*cb)(void *, uint32_t);
		void	*arg;
	}		 gone[2];		/* who is told that a segment goes */
	struct checking	*checking;		/* reclaim.c's */
	struct compact	*compact;		/* compact.c's */
	uint64_t	 compact_age;		/* ms; a younger segment is left alone */
};

/* segment.c. -1/NULL with errno */
struct seg *seg_find(struct spool *, uint32_t no);
struct seg *seg_add(struct spool *, uint32_t no, const struct seg_head *, uint64_t size, int fd);
void	 seg_free(struct spool *, struct seg *);	/* closes and forgets; the file stays */
int	 seg_fd(struct spool *, struct seg *);		/* opens it if need be */
void	 seg_trim(struct spool *);			/* closes the one that was not used for longest */
void	 seg_name(char out[32], uint32_t no);
int	 seg_take_fd(struct spool *, struct seg *);	/* the descriptor is the caller's now */
uint32_t seg_number(struct spool *);			/* a fresh one */
void	 seg_seal(struct spool *, struct seg *);
void	 seg_fail(struct spool *, struct seg *, int error, const char *what);
int	 seg_rescan(struct spool *, struct seg *, bool);	/* writes that byte of its header; durable with the marks */
/* Marks all of a record that counts no more: unanswered (never), or another copy counts (moved). -1/errno, logged */
/* Writes marks there; durable a second later. -1/errno */
int	 seg_put_marks(struct spool *, struct seg *, uint64_t off, const uint8_t *marks, uint32_t n);
int	 seg_retire(struct spool *, struct seg *, uint64_t off, uint32_t nrcpt, enum mark);
void	 seg_dirty(struct spool *, struct seg *);
void	 seg_candidate(struct spool *, struct seg *);	/* for reclaim, if it is sealed and nothing lives in it */
void	 dir_changed(struct spool *);
ssize_t	 pwrite_all(int fd, const void *, size_t, uint64_t off);

/* seg_make.c */
int	 make_begin(struct spool *);			/* writes the header, to a spare or a new file. -1/errno */
int	 make_sync_fd(struct spool *);			/* to be synced by the job that begins; -1: none */
int	 make_synced(struct spool *, int error);	/* was it? Then it gets its name and is the next one. -1/errno: gone */
int	 make_now(struct spool *);			/* at start: all of that. -1/errno */
void	 make_ahead(struct spool *);			/* begins the next one, if there is none */
void	 make_drop(struct spool *);
struct seg *seg_current(struct spool *);		/* the one to append to; NULL: errno, EAGAIN: it is being made */

/* commit.c */
void	 durable_soon(struct spool *);
void	 commit_close(struct spool *);
/* As spool_commit, for a record that is there already; borrowed until done. It is void when it fails. */
void	 commit_copy(struct spool *, const struct copied *, spool_done *, void *arg);
uint64_t commit_room(const struct spool *);	/* bytes that can be appended without a new file */

/* mark.c: bytes that were no marks are logged, and written as they were read */
void	 marks_mended(struct spool *, struct loc, uint32_t wrong, const uint8_t *marks, uint32_t n);

/* compact.c */
void	 compact_open(struct spool *);
void	 compact_close(struct spool *);

/* scan.c: the records of one segment, in order */
enum scan_what { SCAN_GOOD, SCAN_DAMAGE /* a good one follows, or the segment may not be torn */, SCAN_TORN /* unanswered end */, SCAN_SEAL, SCAN_END };
struct scan {
	int		 fd;
	uint64_t	 size, off;		/* off: where the next look begins */
	uint8_t		 rnd[RND_LEN];
	enum seg_kind	 kind;
	uint8_t		 version;
	bool		 bodies;		/* check the messages' CRC too */
	size_t		 chunk;			/* bytes per read */
	bool		 unreadable;		/* EIO was met */
	uint8_t		*win;			/* file bytes [win_off, win_off + win_len) */
	size_t		 win_cap, win_len;
	uint64_t	 win_off;
	/* the result */
	uint64_t	 at, len;		/* the record, or the damaged stretch */
	struct rec_head	 head;
	uint32_t	 wrong;			/* bytes among its marks that are none */
	uint8_t		*marks_mem;
	size_t		 marks_cap;
	const uint8_t	*marks, *env;		/* marks as enum mark; SCAN_GOOD; SCAN_DAMAGE, SCAN_TORN if the envelope is good, else NULL */
};
void	 scan_init(struct scan *, int fd, uint64_t size, const struct seg_head *, uint64_t from);
void	 scan_open(struct scan *, const struct seg *, uint64_t from);	/* ... of a segment that is open */
enum scan_what scan_next(struct scan *);
const uint8_t *scan_bytes(struct scan *, uint64_t off, size_t n);	/* NULL: beyond the end */
void	 scan_free(struct scan *);

/* recover.c */
void	 recover(struct spool *, const struct spool_hooks *);
int	 quarantine(int fd, uint32_t seg, uint64_t off, uint64_t len);

/* reclaim.c, space.c */
void	 spare_drop(struct spool *);		/* gives one back to the file system */
void	 reclaim_open(struct spool *);
void	 reclaim_close(struct spool *);
uint64_t space_segment_bytes(void);
void	 space_check(struct spool *);

#endif
