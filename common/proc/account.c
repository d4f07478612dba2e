/*
 * account: see account.h. Asks the system for the name as it is; if it has none, /etc/passwd is read for one that differs in case.
 *
 * Owns the buffers that its answers point into, and the list of accounts that never get mail. A name service that fails is an error, never
 * "there is none".
 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include "proc/account.h"
#include "base/fatal.h"
#include "proc/proc.h"

#define PASSWD_FILE	"/etc/passwd"
#define ENTRY_MAX	(64 * 1024)
#define NOBODY_UID	65534		/* the kernel's overflow uid: whoever has no uid here */

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

/* ---- who may have mail ---- */

static struct {
	uid_t	 uid[PROG__MAX];
	size_t	 n;
	bool	 known;
} own;

void
account_refresh(void)
{
	const struct passwd *pw;
	enum prog prog;

	own.n = 0;
	own.known = true;
	for (prog = PROG_LISTENER; prog < PROG__MAX; prog++)
		if (proc_row(prog)->account != NULL && exact(proc_row(prog)->account, &pw) == 1)
			own.uid[own.n++] = pw->pw_uid;
}

static bool
is_own(const struct passwd *pw)
{
	enum prog prog;
	size_t i;

	for (prog = PROG_LISTENER; prog < PROG__MAX; prog++)
		if (proc_row(prog)->account != NULL && strcasecmp(proc_row(prog)->account, pw->pw_name) == 0)
			return true;
	for (i = 0; i < own.n; i++)
		if (own.uid[i] == pw->pw_uid)
			return true;
	return false;
}

/* None is /bin/sh (passwd(5)); else what /etc/shells lists. */
static bool
has_login_shell(const struct passwd *pw)
{
	const char *shell;
	bool found = pw->pw_shell == NULL || pw->pw_shell[0] == '\0';

	setusershell();
	while (!found && (shell = getusershell()) != NULL)
		found = strcmp(shell, pw->pw_shell) == 0;
	endusershell();
	return found;
}

enum account_kind
account_kind(const struct passwd *pw, uint64_t first_uid)
{
	if (!own.known)
		fatalx("the accounts of Postern are not known yet");
	if (pw->pw_uid == 0 || is_own(pw))
		return ACCOUNT_NEVER;
	return (pw->pw_uid < first_uid || pw->pw_uid == NOBODY_UID) && !has_login_shell(pw) ? ACCOUNT_SYSTEM : ACCOUNT_USER;
}
