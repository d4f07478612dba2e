/*
 * posternctl: asks and steers the running daemon through its control socket.
 *
 * Called by administrators, mail users and monitoring. It knows no verb itself: the queue, which serves the socket, knows
 * them and what the caller's credentials allow. Exit codes: 0, 1 (nothing matched, or refused), 69 (no daemon), 64 (usage).
 */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include "ask.h"
#include "base/xmalloc.h"

static _Noreturn void
usage(void)
{
	fprintf(stderr,
	    "usage: posternctl [-s SOCKET] [-j] VERB ...\n"
	    "  status                                   processes and totals\n"
	    "  stats                                    counters\n"
	    "  queue list | count [SELECTION]           what waits\n"
	    "  queue summary [by domain|host|reason|age] [SELECTION]\n"
	    "  queue show ID | cat ID [headers|body|envelope]\n"
	    "  queue retry | hold | release | remove | bounce | expire | reroute  SELECTION [--dry-run]\n"
	    "  explain ADDRESS [from=ADDRESS] [client=IP] [tag=NAME] [helo=NAME] [auth]   rule, action, hosts, source, limits\n"
	    "  why ID                                   its attempts, and what comes next\n"
	    "  history id=ID from=ADDRESS to=ADDRESS domain=D message-id=ID   what became of mail\n"
	    "  pause [delivery | listeners] [--for TIME] | resume [delivery | listeners]   neither: both halves\n"
	    "  suspend | resume  domain D | source NAME  all deliveries to or by it; suspend alone lists them\n"
	    "  reload | stop\n"
	    "SELECTION: ID, all, or from=ADDRESS to=ADDRESS domain=D id=ID 'age>4h' 'age<1h' 'size>1M' 'size<1K' state=active|deferred|held\n"
	    "reason~TEXT tag=NAME, all of which must hold\n");
	exit(EX_USAGE);
}

/* A tab or line end in a word would be read as the next word or command. */
static void
check_words(char **words)
{
	for (; *words != NULL; words++)
		if (strpbrk(*words, "\t\r\n") != NULL)
			errx(EX_USAGE, "a tab or line end in an argument");
}

static int
connect_path(const char *path)
{
	char *dir = xstrdup(path), *slash = strrchr(dir, '/');
	int fd;

	if (slash == NULL)
		fd = runtime_connect(".", path);
	else {
		*slash = '\0';
		fd = runtime_connect(slash == dir ? "/" : dir, slash + 1);
	}
	free(dir);
	return fd;
}

static const char *
why_not(int error)
{
	switch (error) {
	case EACCES:
		return "permission denied; ask as root or as the owner of the spool";
	case ENOENT:
	case ECONNREFUSED:
		return "Postern is not running there; start posternd, or name its socket with -s or its directory in POSTERN_RUNTIME";
	default:
		return strerror(error);
	}
}

int
main(int argc, char **argv)
{
	char *path = NULL;
	bool json = false;
	int opt, fd;

	/* The + ends the options at the verb: what follows is the verb's. */
	while ((opt = getopt(argc, argv, "+js:")) != -1) {
		if (opt == 'j')
			json = true;
		else if (opt == 's')
			path = optarg;
		else
			usage();
	}
	if (optind == argc)
		usage();
	check_words(argv + optind);
	if (path == NULL)
		path = xasprintf("%s/control.sock", runtime_dir());
	if ((fd = connect_path(path)) == -1)
		errx(EX_UNAVAILABLE, "%s: %s", path, why_not(errno));
	return ask(fd, json ? ASK_JSON : ASK_TEXT, argv + optind, argc - optind);
}
