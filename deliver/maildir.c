/*
 * maildir: delivery into Maildirs, in batches. Called by the agent, under the recipient's uid; owns the files in tmp/
 * until they are moved and removes them when anything fails. What goes wrong is local trouble: it becomes a temporary
 * failure that names the path, never a bounce.
 *
 * A file is written in tmp/, synced, moved to new/ without replacing anything, and new/ is synced. Only then is it delivered.
 */
#include <sys/stat.h>
#include <sys/time.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "maildir.h"

static const struct {
	int		 err;
	uint16_t	 code;
	const char	*dsn, *what;
} troubles[] = {
	{ ENOSPC,	452, "4.2.2", "mailbox full" },
	{ EDQUOT,	452, "4.2.2", "mailbox full" },
	{ EACCES,	450, "4.2.1", "mailbox not accessible" },
	{ EPERM,	450, "4.2.1", "mailbox not accessible" },
	{ ENOENT,	450, "4.2.1", "mailbox not accessible" },
	{ ENOTDIR,	450, "4.2.1", "mailbox not accessible" },
	{ ELOOP,	450, "4.2.1", "mailbox not accessible" },
	{ EROFS,	450, "4.2.1", "mailbox not accessible" },
	{ 0,		451, "4.3.0", "local error" }
};

/* The delivery fails; what it left behind is removed. Called with errno. */
static void
fail(struct delivery *d, const char *deed, const char *part)
{
	int	 err = errno, i;

	if (d->fd != -1)
		close(d->fd);
	d->fd = -1;
	if (d->state == DV_MOVED)
		unlinkat(d->dir->new, d->name, 0);
	else if (d->name[0] != '\0')
		unlinkat(d->dir->tmp, d->name, 0);
	for (i = 0; troubles[i].err != 0 && troubles[i].err != err; i++)
		;
	d->state = DV_FAILED;
	d->outcome = OUT_DEFER;
	d->code = troubles[i].code;
	d->dsn = troubles[i].dsn;
	snprintf(d->text, sizeof(d->text), "%s: cannot %s %.400s%s: %s", troubles[i].what, deed, d->box.text, part, strerror(err));
}

/* A host name fit for a file name: "/" and ":" mean something there. */
static void
host_part(const char *host, char *out, size_t size)
{
	size_t	 n = 0;

	for (; *host != '\0' && n + 5 < size; host++) {
		if (*host == '/' || *host == ':')
			n += (size_t)snprintf(out + n, size - n, "\\%03o", (unsigned)*host);
		else
			out[n++] = *host;
	}
	out[n] = '\0';
}

/* time.MusecPpid_seq.host: no other delivery on this host ever has the same. */
static void
make_name(char *out, size_t size, const char *hostname)
{
	static unsigned long	 seq;
	struct timeval		 tv;
	char			 host[128];

	host_part(hostname, host, sizeof(host));
	gettimeofday(&tv, NULL);
	snprintf(out, size, "%lld.M%06ldP%ld_%lu.%s", (long long)tv.tv_sec, (long)tv.tv_usec, (long)getpid(), ++seq, host);
}

static int
create(struct delivery *d, const char *hostname)
{
	int	 tries, fd = -1;

	for (tries = 0; tries < 10; tries++) {
		make_name(d->name, sizeof(d->name), hostname);
		fd = openat(d->dir->tmp, d->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd != -1 || errno != EEXIST)
			break;
	}
	if (fd == -1)
		d->name[0] = '\0';		/* nothing of ours to remove */
	return fd;
}

/* The Maildir of the delivery: one that an earlier one of the batch opened, or dirs[at]. */
static bool
find_dir(struct delivery *batch, size_t at, struct maildir *dirs)
{
	struct delivery	*d = &batch[at];
	const char	*deed, *part;
	size_t		 i;

	for (i = 0; i < at; i++) {
		if (batch[i].dir != NULL && batch[i].dir->new != -1 && strcmp(batch[i].box.text, d->box.text) == 0) {
			d->dir = batch[i].dir;
			return true;
		}
	}
	d->dir = &dirs[at];
	if ((deed = maildir_open(d->dir, &d->box, &part)) == NULL)
		return true;
	fail(d, deed, part);
	return false;
}

static void
write_one(struct delivery *d, const char *hostname)
{
	char	 top[LETTER_TOP_MAX];

	if ((d->fd = create(d, hostname)) == -1) {
		fail(d, "create a file in", "/tmp");
		return;
	}
	letter_trace(top, d->sender, d->rcpt);
	if ((d->size = letter_write(d->letter, d->fd, top)) == -1)
		fail(d, "write to", "/tmp");
	else
		d->state = DV_WRITTEN;
}

static void
sync_one(struct delivery *d)
{
	int	 fd = d->fd;

	if (fsync(fd) == -1) {
		fail(d, "sync a file in", "/tmp");
		return;
	}
	d->fd = -1;
	if (close(fd) == -1)			/* where quotas tell only now */
		fail(d, "write to", "/tmp");
	else
		d->state = DV_SYNCED;
}

/* Nothing that is there is ever replaced, on file systems without RENAME_NOREPLACE by link and unlink. */
static int
move(int from, const char *old, int to, const char *new)
{
	if (renameat2(from, old, to, new, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (linkat(from, old, to, new, 0) == -1)
		return -1;
	unlinkat(from, old, 0);
	return 0;
}

static void
move_one(struct delivery *d)
{
	char	 final[sizeof(d->name)];

	if ((size_t)snprintf(final, sizeof(final), "%s,S=%lld", d->name, (long long)d->size) >= sizeof(final)) {
		errno = ENAMETOOLONG;
		fail(d, "move a file into", "/new");
		return;
	}
	if (move(d->dir->tmp, d->name, d->dir->new, final) == -1) {
		fail(d, "move a file into", "/new");
		return;
	}
	strlcpy(d->name, final, sizeof(d->name));
	d->state = DV_MOVED;
}

static void
sync_dir(struct delivery *batch, size_t n, struct maildir *dir)
{
	size_t	 i;
	int	 err = 0;

	if (maildir_sync(dir->new) == -1)
		err = errno;
	for (i = 0; i < n; i++) {
		if (batch[i].dir != dir || batch[i].state != DV_MOVED)
			continue;
		if ((errno = err) != 0) {
			fail(&batch[i], "sync", "/new");
			continue;
		}
		batch[i].outcome = OUT_SENT;
		batch[i].code = 250;
		batch[i].dsn = "2.0.0";
		strlcpy(batch[i].text, "delivered to maildir", sizeof(batch[i].text));
	}
}

static void
begin(struct delivery *d)
{
	d->state = DV_NEW;
	d->dir = NULL;
	d->fd = -1;
	d->name[0] = '\0';
}

void
maildir_deliver(struct delivery *batch, size_t n, const char *hostname)
{
	struct maildir	 dirs[MAILDIR_BATCH];
	size_t		 i;

	for (i = 0; i < n; i++) {
		dirs[i].tmp = dirs[i].new = -1;
		begin(&batch[i]);
		if (find_dir(batch, i, dirs))
			write_one(&batch[i], hostname);
	}
	for (i = 0; i < n; i++)
		if (batch[i].state == DV_WRITTEN)
			sync_one(&batch[i]);
	for (i = 0; i < n; i++)
		if (batch[i].state == DV_SYNCED)
			move_one(&batch[i]);
	for (i = 0; i < n; i++) {
		if (dirs[i].new != -1)
			sync_dir(batch, n, &dirs[i]);
		maildir_close(&dirs[i]);
	}
}
