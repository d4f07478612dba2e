/*
 * suspend: see suspend.h. Owns the sorted lists, their file, which is written anew beside it, synced and renamed at each change, and the
 * timer of what ends by itself. An end runs with the monotonic clock; over a restart it is a moment of the wall clock, and never further
 * off than it was when it was given, whatever that clock says.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "mail/addr.h"
#include "base/buf.h"
#include "proc/clock.h"
#include "spool/errand.h"
#include "proc/ev.h"
#include "base/log.h"
#include "core/suspend.h"
#include "base/xmalloc.h"

#define FILE_NAME	"suspended"
#define FILE_NEW	"suspended.new"

#define LOOK_MS		(3600 * 1000)	/* a timer for what ends later than that looks again then */

struct entry {
	char	*name;
	int64_t	 until;			/* clock_now(); SUSPEND_ALWAYS */
	int64_t	 span;			/* so long was given */
};

/* Domains are the same in any case, names of sources are not. A domain has no space, so the words before the others are none. */
static struct list {
	const char	*prefix;		/* of its lines */
	int		(*compare)(const char *, const char *);
	size_t		 most;
	struct entry	*v;
	size_t		 n;
} lists[] = {
	[SUSPEND_DOMAIN] = { "", strcasecmp, SUSPEND_DOMAINS, NULL, 0 },
	[SUSPEND_SOURCE] = { "source ", strcmp, SUSPEND_SOURCES, NULL, 0 },
	[SUSPEND_HALF] = { "pause ", strcmp, 2, NULL, 0 },
};
#define LISTS	(sizeof(lists) / sizeof(lists[0]))

static struct {
	void		(*ended)(enum suspend_kind, const char *);
	struct ev_timer	 timer;
	uint64_t	 ticket;		/* of the last errand */
	int		 error;			/* of the last time that the file was written; 0: it says what the lists do */
} su;

/* Where it is, or would be. */
static size_t
place(const struct list *l, const char *name, bool *there)
{
	size_t from = 0, to = l->n, mid;
	int c;

	*there = false;
	while (from < to) {
		mid = (from + to) / 2;
		c = l->compare(l->v[mid].name, name);
		if (c == 0) {
			*there = true;
			return mid;
		}
		if (c < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

bool
suspend_has(enum suspend_kind kind, const char *name)
{
	bool there;

	if (lists[kind].n == 0)
		return false;
	place(&lists[kind], name, &there);
	return there;
}

const char *
suspend_nth(enum suspend_kind kind, size_t i)
{
	return i < lists[kind].n ? lists[kind].v[i].name : NULL;
}

int64_t
suspend_left(enum suspend_kind kind, const char *name)
{
	const struct list *l = &lists[kind];
	bool there;
	size_t at = place(l, name, &there);
	int64_t left;

	if (!there)
		return 0;
	if (l->v[at].until == SUSPEND_ALWAYS)
		return SUSPEND_ALWAYS;
	left = l->v[at].until - clock_now();
	return left > 1 ? left : 1;
}

static int64_t
end_of(int64_t ms)
{
	return ms == SUSPEND_ALWAYS ? SUSPEND_ALWAYS : clock_now() + ms;
}

static void
insert(struct list *l, size_t at, const char *name, int64_t left, int64_t span)
{
	l->v = xreallocarray(l->v, l->n + 1, sizeof(*l->v));
	memmove(l->v + at + 1, l->v + at, (l->n - at) * sizeof(*l->v));
	l->v[at] = (struct entry){ .name = xstrdup(name), .until = end_of(left), .span = span };
	l->n++;
}

static void
take_out(struct list *l, size_t at)
{
	free(l->v[at].name);
	l->n--;
	memmove(l->v + at, l->v + at + 1, (l->n - at) * sizeof(*l->v));
}

/* ---- the file, written by an errand ---- */

static int
sync_folder(void)
{
	int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = 0;

	if (fd == -1)
		return errno;
	if (fsync(fd) == -1)
		error = errno;
	close(fd);
	return error;
}

static int
write_new(const struct buf *b)
{
	int fd = open(FILE_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600), error = 0;
	size_t done = 0;
	ssize_t n;

	if (fd == -1)
		return errno;
	while (done < b->len && error == 0) {
		n = write(fd, buf_data(b) + done, b->len - done);
		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			error = n == 0 ? ENOSPC : errno;
	}
	if (error == 0 && fsync(fd) == -1)
		error = errno;
	close(fd);
	return error;
}

static int
put_file(void *arg)
{
	int error = write_new(arg);

	if (error == 0 && rename(FILE_NEW, FILE_NAME) == -1)
		error = errno;
	return error != 0 ? error : sync_folder();
}

static void
stored(void *arg, int error)
{
	su.error = error;
	if (error != 0)
		log_warn("%s cannot be written: %s", FILE_NAME, strerror(error));
	buf_free(arg);
	free(arg);
}

/* An end is a moment of the wall clock as it goes now, and how long it was off when it was given. */
static void
put_line(struct buf *b, const struct list *l, const struct entry *e)
{
	if (e->until == SUSPEND_ALWAYS)
		buf_addf(b, "%s%s\n", l->prefix, e->name);
	else
		buf_addf(b, "%s%s until %" PRId64 " of %" PRId64 "\n", l->prefix, e->name, ev_time_ms() + e->until - clock_now(), e->span);
}

static void
store(void)
{
	struct buf *b = xcalloc(1, sizeof(*b));
	const struct list *l;
	size_t i;

	*b = (struct buf)BUF_INIT;
	for (l = lists; l < lists + LISTS; l++)
		for (i = 0; i < l->n; i++)
			put_line(b, l, &l->v[i]);
	su.ticket = errand(put_file, stored, b);
}

uint64_t
suspend_ticket(void)
{
	return su.ticket;
}

int
suspend_error(void)
{
	return su.error;
}

/* ---- ends ---- */

/* The timer is for the next one. */
static void
arm(void)
{
	int64_t next = SUSPEND_ALWAYS, wait;
	const struct list *l;
	size_t i;

	for (l = lists; l < lists + LISTS; l++)
		for (i = 0; i < l->n; i++)
			if (l->v[i].until < next)
				next = l->v[i].until;
	if (next == SUSPEND_ALWAYS) {
		ev_timer_clear(&su.timer);
		return;
	}
	wait = next - clock_now();
	ev_timer_set(&su.timer, wait < 1 ? 1 : wait > LOOK_MS ? LOOK_MS : (uint64_t)wait);
}

/* -> something ended, and its name, which is the caller's; the lists are to be stored */
static char *
take_ended(enum suspend_kind kind)
{
	struct list *l = &lists[kind];
	char *name;
	size_t i;

	for (i = 0; i < l->n && l->v[i].until > clock_now(); i++)
		;
	if (i == l->n)
		return NULL;
	name = xstrdup(l->v[i].name);
	take_out(l, i);
	return name;
}

static void
timer(void *arg)
{
	unsigned kind;
	char *name;

	(void)arg;
	for (kind = 0; kind < LISTS; kind++)
		while ((name = take_ended(kind)) != NULL) {
			store();
			su.ended(kind, name);
			free(name);
		}
	arm();
}

int
suspend_set(enum suspend_kind kind, const char *name, int64_t ms)
{
	struct list *l = &lists[kind];
	bool there, on = ms > 0;
	size_t at = place(l, name, &there);

	if (there == on && (!on || (ms == SUSPEND_ALWAYS && l->v[at].until == SUSPEND_ALWAYS)))
		return 1;
	if (on && ((!there && l->n >= l->most) || strlen(name) > ADDR_DOMAIN_MAX)) {
		errno = E2BIG;
		return -1;
	}
	if (there)
		take_out(l, at);
	if (on)
		insert(l, at, name, ms, ms);
	arm();
	store();
	return 0;
}

/* ---- the start ---- */

static struct list *
list_of(const char *line)
{
	struct list *l;

	for (l = lists + 1; l < lists + LISTS; l++)
		if (strncmp(line, l->prefix, strlen(l->prefix)) == 0)
			return l;
	return lists;
}

/* What ended while we were away ends at once. */
static void
take_line(char *line)
{
	struct list *l = list_of(line);
	char *name = line + strlen(l->prefix), *end = strstr(name, " until ");
	int64_t until, left = SUSPEND_ALWAYS, most = SUSPEND_ALWAYS;
	bool there;
	size_t at;

	if (end != NULL && sscanf(end, " until %" SCNd64 " of %" SCNd64, &until, &most) == 2) {
		*end = '\0';
		left = until <= ev_time_ms() ? 0 : until - ev_time_ms() < most ? until - ev_time_ms() : most;
	}
	at = place(l, name, &there);
	if (*name != '\0' && !there && l->n < l->most)
		insert(l, at, name, left, most);
}

void
suspend_init(void (*ended)(enum suspend_kind, const char *))
{
	int fd = open(FILE_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	FILE *f = fd == -1 ? NULL : fdopen(fd, "r");
	char line[ADDR_DOMAIN_MAX + 100];

	su.ended = ended;
	ev_timer_init(&su.timer, timer, NULL);
	if (f == NULL) {
		if (errno != ENOENT)
			log_error("%s cannot be read, nothing is suspended: %m", FILE_NAME);
		return;
	}
	while (fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		take_line(line);
	}
	fclose(f);
	arm();
	if (lists[SUSPEND_DOMAIN].n + lists[SUSPEND_SOURCE].n > 0)
		log_info("deliveries to %zu domains and by %zu sources are suspended", lists[SUSPEND_DOMAIN].n, lists[SUSPEND_SOURCE].n);
}
