/*
 * index_vfs: see index_vfs.h. Owns the order of what waits, the blocks in it, the helper and SQLite's view of the files' lengths.
 *
 * A file is seen in blocks of 4 KiB; each has at most one version in the tree, the newest. A write goes into that version as long as the
 * helper has not got it and no sync came since; else it makes a new one, at the end of the order, that begins as a copy of it. An older one stays
 * in the order until it is written. The helper's own descriptor is closed behind SQLite's, whose locks would go with it.
 */
#include <sys/queue.h>
#include <sys/tree.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "spool/helper.h"
#include "index/vfs.h"
#include "base/log.h"
#include "spool/order.h"
#include "base/xmalloc.h"

#define NAME		"postern"
#define BLOCK		4096
#define AT_ONCE		1024			/* blocks handed to the helper in one job */
#define SPARE_MAX	1024			/* blocks kept to be used again */
#define MEMORY_MAX	(256u * 1024 * 1024)	/* beyond that SQLite waits for the helper */

struct block;
RB_HEAD(blocks, block);

struct file {
	sqlite3_file	 base;			/* first: what SQLite has of it */
	sqlite3_file	*real;
	int		 fd;			/* the helper's; -1: passes through always */
	bool		 log;
	sqlite3_int64	 size;
	struct blocks	 waiting;		/* the newest versions */
};

/* In the order. Without data it is a sync. */
struct block {
	STAILQ_ENTRY(block) link;
	RB_ENTRY(block)	 tree;
	struct file	*file;
	bool		 sync, gone;		/* gone: to the helper */
	bool		 newest;		/* in the tree */
	uint64_t	 epoch;			/* of late.epoch */
	uint64_t	 rests_on;		/* a mark's number; 0: on none */
	sqlite3_int64	 no;
	unsigned	 from, to;		/* what of it is known */
	uint8_t		 data[BLOCK];
};
STAILQ_HEAD(order, block);

struct job {
	struct helper_job job;			/* first */
	struct order	 blocks;
	uint64_t	 durable;		/* marks, when it was handed over */
	int		 error;
	bool		 running;
};

static struct {
	sqlite3_vfs	 vfs;
	sqlite3_vfs	*real;
	struct helper	*helper;		/* NULL: off */
	struct order	 order, spare;
	unsigned	 nspare;
	struct job	 job;
	uint64_t	 epoch;			/* syncs so far */
	uint64_t	 put, reached;		/* in the order, ever; done */
	size_t		 bytes;
	int		 error;
} late = { .order = STAILQ_HEAD_INITIALIZER(late.order), .spare = STAILQ_HEAD_INITIALIZER(late.spare) };

static int
block_cmp(const struct block *a, const struct block *b)
{
	return a->no < b->no ? -1 : a->no > b->no;
}
RB_GENERATE_INTERNAL(blocks, block, tree, block_cmp, static __attribute__((unused)))

/* ---- the order ---- */

static struct block *
block_new(struct file *f)
{
	struct block *b = STAILQ_FIRST(&late.spare);

	if (b != NULL) {
		STAILQ_REMOVE_HEAD(&late.spare, link);
		late.nspare--;
	} else
		b = xmalloc(sizeof *b);
	memset(b, 0, offsetof(struct block, data));
	b->file = f;
	b->epoch = late.epoch;
	STAILQ_INSERT_TAIL(&late.order, b, link);
	late.put++;
	late.bytes += sizeof *b;
	return b;
}

static void
block_free(struct block *b)
{
	if (b->newest)
		RB_REMOVE(blocks, &b->file->waiting, b);
	late.bytes -= sizeof *b;
	late.reached++;
	if (late.nspare >= SPARE_MAX) {
		free(b);
		return;
	}
	STAILQ_INSERT_HEAD(&late.spare, b, link);
	late.nspare++;
}

static void
free_all(struct order *o)
{
	struct block *b;

	while ((b = STAILQ_FIRST(o)) != NULL) {
		STAILQ_REMOVE_HEAD(o, link);
		block_free(b);
	}
}

/* ---- the helper's side ---- */

static void	hand_over(void);

static int
put_on_disk(const struct block *b)
{
	size_t done = b->from;
	ssize_t n;

	if (b->sync)
		return fdatasync(b->file->fd) == -1 ? errno : 0;
	while (done < b->to) {
		n = pwrite(b->file->fd, b->data + done, b->to - done, b->no * BLOCK + (off_t)done);
		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			return n == 0 ? ENOSPC : errno;
	}
	return 0;
}

static void
work(struct helper_job *j)
{
	struct job *job = (struct job *)j;
	struct block *b;

	STAILQ_FOREACH(b, &job->blocks, link)
		if ((job->error = put_on_disk(b)) != 0)
			return;
}

/* The next may go. After an error all of it stays, to be read: nothing of what comes later may go. */
static void
done(struct helper_job *j)
{
	struct job *job = (struct job *)j;

	job->running = false;
	if (job->error == 0) {
		free_all(&job->blocks);
		hand_over();
		return;
	}
	late.error = job->error;
	STAILQ_CONCAT(&job->blocks, &late.order);
	STAILQ_CONCAT(&late.order, &job->blocks);
}

/* The rule of STATES.md, whoever decided that it may go. */
static void
check_order(const struct job *job)
{
	const struct block *b;

	STAILQ_FOREACH(b, &job->blocks, link)
		if (b->rests_on > job->durable)
			fatalx("the index would be on the disk before the marks that it rests on");
}

static void
hand_over(void)
{
	struct job *job = &late.job;
	struct block *b;
	unsigned n;

	if (job->running || late.error != 0)
		return;
	STAILQ_INIT(&job->blocks);
	job->durable = order_marks_durable();
	for (n = 0; n < AT_ONCE && (b = STAILQ_FIRST(&late.order)) != NULL && b->rests_on <= job->durable; n++) {
		STAILQ_REMOVE_HEAD(&late.order, link);
		b->gone = true;
		STAILQ_INSERT_TAIL(&job->blocks, b, link);
	}
	if (n == 0)
		return;
	check_order(job);
	job->error = 0;
	job->running = true;
	helper_add(late.helper, &job->job);
}

void
late_turn(void)
{
	if (late.helper == NULL)
		return;
	helper_turn(late.helper, false);
	hand_over();
}

static void
wait_for_job(void)
{
	if (late.helper != NULL)
		helper_turn(late.helper, true);		/* done may have begun the next */
}

/* ---- SQLite's side: one block ---- */

static struct block *
newest(struct file *f, sqlite3_int64 no)
{
	struct block key = { .no = no };

	return RB_FIND(blocks, &f->waiting, &key);
}

/* What the file has there, zeros behind its end. */
static int
read_disk(const struct file *f, void *p, size_t n, sqlite3_int64 off)
{
	size_t got = 0;
	ssize_t k = 1;

	while (got < n && k != 0) {
		k = pread(f->fd, (char *)p + got, n - got, off + (off_t)got);
		if (k == -1 && errno != EINTR)
			return -1;
		got += k > 0 ? (size_t)k : 0;
	}
	memset((char *)p + got, 0, n - got);
	return 0;
}

/* The block in which the next bytes may be put. */
static struct block *
writable(struct file *f, sqlite3_int64 no, unsigned from)
{
	struct block *old = newest(f, no), *b;

	if (old != NULL && !old->gone && old->epoch == late.epoch)
		return old;
	b = block_new(f);
	b->no = no;
	b->from = b->to = from;
	if (old != NULL) {
		b->from = old->from;
		b->to = old->to;
		memcpy(b->data + b->from, old->data + b->from, b->to - b->from);
		RB_REMOVE(blocks, &f->waiting, old);
		old->newest = false;
	}
	RB_INSERT(blocks, &f->waiting, b);
	b->newest = true;
	return b;
}

static int
write_block(struct file *f, sqlite3_int64 no, const uint8_t *p, unsigned from, unsigned to)
{
	struct block *b = writable(f, no, from);

	/* What lies between is as it is on the disk: no version of this block had it. */
	if (from > b->to && read_disk(f, b->data + b->to, from - b->to, no * BLOCK + b->to) == -1)
		return SQLITE_IOERR_READ;
	if (to < b->from && read_disk(f, b->data + to, b->from - to, no * BLOCK + to) == -1)
		return SQLITE_IOERR_READ;
	memcpy(b->data + from, p, to - from);
	b->from = from < b->from ? from : b->from;
	b->to = to > b->to ? to : b->to;
	if (f->log)
		b->rests_on = order_marks();
	return SQLITE_OK;
}

static int
read_block(const struct file *f, const struct block *b, sqlite3_int64 no, uint8_t *p, unsigned from, unsigned to)
{
	unsigned a, z;

	if ((b == NULL || b->from > from || b->to < to) && read_disk(f, p, to - from, no * BLOCK + from) == -1)
		return SQLITE_IOERR_READ;
	if (b == NULL)
		return SQLITE_OK;
	a = b->from > from ? b->from : from;
	z = b->to < to ? b->to : to;
	if (a < z)
		memcpy(p + (a - from), b->data + a, z - a);
	return SQLITE_OK;
}

/* ---- SQLite's side: a file ---- */

static struct file *
file_of(sqlite3_file *s)
{
	return (struct file *)(void *)s;
}

static bool
is_late(const struct file *f)
{
	return late.helper != NULL && f->fd != -1;
}

/* Of n bytes from off on those in the first block. */
static unsigned
part(int n, sqlite3_int64 off)
{
	unsigned room = BLOCK - (unsigned)(off % BLOCK);

	return (unsigned)n < room ? (unsigned)n : room;
}

static int
late_write(sqlite3_file *s, const void *p, int n, sqlite3_int64 off)
{
	struct file *f = file_of(s);
	const uint8_t *from = p;
	unsigned k, at;
	int rc = SQLITE_OK;

	if (f->size < off + n)
		f->size = off + n;
	if (!is_late(f))
		return f->real->pMethods->xWrite(f->real, p, n, off);
	while (late.bytes > MEMORY_MAX && late.job.running)
		wait_for_job();
	for (; n > 0 && rc == SQLITE_OK; n -= (int)k, off += k, from += k) {
		at = (unsigned)(off % BLOCK);
		k = part(n, off);
		rc = write_block(f, off / BLOCK, from, at, at + k);
	}
	return rc;
}

static int
late_read(sqlite3_file *s, void *p, int n, sqlite3_int64 off)
{
	struct file *f = file_of(s);
	bool beyond = off + n > f->size;
	uint8_t *to = p;
	unsigned k, at;
	int rc = SQLITE_OK;

	if (!is_late(f) || RB_EMPTY(&f->waiting))
		return f->real->pMethods->xRead(f->real, p, n, off);
	for (; n > 0 && rc == SQLITE_OK; n -= (int)k, off += k, to += k) {
		at = (unsigned)(off % BLOCK);
		k = part(n, off);
		rc = read_block(f, newest(f, off / BLOCK), off / BLOCK, to, at, at + k);
	}
	return rc == SQLITE_OK && beyond ? SQLITE_IOERR_SHORT_READ : rc;
}

/* A file that is longer than its content is no harm. */
static int
late_truncate(sqlite3_file *s, sqlite3_int64 size)
{
	struct file *f = file_of(s);

	if (is_late(f))
		return SQLITE_OK;
	f->size = size;
	return f->real->pMethods->xTruncate(f->real, size);
}

static int
late_sync(sqlite3_file *s, int flags)
{
	struct file *f = file_of(s);

	if (!is_late(f))
		return f->real->pMethods->xSync(f->real, flags);
	late.epoch++;
	block_new(f)->sync = true;
	return SQLITE_OK;
}

static int
late_size(sqlite3_file *s, sqlite3_int64 *size)
{
	struct file *f = file_of(s);

	if (!is_late(f))
		return f->real->pMethods->xFileSize(f->real, size);
	*size = f->size;
	return SQLITE_OK;
}

static int
late_control(sqlite3_file *s, int op, void *arg)
{
	struct file *f = file_of(s);

	if (op == SQLITE_FCNTL_SIZE_HINT)	/* the helper will make it longer */
		return SQLITE_OK;
	return f->real->pMethods->xFileControl(f->real, op, arg);
}

static void
forget(struct file *f)
{
	struct order rest = STAILQ_HEAD_INITIALIZER(rest);
	struct block *b;

	while ((b = STAILQ_FIRST(&late.order)) != NULL) {
		STAILQ_REMOVE_HEAD(&late.order, link);
		if (b->file == f)
			block_free(b);
		else
			STAILQ_INSERT_TAIL(&rest, b, link);
	}
	STAILQ_CONCAT(&late.order, &rest);
}

static int
late_close(sqlite3_file *s)
{
	struct file *f = file_of(s);
	int rc;

	if (f->fd != -1) {
		wait_for_job();
		forget(f);
	}
	rc = f->real->pMethods->xClose(f->real);
	if (f->fd != -1)
		close(f->fd);
	return rc;
}

static int
real_lock(sqlite3_file *s, int level)
{
	return file_of(s)->real->pMethods->xLock(file_of(s)->real, level);
}

static int
real_unlock(sqlite3_file *s, int level)
{
	return file_of(s)->real->pMethods->xUnlock(file_of(s)->real, level);
}

static int
real_reserved(sqlite3_file *s, int *out)
{
	return file_of(s)->real->pMethods->xCheckReservedLock(file_of(s)->real, out);
}

static int
real_sector(sqlite3_file *s)
{
	return file_of(s)->real->pMethods->xSectorSize(file_of(s)->real);
}

static int
real_traits(sqlite3_file *s)
{
	return file_of(s)->real->pMethods->xDeviceCharacteristics(file_of(s)->real);
}

static int
late_open(sqlite3_vfs *v, const char *name, sqlite3_file *s, int flags, int *out)
{
	/* Version 1: no shared memory, no mmap. The log works without in an exclusive connection. */
	static const sqlite3_io_methods methods = { 1, late_close, late_read, late_write, late_truncate, late_sync, late_size, real_lock,
	    real_unlock, real_reserved, late_control, real_sector, real_traits, NULL, NULL, NULL, NULL, NULL, NULL };
	struct file *f = file_of(s);
	int rc;

	(void)v;
	memset(f, 0, sizeof *f);
	f->real = (sqlite3_file *)(void *)(f + 1);
	f->fd = -1;
	f->log = (flags & SQLITE_OPEN_WAL) != 0;
	RB_INIT(&f->waiting);
	if ((rc = late.real->xOpen(late.real, name, f->real, flags, out)) != SQLITE_OK) {
		if (f->real->pMethods != NULL)
			f->real->pMethods->xClose(f->real);
		return rc;
	}
	if ((flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_DB)) != 0 && name != NULL)
		f->fd = open(name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);	/* -1 (read-only): SQLite does the writing, as it can */
	f->real->pMethods->xFileSize(f->real, &f->size);
	s->pMethods = &methods;
	return SQLITE_OK;
}

/* ---- for index.c ---- */

const char *
late_vfs(void)
{
	if (late.real != NULL)
		return NAME;
	if ((late.real = sqlite3_vfs_find(NULL)) == NULL)
		fatalx("SQLite has no VFS");
	late.vfs = *late.real;
	late.vfs.szOsFile = (int)sizeof(struct file) + late.real->szOsFile;
	late.vfs.zName = NAME;
	late.vfs.xOpen = late_open;
	if (sqlite3_vfs_register(&late.vfs, 0) != SQLITE_OK)
		fatalx("SQLite does not take the VFS");
	return NAME;
}

void
late_on(void)
{
	if (late.helper != NULL)
		return;
	late.job.job.work = work;
	late.job.job.done = done;
	late.helper = helper_open();
}

void
late_off(void)
{
	if (late.helper == NULL)
		return;
	do {
		late_turn();
		wait_for_job();
	} while (late.job.running);
	late_drop();
	helper_close(late.helper);
	late.helper = NULL;
	while (!STAILQ_EMPTY(&late.spare)) {
		struct block *b = STAILQ_FIRST(&late.spare);

		STAILQ_REMOVE_HEAD(&late.spare, link);
		free(b);
	}
	late.nspare = 0;
}

int
late_error(void)
{
	return late.error;
}

void
late_drop(void)
{
	late.error = EIO;	/* nothing more is begun */
	wait_for_job();
	free_all(&late.order);
	late.error = 0;
}

uint64_t
late_number(void)
{
	return late.put;
}

bool
late_reached(uint64_t number)
{
	return late.reached >= number;
}

size_t
late_bytes(void)
{
	return late.bytes;
}
