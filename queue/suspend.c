/*
 * suspend: see suspend.h. Owns the sorted lists and their file, which is written anew beside it, synced and renamed at each change.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "addr.h"
#include "log.h"
#include "suspend.h"
#include "xmalloc.h"

#define FILE_NAME	"suspended"
#define FILE_NEW	"suspended.new"

#define SOURCE		"source "	/* a domain has no space */

/* Domains are the same in any case, names of sources are not. */
static struct list {
	const char	*prefix;		/* of its lines */
	int		(*compare)(const char *, const char *);
	size_t		 most;
	char		**v;
	size_t		 n;
} lists[] = {
	[SUSPEND_DOMAIN] = { "", strcasecmp, SUSPEND_DOMAINS, NULL, 0 },
	[SUSPEND_SOURCE] = { SOURCE, strcmp, SUSPEND_SOURCES, NULL, 0 },
};
#define LISTS	(sizeof(lists) / sizeof(lists[0]))

/* Where it is, or would be. */
static size_t
place(const struct list *l, const char *name, bool *there)
{
	size_t from = 0, to = l->n, mid;
	int c;

	*there = false;
	while (from < to) {
		mid = (from + to) / 2;
		c = l->compare(l->v[mid], name);
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
	return i < lists[kind].n ? lists[kind].v[i] : NULL;
}

static void
insert(struct list *l, size_t at, const char *name)
{
	l->v = xreallocarray(l->v, l->n + 1, sizeof(*l->v));
	memmove(l->v + at + 1, l->v + at, (l->n - at) * sizeof(*l->v));
	l->v[at] = xstrdup(name);
	l->n++;
}

static void
take_out(struct list *l, size_t at)
{
	free(l->v[at]);
	l->n--;
	memmove(l->v + at, l->v + at + 1, (l->n - at) * sizeof(*l->v));
}

static int
sync_folder(void)
{
	int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd == -1)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

static int
store(void)
{
	int fd = open(FILE_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600), rc = 0, saved;
	FILE *f = fd == -1 ? NULL : fdopen(fd, "w");
	const struct list *l;
	size_t i;

	if (f == NULL)
		return -1;
	for (l = lists; l < lists + LISTS; l++)
		for (i = 0; i < l->n; i++)
			fprintf(f, "%s%s\n", l->prefix, l->v[i]);
	if (fflush(f) != 0 || fsync(fd) == -1)
		rc = -1;
	saved = errno;
	fclose(f);
	errno = saved;
	if (rc == 0)
		rc = rename(FILE_NEW, FILE_NAME) == -1 ? -1 : sync_folder();
	return rc;
}

int
suspend_set(enum suspend_kind kind, const char *name, bool on)
{
	struct list *l = &lists[kind];
	bool there;
	size_t at = place(l, name, &there);

	if (there == on)
		return 1;
	if (on && (l->n >= l->most || strlen(name) > ADDR_DOMAIN_MAX)) {
		errno = E2BIG;
		return -1;
	}
	if (on)
		insert(l, at, name);
	else
		take_out(l, at);
	return store();
}

static void
take_line(const char *line)
{
	struct list *l = &lists[strncmp(line, SOURCE, strlen(SOURCE)) == 0 ? SUSPEND_SOURCE : SUSPEND_DOMAIN];
	const char *name = line + strlen(l->prefix);
	bool there;
	size_t at = place(l, name, &there);

	if (*name != '\0' && !there && l->n < l->most)
		insert(l, at, name);
}

void
suspend_init(void)
{
	int fd = open(FILE_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	FILE *f = fd == -1 ? NULL : fdopen(fd, "r");
	char line[sizeof(SOURCE) + ADDR_DOMAIN_MAX + 1];

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
	if (lists[SUSPEND_DOMAIN].n + lists[SUSPEND_SOURCE].n > 0)
		log_info("deliveries to %zu domains and by %zu sources are suspended", lists[SUSPEND_DOMAIN].n, lists[SUSPEND_SOURCE].n);
}
