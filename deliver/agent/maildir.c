/*
 * maildir: delivery into Maildirs, in batches. Called by the agent, under the recipient's uid; owns the files in tmp/
 * until they are moved and removes them when anything fails. What goes wrong is local trouble: it becomes a temporary
 * failure that names the path, never a bounce.
 *
 * A file is written in tmp/, synced, moved to new/ without replacing anything, and new/ is synced. Only then is it delivered. Its name is
 * made from the delivery, so what an earlier try left is found again: an unfinished one in tmp/ is replaced, one in new/ or cur/ with the
 * same content is the delivery.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "agent/maildir.h"
#include "agent/maildir_earlier.h"
#include "agent/maildir_flush.h"
#include "mail/qid.h"

#define OTHERS_MAX	10	/* names that are tried */

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

/*
 * seconds.QidRrecipient.host: no other delivery on this host ever has the same, and the same delivery never another. other: not 0 if that
 * name is taken by something else, which takes a queue that lost its memory and a clock that went back.
 */
static void
make_name(char *out, const struct delivery *d, const char *hostname, unsigned other)
{
	char	 host[128], more[16] = "";

	host_part(hostname, host, sizeof(host));
	if (other > 0)
		snprintf(more, sizeof(more), "_%u", other);
	snprintf(out, NAME_MAX + 1, "%lld.Q%sR%u%s.%s", (long long)(d->arrival / 1000), qid_text(d->id).s, d->number, more, host);
}

/* What lies there is of an earlier try that ended before it was done. */
static int
create(struct delivery *d, const char *hostname)
{
	int	 tries, fd = -1;

	make_name(d->name, d, hostname, 0);
	for (tries = 0; tries < 2; tries++) {
		fd = openat(d->dir->tmp, d->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd != -1 || errno != EEXIST || unlinkat(d->dir->tmp, d->name, 0) == -1)
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

	for (i = at; i-- > 0;) {		/* most often the one before */
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
synced(struct delivery *d, int error)
{
	int	 fd = d->fd;

	if ((errno = error) != 0) {
		fail(d, "sync a file in", "/tmp");
		return;
	}
	d->fd = -1;
	if (close(fd) == -1)			/* where quotas tell only now */
		fail(d, "write to", "/tmp");
	else
		d->state = DV_SYNCED;
}

static void
sync_all(struct delivery *batch, size_t n)
{
	struct flush	 files[MAILDIR_BATCH];
	struct delivery	*whose[MAILDIR_BATCH];
	size_t		 i, m = 0;

	for (i = 0; i < n; i++)
		if (batch[i].state == DV_WRITTEN) {
			files[m].fd = batch[i].fd;
			whose[m++] = &batch[i];
		}
	maildir_flush_files(files, m);
	for (i = 0; i < m; i++)
		synced(whose[i], files[i].error);
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

/* It is there already: the one in tmp is one too many. */
static void
found(struct delivery *d)
{
	unlinkat(d->dir->tmp, d->name, 0);
	d->state = DV_FOUND;
}

/* The name it has with its size, or another one where that is taken. -> -1 with errno */
static int
move_new(struct delivery *d, const char *hostname)
{
	char		 name[sizeof(d->name)], final[sizeof(d->name)];
	unsigned	 other;

	for (other = 0; other < OTHERS_MAX; other++) {
		make_name(name, d, hostname, other);
		if ((size_t)snprintf(final, sizeof(final), "%s,S=%lld", name, (long long)d->size) >= sizeof(final)) {
			errno = ENAMETOOLONG;
			return -1;
		}
		if (move(d->dir->tmp, d->name, d->dir->new, final) == 0) {
			strlcpy(d->name, final, sizeof(d->name));
			d->state = DV_MOVED;
			return 0;
		}
		if (errno != EEXIST)
			return -1;
		if (earlier_in_new(d, final)) {
			found(d);
			return 0;
		}
	}
	errno = EEXIST;
	return -1;
}

static void
move_one(struct delivery *d, const char *hostname)
{
	if (d->earlier[0] != '\0' && earlier_in_cur(d))
		found(d);
	else if (move_new(d, hostname) == -1)
		fail(d, "move a file into", "/new");
}

/* Its entry is durable, or (error) not. */
static void
end(struct delivery *d, int error)
{
	if ((errno = error) != 0) {
		fail(d, "sync", "/new");
		return;
	}
	d->outcome = OUT_SENT;
	d->code = 250;
	d->dsn = "2.0.0";
	strlcpy(d->text, d->state == DV_MOVED ? "delivered to maildir" : "delivered to maildir by an earlier try", sizeof(d->text));
}

static void
sync_dirs(struct delivery *batch, size_t n, const struct maildir *dirs)
{
	struct flush	 new[MAILDIR_BATCH];
	size_t		 which[MAILDIR_BATCH], i, m = 0;

	for (i = 0; i < n; i++) {
		which[i] = m;
		if (dirs[i].new != -1)
			new[m++].fd = dirs[i].new;
	}
	maildir_flush_dirs(new, m);
	for (i = 0; i < n; i++)
		if (batch[i].state == DV_MOVED || batch[i].state == DV_FOUND)
			end(&batch[i], new[which[batch[i].dir - dirs]].error);
}

static void
begin(struct delivery *d)
{
	d->state = DV_NEW;
	d->dir = NULL;
	d->fd = -1;
	d->name[0] = d->earlier[0] = '\0';
}

/* Is there anything of that mailbox that an earlier try may have brought to its end? */
static bool
any_again(const struct delivery *batch, size_t n, const struct maildir *dir)
{
	size_t	 i;

	for (i = 0; i < n; i++)
		if (batch[i].dir == dir && batch[i].again && batch[i].state == DV_SYNCED)
			return true;
	return false;
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
	sync_all(batch, n);
	for (i = 0; i < n; i++)
		if (dirs[i].new != -1 && any_again(batch, n, &dirs[i]))
			earlier_look(batch, n, &dirs[i]);
	for (i = 0; i < n; i++)
		if (batch[i].state == DV_SYNCED)
			move_one(&batch[i], hostname);
	sync_dirs(batch, n, dirs);
	for (i = 0; i < n; i++)
		maildir_close(&dirs[i]);
}
