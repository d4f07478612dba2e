/*
 * suspend: see suspend.h. Owns the sorted list and its file, which is written anew beside it, synced and renamed at each change.
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

static struct {
	char	**v;
	size_t	 n;
} su;

/* Where it is, or would be. */
static size_t
place(const char *domain, bool *there)
{
	size_t from = 0, to = su.n, mid;
	int c;

	*there = false;
	while (from < to) {
		mid = (from + to) / 2;
		c = strcasecmp(su.v[mid], domain);
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
suspend_has(const char *domain)
{
	bool there;

	if (su.n == 0)
		return false;
	place(domain, &there);
	return there;
}

const char *
suspend_nth(size_t i)
{
	return i < su.n ? su.v[i] : NULL;
}

static void
insert(size_t at, const char *domain)
{
	su.v = xreallocarray(su.v, su.n + 1, sizeof(*su.v));
	memmove(su.v + at + 1, su.v + at, (su.n - at) * sizeof(*su.v));
	su.v[at] = xstrdup(domain);
	su.n++;
}

static void
take_out(size_t at)
{
	free(su.v[at]);
	su.n--;
	memmove(su.v + at, su.v + at + 1, (su.n - at) * sizeof(*su.v));
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
	size_t i;

	if (f == NULL)
		return -1;
	for (i = 0; i < su.n; i++)
		fprintf(f, "%s\n", su.v[i]);
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
suspend_set(const char *domain, bool on)
{
	bool there;
	size_t at = place(domain, &there);

	if (there == on)
		return 1;
	if (on && su.n >= SUSPEND_MAX) {
		errno = E2BIG;
		return -1;
	}
	if (on)
		insert(at, domain);
	else
		take_out(at);
	return store();
}

void
suspend_init(void)
{
	int fd = open(FILE_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	FILE *f = fd == -1 ? NULL : fdopen(fd, "r");
	char line[ADDR_DOMAIN_MAX + 2];
	bool there;
	size_t at;

	if (f == NULL) {
		if (errno != ENOENT)
			log_error("%s cannot be read, nothing is suspended: %m", FILE_NAME);
		return;
	}
	while (su.n < SUSPEND_MAX && fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		at = place(line, &there);
		if (*line != '\0' && !there)
			insert(at, line);
	}
	fclose(f);
	if (su.n > 0)
		log_info("deliveries to %zu domains are suspended", su.n);
}
