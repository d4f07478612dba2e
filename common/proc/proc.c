/*
 * proc: see proc.h. The rows, the start in the parent, the drop in the child.
 *
 * The child's argv is the whole of what it is told before its edge speaks: PROGRAM UID GID DIR [USER]; "-" for UID and GID when
 * not run by root.
 */
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/capability.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "proc/proc.h"
#include "base/xmalloc.h"

static const struct proc_row rows[] = {
	/* program	file			account		root		nofile	nproc	memory	names */
	{ PROG_LISTENER, "postern-listener",	"_postern",	ROOT_EMPTY,	65536,	1,	8192,	"smtpd" },
	{ PROG_LOOKUP,	"postern-lookup",	"_posternl",	ROOT_NONE,	1024,	1,	0,	"lookup" },
	{ PROG_RESOLVER, "postern-resolver",	"_posternr",	ROOT_EMPTY,	16384,	512,	4096,	"resolver" },
	{ PROG_QUEUE,	"postern-queue",	"_posternq",	ROOT_SPOOL,	65536,	512,	0,	"qmgr cleanup bounce archive discard" },
	{ PROG_DELIVER,	"postern-deliver",	"_posternd",	ROOT_EMPTY,	65536,	1,	8192,	"deliver smtp local" },
	{ PROG_AGENT,	"postern-agent",	NULL,		ROOT_NONE,	1024,	0,	0,	"agent" },
};

const struct proc_row *
proc_row(enum prog prog)
{
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].prog == prog)
			return &rows[i];
	fatalx("no such program: %d", (int)prog);
}

/* ---- the parent's side ---- */

/* Between fork and exec: only async-signal-safe calls. */
static void __attribute__((noreturn))
become(const char *path, char *const argv[], char *const env[], int fd, int say)
{
	sigset_t none;
	int null;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if ((null = open("/dev/null", O_RDWR)) == -1 || dup2(null, STDIN_FILENO) == -1 || dup2(null, STDOUT_FILENO) == -1 ||
	    dup2(say, STDERR_FILENO) == -1)
		_exit(71);
	if (fd == 3) {
		if (fcntl(fd, F_SETFD, 0) == -1)
			_exit(71);
	} else if (dup2(fd, 3) == -1)
		_exit(71);
	if (syscall(SYS_close_range, 4U, ~0U, 0U) == -1)
		for (null = 4; null < 65536; null++)
			close(null);
	execve(path, argv, env);
	_exit(71);
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define SANITIZERS	"ASAN_OPTIONS", "UBSAN_OPTIONS",
#else
#define SANITIZERS
#endif

/* From nothing: what posternd was started with is none of the recipient's business. */
static char **
agent_environment(const struct proc_start *st)
{
	static const char *const kept[] = { SANITIZERS "TZ" };
	char **env = xcalloc(6 + sizeof kept / sizeof kept[0], sizeof *env);
	const char *value;
	size_t n = 0, i;

	env[n++] = xasprintf("HOME=%s", st->home);
	env[n++] = xasprintf("USER=%s", st->user);
	env[n++] = xasprintf("LOGNAME=%s", st->user);
	env[n++] = xstrdup("SHELL=/bin/sh");
	env[n++] = xstrdup("PATH=/usr/local/bin:/usr/bin:/bin");
	for (i = 0; i < sizeof kept / sizeof kept[0]; i++)
		if ((value = getenv(kept[i])) != NULL)
			env[n++] = xasprintf("%s=%s", kept[i], value);
	return env;
}

static void
free_environment(char **env)
{
	size_t i;

	for (i = 0; env[i] != NULL; i++)
		free(env[i]);
	free(env);
}

pid_t
proc_spawn(const char *libexec, const struct proc_start *st, int fd, int say)
{
	char path[4096], uid[24] = "-", gid[24] = "-", *user = NULL;
	extern char **environ;
	char *argv[6], **env = st->home != NULL ? agent_environment(st) : environ;
	pid_t pid;

	if (geteuid() == 0) {
		snprintf(uid, sizeof uid, "%lu", (unsigned long)st->uid);
		snprintf(gid, sizeof gid, "%lu", (unsigned long)st->gid);
	}
	snprintf(path, sizeof path, "%s/%s", libexec, st->row->file);
	/* execve's prototype is not const; nothing writes to these. */
	memcpy(&argv[0], &st->row->file, sizeof argv[0]);
	argv[1] = uid;
	argv[2] = gid;
	memcpy(&argv[3], &st->dir, sizeof argv[3]);
	memcpy(&user, &st->user, sizeof user);
	argv[4] = user;
	argv[5] = NULL;
	switch (pid = fork()) {
	case -1:
		log_error("cannot start %s: fork: %s", st->row->file, strerror(errno));
		break;
	case 0:
		become(path, argv, env, fd, say);
	}
	if (env != environ)
		free_environment(env);
	return pid;
}

/* ---- the child's side ---- */

static unsigned long
number(const char *s)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(s, &end, 10);
	if (*s == '\0' || *end != '\0' || errno != 0 || v > UINT32_MAX - 1)
		fatalx("bad id in argv: %s", s);
	return v;
}

/* Not even root may raise a limit everywhere (containers): then it is what there is. */
static void
limit(int what, const char *name, rlim_t value)
{
	struct rlimit rl = { value, value };

	if (setrlimit(what, &rl) == 0)
		return;
	if (getrlimit(what, &rl) == -1)
		fatal("getrlimit %s", name);
	rl.rlim_cur = rl.rlim_max < value ? rl.rlim_max : value;
	if (setrlimit(what, &rl) == -1)
		fatal("setrlimit %s", name);
}

void
proc_files(unsigned n)
{
	limit(RLIMIT_NOFILE, "nofile", n);
}

static void
limits(const struct proc_row *row, bool root)
{
	limit(RLIMIT_CORE, "core", 0);
	if (row->nofile != 0)
		proc_files(row->nofile);
	if (row->nproc != 0 && root)
		limit(RLIMIT_NPROC, "nproc", row->nproc);
#ifndef __SANITIZE_ADDRESS__		/* it maps terabytes */
	if (row->memory != 0)
		limit(RLIMIT_AS, "as", (rlim_t)row->memory << 20);
#endif
}

/* Only the bounding set needs rights; without it no exec can bring a capability back, not even to uid 0. */
static void
drop_bounding(void)
{
	int cap;

	for (cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1)
			fatal("PR_CAPBSET_DROP %d", cap);
}

static void
drop_caps(void)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];

	memset(d, 0, sizeof d);
	if (syscall(SYS_capset, &h, d) == -1)
		fatal("capset");
}

static void
drop_ids(const struct proc_row *row, char **argv, const char *user)
{
	uid_t uid = (uid_t)number(argv[1]);
	gid_t gid = (gid_t)number(argv[2]);

	if (row->account != NULL && (uid == 0 || gid == 0))
		fatalx("refusing to run as root");
	drop_bounding();
	if ((user != NULL ? initgroups(user, gid) : setgroups(1, &gid)) == -1)
		fatal("setgroups");
	if (row->root != ROOT_NONE && (chroot(".") == -1 || chdir("/") == -1))
		fatal("chroot to %s", argv[3]);
	if (setresgid(gid, gid, gid) == -1 || setresuid(uid, uid, uid) == -1)
		fatal("cannot become uid %lu gid %lu", (unsigned long)uid, (unsigned long)gid);
	drop_caps();
}

static void
no_way_back(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		fatal("PR_SET_NO_NEW_PRIVS");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		fatal("PR_SET_DUMPABLE");
	/* After the change of uid, which clears it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1)
		fatal("PR_SET_PDEATHSIG");
}

/* The parent decides who stops when: a Ctrl-C on the terminal is for it alone. */
static void
signals(void)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2 };
	size_t i;

	for (i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
		signal(ignored[i], SIG_IGN);
}

void
proc_drop(int argc, char **argv, enum prog prog)
{
	const struct proc_row *row = proc_row(prog);
	bool root = argc >= 2 && strcmp(argv[1], "-") != 0;

	if (argc < 4 || argc > 5 || fcntl(3, F_GETFD) == -1)
		fatalx("this program is started by posternd, not by hand");
	log_to_parent();
	if (fcntl(3, F_SETFD, FD_CLOEXEC) == -1)
		fatal("fcntl");
	signals();
	umask(077);
	/* Before the rights are gone: the spool may lie where its owner alone could not get to. */
	if (chdir(argv[3]) == -1)
		fatal("chdir to %s", argv[3]);
	limits(row, root);
	if (root)
		drop_ids(row, argv, argc == 5 ? argv[4] : NULL);
	no_way_back();
}
