/*
 * sendmail: hands one message to the daemon; also mailq and newaliases, by the name it was called by.
 *
 * Called by everything on a host that writes mail: cron, mail readers, scripts. It runs with the rights of its caller and
 * nothing more. A message is either queued (exit 0: it is on disk; who was refused beside others is told to the sender) or it is not, and the exit code (sysexits) says whether trying again
 * helps; 75 only when nothing was stored.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#include "mail/addr.h"
#include "ask.h"
#include "sendmail.h"
#include "base/xmalloc.h"

/* ---- the caller ---- */

static const char *
login_name(void)
{
	const struct passwd *pw = getpwuid(getuid());

	return pw != NULL ? xstrdup(pw->pw_name) : xasprintf("uid.%u", (unsigned)getuid());
}

/* The account's full name as chfn keeps it: up to the first comma, & is the login name. */
static char *
gecos_name(void)
{
	const struct passwd *pw = getpwuid(getuid());
	struct buf name = BUF_INIT;
	char *text;

	for (const char *p = pw != NULL && pw->pw_gecos != NULL ? pw->pw_gecos : ""; *p != '\0' && *p != ','; p++) {
		if (*p == '&')
			buf_adds(&name, pw->pw_name);
		else
			buf_add(&name, p, 1);
	}
	text = xstrdup(buf_str(&name));
	buf_free(&name);
	return text;
}

static const char *
full_name(const struct options *o)
{
	if (o->full_name != NULL)
		return o->full_name;
	return getenv("NAME") != NULL && *getenv("NAME") != '\0' ? getenv("NAME") : gecos_name();
}

/* ---- addresses ---- */

/* The domain for added fields is the daemon's, whose configuration completes all other addresses; another daemon does not tell it. */
static const char *
mail_domain(const struct submit *s)
{
	static char line[256];
	FILE *f;

	if (addr_valid_domain(s->domain, false))
		return s->domain;
	f = fopen("/etc/mailname", "r");

	if (f != NULL) {
		if (fgets(line, sizeof(line), f) == NULL)
			line[0] = '\0';
		fclose(f);
		line[strcspn(line, " \t\r\n")] = '\0';
	}
	return addr_valid_domain(line, false) ? line : s->server;
}

/* Ends with EX_DATAERR if it is none. */
static void
check(const char *text, struct addr *a, bool *utf8)
{
	size_t used;
	const char *error = addr_parse(text, strlen(text), ADDR_BARE, a, &used);

	if (error == NULL && used != strlen(text))
		error = "characters after its end";
	if (error != NULL)
		errx(EX_DATAERR, "\"%s\" is not an address: %s", text, error);
	*utf8 |= a->utf8;
}

static void
check_all(struct strings *list, const struct strings *from, bool *utf8)
{
	struct addr a;

	for (size_t i = 0; i < from->n; i++) {
		check(from->v[i], &a, utf8);
		strings_add(list, a.text);
	}
}

static int
by_text(const void *a, const void *b)
{
	char *const *const *x = a, *const *const *y = b;
	int order = strcmp(**x, **y);

	return order != 0 ? order : (*x > *y) - (*x < *y);
}

/* Each recipient once, in the order of their first: they may be in different transactions. */
static void
no_doubles(struct strings *list)
{
	char ***at = xcalloc(list->n + 1, sizeof(*at));
	size_t kept = 0;

	for (size_t i = 0; i < list->n; i++)
		at[i] = &list->v[i];
	qsort(at, list->n, sizeof(*at), by_text);
	for (size_t i = list->n; i-- > 1;)
		if (strcmp(*at[i], *at[i - 1]) == 0) {
			free(*at[i]);
			*at[i] = NULL;
		}
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i] != NULL)
			list->v[kept++] = list->v[i];
	list->n = kept;
	free(at);
}

static char *
author(const struct options *o, const char *sender, const char *domain, bool *utf8)
{
	char *mailbox, *address;
	struct addr a;

	check(sender, &a, utf8);
	address = a.text[a.domain] != '\0' ? xstrdup(a.text) : xasprintf("%s@%s", a.text, domain);
	mailbox = message_mailbox(full_name(o), address);
	free(address);
	return mailbox;
}

/* ---- sending ---- */

static int
send_message(const struct options *o, struct submit *s, struct message *m)
{
	const char *domain = mail_domain(s);
	struct strings rcpts = { NULL, 0, 0 };
	struct report report = { .words = BUF_INIT, .status = BUF_INIT };
	struct submission sub = { .eightbit = m->eightbit, .notify = o->notify, .ret = o->ret, .envid = o->envid };
	const char *sender = o->sender != NULL ? o->sender : login_name();
	int code;
	char *from = author(o, *sender != '\0' ? sender : login_name(), domain, &sub.utf8);

	message_complete(m, &(struct message_facts){ .from = from, .domain = domain, .collect = o->from_header });
	check_all(&rcpts, &o->rcpts, &sub.utf8);
	check_all(&rcpts, &m->rcpts, &sub.utf8);
	no_doubles(&rcpts);
	if (rcpts.n == 0)
		errx(EX_USAGE, "no recipient in To, Cc or Bcc, nor on the command line; nothing is sent");
	sub.sender = sender;
	sub.rcpts = rcpts.v;
	sub.nrcpts = rcpts.n;
	sub.text = &m->text;
	sub.utf8 |= m->utf8_header;
	code = submit_send(s, &sub, report_refused, &report);
	return code != 0 ? code : report_send(&report, &sub, domain);
}

static int
mode_send(const struct options *o)
{
	struct message m = { .text = BUF_INIT };
	struct submit s;
	int code;

	if (!o->from_header && o->rcpts.n == 0)
		errx(EX_USAGE, "no recipient; name some, or use -t to take them from the message");
	message_read(&m, o->dot_is_text);
	if ((code = submit_open(&s, runtime_dir())) == 0)
		code = send_message(o, &s, &m);
	submit_close(&s);
	return code;
}

static int
mode_ask(enum ask_mode mode, char *const *words, int n)
{
	int fd = runtime_connect(runtime_dir(), "control.sock");

	if (fd == -1) {
		warnx("Postern is not running (%s/control.sock: %s); start posternd", runtime_dir(), strerror(errno));
		return EX_UNAVAILABLE;
	}
	return ask(fd, mode, words, n);
}

/* Nothing that waits is no failure. */
static int
mode_run(const char *what)
{
	int code = mode_ask(ASK_SILENT, (char *[]){ (char[]){ "queue" }, (char[]){ "retry" }, xstrdup(what) }, 3);

	return code == 1 ? EX_OK : code;
}

/* A descriptor that the caller closed would be the next that is opened: what is printed would go into the SMTP session. */
static void
open_standard(void)
{
	int fd;

	for (fd = open("/dev/null", O_RDWR); fd != -1 && fd <= STDERR_FILENO; fd = open("/dev/null", O_RDWR))
		;
	if (fd == -1)
		_exit(EX_OSERR);
	close(fd);
}

int
main(int argc, char **argv)
{
	struct options o;

	open_standard();
	unsetenv("POSIXLY_CORRECT");		/* options stand behind recipients too */
	signal(SIGPIPE, SIG_IGN);
	options_read(&o, argc, argv);
	switch (o.mode) {
	case MODE_SEND:
		return mode_send(&o);
	case MODE_LIST:
		return mode_ask(ASK_TEXT, (char *[]){ (char[]){ "mailq" } }, 1);
	case MODE_RUN:
		return mode_run(o.run);
	default:
		return EX_OK;		/* tables are read when they change: there is nothing to rebuild */
	}
}
