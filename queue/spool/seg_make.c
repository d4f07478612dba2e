/*
 * seg_make: new segments: a file, its header, the header's sync, and only then the name that shows it.
 *
 * Called by the group commit, which has the sync, by reclaim.c, which has one made ahead, and at start. Owns the one that is being made.
 * A file that was used before has good records of its earlier life, so its name may not be on the disk before its new header is: that is
 * asserted here. What the disk refuses is -1 with errno, or a wait before the next try.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "spool/spool_priv.h"

#define AGAIN_MS	1000

/* A full-sized file in tmp/, in STATES.md S0 to S2. */
static int
new_file(struct spool *s, const char *name)
{
	int fd, error;

	if ((fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)) == -1)
		return -1;
	if (fallocate(fd, 0, 0, (off_t)s->seg_bytes) == 0)
		return fd;
	/* No fallocate on this file system: then a full disk is found out at the commit. */
	if ((errno == EOPNOTSUPP || errno == ENOSYS) && ftruncate(fd, (off_t)s->seg_bytes) == 0)
		return fd;
	error = errno;
	unlink(name);
	close(fd);
	errno = error;
	return -1;
}

/* STATES.md S1 to S2, or S8. */
int
make_begin(struct spool *s)
{
	struct seg_new *n = &s->making;
	struct buf b = BUF_INIT;
	int rc;

	if (s->nspare > 0) {
		n->file = s->spare[--s->nspare];
	} else {
		snprintf(n->file.name, sizeof n->file.name, "tmp/s-%llx", (unsigned long long)++s->tmp_no);
		if ((n->file.fd = new_file(s, n->file.name)) == -1)
			return -1;
	}
	n->step = NEW_WRITTEN;
	n->head = (struct seg_head){ .version = SEG_VERSION, .kind = SEG_SHARED, .made = ev_time_ms() };
	arc4random_buf(n->head.rnd, sizeof n->head.rnd);
	seg_head_put(&b, &n->head);
	if ((rc = pwrite_all(n->file.fd, buf_data(&b), b.len, 0) == -1 ? -1 : 0) == -1)
		make_drop(s);
	buf_free(&b);
	if (rc == 0 && !sync_running(s->sync))
		ev_wake();
	return rc;
}

void
make_drop(struct spool *s)
{
	struct seg_new *n = &s->making;
	int error = errno;

	if (n->step == NEW_NONE)
		return;
	unlink(n->file.name);
	close(n->file.fd);
	n->step = NEW_NONE;
	errno = error;
}

int
make_sync_fd(struct spool *s)
{
	if (s->making.step != NEW_WRITTEN)
		return -1;
	s->making.step = NEW_SYNCING;
	return s->making.file.fd;
}

/* S2 to S4. The file is the segment's from here on, or gone. */
static struct seg *
christen(struct spool *s)
{
	struct seg_new *n = &s->making;
	uint32_t no = seg_number(s);
	struct seg *g;
	char name[32];

	if (n->step != NEW_SYNCED)
		fatalx("segment %08x: its name would be there before its header", no);
	seg_name(name, no);
	if (rename(n->file.name, name) == -1) {
		make_drop(s);
		return NULL;
	}
	n->step = NEW_NONE;
	dir_changed(s);
	g = seg_add(s, no, &n->head, s->seg_bytes, n->file.fd);
	g->name_gen = s->dir_gen;
	return g;
}

static void
put_off(struct spool *s)
{
	int error = errno;

	s->space_next = 0;	/* it is low, and known to be so at once */
	if (s->make_after == 0)
		log_warn("cannot make the next segment ahead: %m");
	s->make_after = ev_now_ms() + AGAIN_MS;
	errno = error;
}

int
make_synced(struct spool *s, int error)
{
	errno = error;
	if (error != 0) {
		make_drop(s);
	} else {
		s->making.step = NEW_SYNCED;
		s->next = christen(s);
	}
	if (s->next == NULL) {
		put_off(s);
		return -1;
	}
	s->make_after = 0;
	return 0;
}

void
make_ahead(struct spool *s)
{
	if (s->next == NULL && s->making.step == NEW_NONE && ev_now_ms() >= s->make_after && make_begin(s) == -1)
		put_off(s);
}

int
make_now(struct spool *s)
{
	int fd;

	if (make_begin(s) == -1)
		return -1;
	fd = make_sync_fd(s);
	return make_synced(s, fdatasync(fd) == -1 ? errno : 0);
}

struct seg *
seg_current(struct spool *s)
{
	if (s->cur != NULL && !s->cur->sealed && !s->cur->failed)
		return s->cur;
	s->cur = s->next;
	s->next = NULL;
	if (s->cur == NULL && (s->making.step != NEW_NONE || make_begin(s) == 0))
		errno = EAGAIN;		/* behind its sync */
	return s->cur;
}
