/*
 * index_files: see index_files.h.
 *
 * The order of removals and renames is one that a power cut may end anywhere: an index.db never meets a log that is not its own, nor
 * stands there without it. A log without an index.db is nothing (STATES.md, I0).
 */
#include <sys/statvfs.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "proc/ev.h"
#include "index/files.h"
#include "base/log.h"

#define LOG		INDEX_DB "-wal"
#define LOG_PAGE	(INDEX_PAGE + 24)
#define LOG_MOST	8000			/* pages; fewer on a small disk */
#define LOG_LEAST	200
#define LOG_FIRST	2000			/* until it is known what emptying it costs */
#define TOOK_US		5000			/* of the main loop */
#define TOOK_MS		2000			/* until the disk has it */
#define LOG_PART	64			/* of the file system at most, one in so many */
#define ROOM_PART	8			/* of its most pages there are to be so many, one in so many, behind its end ... */
#define ROOM_LEAST	128			/* ... or this: more than transactions of 10 ms have on a disk that small */

static bool
is_free(uint64_t bytes)
{
	struct statvfs v;

	return statvfs(".", &v) == -1 || (uint64_t)v.f_bavail * v.f_frsize >= bytes;
}

/* ---- the log ---- */

bool
index_log_begin(struct index_log *l)
{
	uint64_t part = LOG_MOST;
	struct statvfs v;
	struct stat st;

	if (statvfs(".", &v) == 0)
		part = (uint64_t)v.f_blocks * v.f_frsize / LOG_PART / LOG_PAGE;
	l->limit = part > LOG_MOST ? LOG_MOST : part < LOG_LEAST ? LOG_LEAST : (unsigned)part;
	l->most = l->limit < LOG_FIRST ? l->limit : LOG_FIRST;
	l->pages = stat(LOG, &st) == 0 ? (unsigned)(st.st_size / LOG_PAGE) : 0;
	l->have = 0;
	return is_free((uint64_t)l->limit * LOG_PAGE);
}

/* Gives the log blocks up to there. Where a file system cannot do that ahead, statvfs has the last word. */
static bool
take(uint64_t bytes, uint64_t room)
{
	int fd = open(LOG, O_WRONLY | O_CLOEXEC | O_NOFOLLOW), error;

	if (fd == -1)		/* somebody took it away; SQLite goes on with the one that it has */
		return true;
	error = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes) == -1 ? errno : 0;
	close(fd);
	if (error == EOPNOTSUPP || error == ENOSYS)
		return is_free(room);
	return error != ENOSPC && error != EDQUOT && error != EFBIG;
}

void
index_log_took(struct index_log *l, uint64_t us, uint64_t ms)
{
	if (us > TOOK_US || ms > TOOK_MS)
		l->most -= l->most / 4;
	else if (us < TOOK_US / 2 && ms < TOOK_MS / 2)
		l->most += l->most / 8;
	if (l->most > l->limit)
		l->most = l->limit;
	if (l->most < LOG_LEAST)
		l->most = LOG_LEAST;
}

bool
index_log_room(struct index_log *l)
{
	uint64_t least = l->limit / ROOM_PART, room, want;

	room = (least > ROOM_LEAST ? least : ROOM_LEAST) * LOG_PAGE;
	want = (uint64_t)l->pages * LOG_PAGE + room;
	if (want <= l->have)
		return true;
	want = (want / room + 1) * room;	/* a system call for some transactions only, and on a full disk some between two checkpoints */
	if (!take(want, room))
		return false;
	l->have = want;
	return true;
}

bool
index_files_room(const struct index_log *l, uint64_t bytes)
{
	return is_free(2 * (bytes + (uint64_t)l->limit * LOG_PAGE));
}

/* ---- names ---- */

static bool
sync_names(void)
{
	int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool done = fd != -1 && fsync(fd) == 0;

	if (!done)
		log_error("cannot sync the spool's directory: %m");
	if (fd != -1)
		close(fd);
	return done;
}

void
index_files_named(void)
{
	sync_names();
}

void
index_files_remove(void)
{
	if (unlink(INDEX_DB) == -1 && errno != ENOENT)
		log_error(INDEX_DB " cannot be removed: %m");
	sync_names();
	unlink(LOG);
	unlink(INDEX_COPY);
}

void
index_files_set_aside(void)
{
	char to[64];
	int64_t name = ev_time_ms();

	do
		snprintf(to, sizeof to, "quarantine/" INDEX_DB "-%llx", (unsigned long long)name++);
	while (access(to, F_OK) == 0);
	if (rename(INDEX_DB, to) == -1 && errno != ENOENT) {
		log_error(INDEX_DB " cannot be moved to quarantine/: %m");
		unlink(INDEX_DB);
	}
	sync_names();
	strlcat(to, "-wal", sizeof to);
	if (rename(LOG, to) == -1)
		unlink(LOG);
}

bool
index_files_replace(void)
{
	if (sync_names() && rename(INDEX_COPY, INDEX_DB) == 0)
		return true;
	log_error(INDEX_COPY " cannot become " INDEX_DB ": %m");
	unlink(INDEX_COPY);
	return false;
}
