/*
 * posternd: the parent. Reads the configuration, binds, starts the programs and keeps them running until it is told to stop.
 *
 * Exit codes (sysexits.h): 0; 64 usage; 67 an account is missing; 69 an address is taken; 70 a fault of ours; 71 system, 72 no helper programs,
 * 73 what cannot be made (log, directories), 75 another one runs; 77 no right to; 78 configuration.
 */
#include <sys/wait.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/log.h"
#include "parent/parent.h"
#include "base/xmalloc.h"

#define FILES			65536	/* descriptors: those of listeners, tables, agents, and what is on its way to programs */

static struct parent parent = { .file = POSTERN_CONF, .control = -1, .accept = true };

/* ---- signals ---- */

static void
on_signal(int sig)
{
	struct buf errors = BUF_INIT;

	switch (sig) {
	case SIGCHLD:
		kids_reap(&parent);
		break;
	case SIGHUP:
		parent_reload(&parent, &errors);
		buf_free(&errors);
		break;
	case SIGUSR1:
		parent_log_open(&parent);
		log_info("the log was opened anew");
		break;
	case SIGTERM:
		parent_stop(&parent, true);
		break;
	default:
		parent_stop(&parent, false);
	}
}

static void
signals(void)
{
	static const int caught[] = { SIGCHLD, SIGHUP, SIGTERM, SIGINT, SIGUSR1 };
	size_t i;

	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < sizeof caught / sizeof caught[0]; i++)
		ev_signal(caught[i], on_signal);
}

/* ---- start ---- */

/* The helper programs lie beside posternd (a checkout's build/bin), else where they were installed. */
static void
find_libexec(struct parent *p)
{
	char probe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", p->libexec, sizeof p->libexec - 1);
	char *slash;

	if (n > 0) {
		p->libexec[n] = '\0';
		if ((slash = strrchr(p->libexec, '/')) != NULL)
			*slash = '\0';
		if (snprintf(probe, sizeof probe, "%s/postern-queue", p->libexec) < (int)sizeof probe && access(probe, X_OK) == 0)
			return;
	}
	strlcpy(p->libexec, POSTERN_LIBEXEC, sizeof p->libexec);
	if (snprintf(probe, sizeof probe, "%s/postern-queue", p->libexec) >= (int)sizeof probe || access(probe, X_OK) == -1)
		start_fail(EX_OSFILE, "the helper programs (postern-queue and others) are neither beside posternd nor in %s",
		    POSTERN_LIBEXEC);
}

static void __attribute__((noreturn))
usage(void)
{
	fprintf(stderr, "usage: posternd [-dnvV] [-f FILE] [-D name=value]\n");
	exit(EX_USAGE);
}

static void
define(struct parent *p, char *arg)
{
	char *eq = strchr(arg, '=');

	if (eq == NULL || eq == arg) {
		fprintf(stderr, "posternd: -D wants name=value, not \"%s\"\n", arg);
		exit(EX_USAGE);
	}
	*eq = '\0';
	p->define = xreallocarray(p->define, p->ndefine + 1, sizeof *p->define);
	p->define[p->ndefine++] = (struct conf_define){ arg, eq + 1 };
}

/* -> true with -n. */
static bool
options(struct parent *p, int argc, char **argv)
{
	bool check = false;
	int c;

	while ((c = getopt(argc, argv, "dnvVf:D:")) != -1)
		switch (c) {
		case 'd': p->foreground = true; break;
		case 'n': check = true; break;
		case 'v': p->verbose = true; break;
		case 'V': printf("Postern %s\n", POSTERN_VERSION); exit(0);
		case 'f': p->file = optarg; break;
		case 'D': define(p, optarg); break;
		default: usage();
		}
	if (optind != argc)
		usage();
	return check;
}

static void
load_first(struct parent *p, bool check)
{
	struct buf errors = BUF_INIT;

	p->conf = parent_conf_load(p, &p->text, &errors);
	if (errors.len > 0)
		fputs(buf_str(&errors), stderr);
	if (p->conf == NULL) {
		fprintf(stderr, "posternd: %s has errors: nothing was started\n", p->file);
		exit(EX_CONFIG);
	}
	buf_free(&errors);
	if (check) {
		printf("%s: configuration OK\n", p->file);
		exit(0);
	}
	p->conf->generation = p->generation = 1;
}

static void
start_log(struct parent *p)
{
	const char *why = parent_log_bad(p, p->conf);

	if (why != NULL)
		start_fail(EX_CANTCREAT, "%s", why);
	log_console(true);
	parent_log_open(p);
}

int
main(int argc, char **argv)
{
	struct parent *p = &parent;
	const char *why;
	bool check;

	start_clean();
	log_init("master");
	p->root = geteuid() == 0;
	check = options(p, argc, argv);
	load_first(p, check);
	find_libexec(p);
	if (!p->foreground)
		start_detach();
	proc_files(FILES);
	ev_init();
	start_log(p);
	p->started = ev_time_ms();
	if ((why = parent_accounts(p)) != NULL)
		start_fail(EX_NOUSER, "%s", why);
	parent_dirs(p);
	parent_bind(p);
	parent_bind_local(p);
	signals();
	parent_stop_init(p);
	parent_reload_init(p);
	log_info("Postern %s starts as %s %s", POSTERN_VERSION, p->conf->hostname, p->root ? "(root)" : "(not root: all as the caller)");
	kids_make(p, &from_kids);
	kids_start(p);
	setproctitle("-postern: parent");
	while (p->stop != CLOSING || kids_running(p, PROG_PARENT))
		ev_turn();
	parent_unbind_local(p);
	log_info("stopped");
	log_flush();
	return 0;
}
