/*
 * index_files: index.db as files: taken away, put aside, put in place; and how much room its log has.
 *
 * Called by index.c alone. Relative names, no SQLite. What cannot be done is logged here.
 */
#ifndef INDEX_FILES_H
#define INDEX_FILES_H

#include <stdbool.h>
#include <stdint.h>

#define INDEX_PAGE	4096
#define INDEX_DB	"index.db"
#define INDEX_COPY	"index.db.new"		/* becomes INDEX_DB */

/* The write-ahead log. */
struct index_log {
	unsigned	 most;		/* pages in it at which its content goes to index.db */
	unsigned	 limit;		/* of that */
	unsigned	 pages;		/* in it now */
	uint64_t	 have;		/* so many of its bytes have their blocks */
};

/*
 * Of the one that is there; its pages are as many as its length allows for. false: so little is free that it could not become what
 * it may. After a full disk ended a run, that keeps the next one from the same end.
 */
bool	 index_log_begin(struct index_log *);
/* Emptying it took the main loop so many us, and the disk so many ms: it becomes longer or shorter. */
void	 index_log_took(struct index_log *, uint64_t us, uint64_t ms);
/* Whether it can go on behind its pages: the blocks for that are taken now, as far as the file system can do so. */
bool	 index_log_room(struct index_log *);
/* Whether the disk has room for a copy of so many bytes and its log, and for as much again. */
bool	 index_files_room(const struct index_log *, uint64_t bytes);

void	 index_files_named(void);		/* the names of those that are there are on the disk */
void	 index_files_remove(void);
void	 index_files_set_aside(void);		/* to quarantine/ */
bool	 index_files_replace(void);		/* INDEX_COPY, which is synced, becomes INDEX_DB; false: it is gone */

#endif
