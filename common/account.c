/*
 * account: see account.h. Asks the system for the name as it is; if it has none, /etc/passwd is read for one that differs in case.
 *
 * Owns the buffers that its answers point into. A name service that fails is an error, never "there is none".
 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include "account.h"

#define PASSWD_FILE	"/etc/passwd"
#define ENTRY_MAX	(64 * 1024)

static struct {
	struct passwd	 pw;
	char		 strings[ENTRY_MAX];
} held;

static int
exact(const char *name, const struct passwd **pw)
{
	struct passwd *found;
	int error;

	do
		error = getpwnam_r(name, &held.pw, held.strings, sizeof(held.strings), &found);
	while (error == EINTR);
	*pw = found;
	if (found != NULL)
		return 1;
	errno = error;
	return error == 0 || error == ENOENT || error == ESRCH ? 0 : -1;
}

static int
other_case(const char *name, const struct passwd **pw)
{
	FILE *f = fopen(PASSWD_FILE, "re");
	struct passwd *found;

	if (f == NULL)
		return errno == ENOENT ? 0 : -1;
	while (fgetpwent_r(f, &held.pw, held.strings, sizeof(held.strings), &found) == 0)
		if (strcasecmp(found->pw_name, name) == 0)
			break;
	fclose(f);
	*pw = found;
	return found != NULL;
}

int
account_get(const char *name, const struct passwd **pw)
{
	int r = exact(name, pw);

	return r == 0 ? other_case(name, pw) : r;
}
