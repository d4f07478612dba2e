/*
 * links: deliver/agent/maildir.c deliver/agent/maildir_open.c deliver/agent/maildir_earlier.c deliver/agent/maildir_flush.c deliver/agent/letter.c
 * Maildir delivery into a directory of its own: what arrives, what is made, what happens to directories that are traps.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/maildir.h"
#include "test.h"

static char		 home[] = "/tmp/test_maildir.XXXXXX";
static struct delivery	 batch[MAILDIR_BATCH];

static uint64_t		 last_id;

static struct letter
letter(const char *text, size_t len)
{
	struct letter	 l;
	int		 fd = memfd_create("letter", MFD_CLOEXEC);

	TEST(write(fd, text, len) == (ssize_t)len);
	TEST_INT(letter_open(&l, fd, len), 0);
	return l;
}

static void
setup(struct delivery *d, const struct letter *l, const char *dir, const char *rcpt)
{
	d->letter = l;
	d->sender = "from@example.net";
	d->rcpt = rcpt;
	d->id = ++last_id;
	d->number = 3;
	d->arrival = 1700000000999;
	d->again = false;
	snprintf(d->box.text, sizeof(d->box.text), "%s/%s", home, dir);
	d->box.home = strlen(home);
}

/* How many files a directory of the test has; the last one's path in last. */
static int
files(const char *dir, char *last)
{
	char		 path[600];
	struct dirent	*e;
	DIR		*d;
	int		 n = 0;

	snprintf(path, sizeof(path), "%s/%s", home, dir);
	if ((d = opendir(path)) == NULL)
		return -1;
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		n++;
		if (last != NULL)
			snprintf(last, 1000, "%s/%s", path, e->d_name);
	}
	closedir(d);
	return n;
}

static size_t
slurp(const char *path, char *out, size_t size)
{
	int	 fd = open(path, O_RDONLY);
	ssize_t	 n = read(fd, out, size - 1);

	close(fd);
	out[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static mode_t
mode_of(const char *dir)
{
	struct stat	 st;
	char		 path[600];

	snprintf(path, sizeof(path), "%s/%s", home, dir);
	return stat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

static void
arrives(void)
{
	static const char	 text[] = "Subject: x\r\n\r\nline\r\n.dot\r\nlone \r cr\r\nno end";
	struct letter		 l = letter(text, sizeof(text) - 1);
	char			 path[1000], got[1000], size[40];

	setup(&batch[0], &l, "a/b/Maildir", "u@example.org");
	maildir_deliver(batch, 1, "mx/1:2.example.org");
	TEST_INT(batch[0].outcome, OUT_SENT);
	TEST_INT(batch[0].code, 250);
	TEST_STR(batch[0].dsn, "2.0.0");
	TEST_STR(batch[0].text, "delivered to maildir");
	TEST_INT(files("a/b/Maildir/tmp", NULL), 0);
	TEST_INT(files("a/b/Maildir/cur", NULL), 0);
	TEST_INT(files("a/b/Maildir/new", path), 1);
	snprintf(size, sizeof(size), ",S=%zu", slurp(path, got, sizeof(got)));
	TEST_STR(got, "Return-Path: <from@example.net>\nDelivered-To: u@example.org\n"
	    "Subject: x\n\nline\n.dot\nlone \r cr\nno end");
	TEST(strstr(path, size) != NULL);
	TEST(strstr(path, ".mx\\0571\\0722.example.org,") != NULL);
	TEST_INT(mode_of("a"), 0700);
	TEST_INT(mode_of("a/b/Maildir"), 0700);
	TEST_INT(mode_of("a/b/Maildir/new"), 0700);
	letter_close(&l);
}

/* A message over several pieces, with the CRLF at each place around their edges. */
static void
long_ones(void)
{
	static char	 text[3 * LETTER_PIECE], got[3 * LETTER_PIECE + 1000], want[3 * LETTER_PIECE + 1000];
	char		 path[1000];
	struct letter	 l;
	size_t		 shift, n, w;

	for (shift = 0; shift < 3; shift++) {
		memset(text, 'x', sizeof(text));
		for (n = LETTER_PIECE - 2 + shift; n + 1 < sizeof(text); n += LETTER_PIECE)
			memcpy(text + n, "\r\n", 2);
		text[sizeof(text) - 1] = '\r';
		l = letter(text, sizeof(text));
		setup(&batch[0], &l, "long", "u@example.org");
		maildir_deliver(batch, 1, "h");
		TEST_INT(batch[0].outcome, OUT_SENT);
		TEST_INT(files("long/new", path), 1);
		w = (size_t)snprintf(want, sizeof(want), "Return-Path: <from@example.net>\nDelivered-To: u@example.org\n");
		for (n = 0; n < sizeof(text); n++)
			if (text[n] != '\r' || n + 1 == sizeof(text) || text[n + 1] != '\n')
				want[w++] = text[n];
		TEST_INT(slurp(path, got, sizeof(got)), w);
		TEST(memcmp(got, want, w) == 0);
		unlink(path);
		letter_close(&l);
	}
}

static void
empty_one(void)
{
	struct letter	 l = letter("", 0);
	char		 path[1000], got[200];

	setup(&batch[0], &l, "empty", "u@d");
	maildir_deliver(batch, 1, "h");
	TEST_INT(files("empty/new", path), 1);
	slurp(path, got, sizeof(got));
	TEST_STR(got, "Return-Path: <from@example.net>\nDelivered-To: u@d\n");
	letter_close(&l);
}

static void
many_at_once(void)
{
	struct letter	 l = letter("a: b\r\n\r\nc\r\n", 11);
	size_t		 i;

	for (i = 0; i < MAILDIR_BATCH; i++)
		setup(&batch[i], &l, i % 2 == 0 ? "even" : "odd", "u@d");
	maildir_deliver(batch, MAILDIR_BATCH, "h");
	for (i = 0; i < MAILDIR_BATCH; i++)
		TEST_INT(batch[i].outcome, OUT_SENT);
	TEST_INT(files("even/new", NULL), MAILDIR_BATCH / 2);
	TEST_INT(files("odd/new", NULL), MAILDIR_BATCH / 2);
	TEST_INT(files("odd/tmp", NULL), 0);
	letter_close(&l);
}

static void
twice(const char *between, enum outcome want, const char *text, int in_new, int in_cur)
{
	struct letter	 l = letter("a: b\r\n\r\nc\r\n", 11);
	char		 cmd[500];

	snprintf(cmd, sizeof(cmd), "rm -rf %s/twice", home);
	TEST_INT(system(cmd), 0);
	setup(&batch[0], &l, "twice", "u@d");
	maildir_deliver(batch, 1, "h");
	TEST_INT(batch[0].outcome, OUT_SENT);
	TEST_INT(files("twice/new", NULL), 1);
	snprintf(cmd, sizeof(cmd), "cd %s/twice && f=$(ls new) && t=${f%%,*} && %s", home, between);
	TEST_INT(system(cmd), 0);
	batch[0].again = true;
	maildir_deliver(batch, 1, "h");
	TEST_INT(batch[0].outcome, want);
	TEST_STR(batch[0].text, text);
	TEST_INT(files("twice/new", NULL), in_new);
	TEST_INT(files("twice/cur", NULL), in_cur);
	TEST_INT(files("twice/tmp", NULL), 0);
	letter_close(&l);
}

/* The same delivery once more, after what may have happened in between: the reader's doings, a try that did not end, traps. */
static void
second_tries(void)
{
	static const char	 once[] = "delivered to maildir", before[] = "delivered to maildir by an earlier try";

	twice(":", OUT_SENT, before, 1, 0);
	twice("mv new/$f cur/$f:2,FS", OUT_SENT, before, 0, 1);
	twice("mv new/$f cur/$f,W=9:2,", OUT_SENT, before, 0, 1);
	twice("mv new/$f tmp/$t", OUT_SENT, once, 1, 0);
	twice("head -c 9 new/$f >tmp/$t && rm new/$f", OUT_SENT, once, 1, 0);
	twice("ln -s ../../canary tmp/$t", OUT_SENT, before, 1, 0);
	twice("rm new/$f", OUT_SENT, once, 1, 0);
	twice("tr a-z A-Z <new/$f >x && mv x new/$f", OUT_SENT, once, 2, 0);
	twice("rm new/$f && mkfifo new/$f", OUT_SENT, once, 2, 0);
	twice("mv new/$f cur/$f:2, && echo >>cur/$f:2,", OUT_SENT, once, 1, 1);
	twice("mv new/$f cur/x$f:2,", OUT_SENT, once, 1, 1);
	twice("rm new/$f && ln -s /dev/zero cur/$f:2,", OUT_SENT, once, 1, 1);
}

static void
shell(const char *format)
{
	char	 cmd[500];

	snprintf(cmd, sizeof(cmd), "cd %s && %s", home, format);
	TEST_INT(system(cmd), 0);
}

/* One of the batch meets a trap: it is deferred with the path in its text, the other arrives. */
static void
trap(const char *prepare, const char *part, const char *dsn)
{
	struct letter	 l = letter("a: b\r\n\r\nc\r\n", 11);

	shell("rm -rf trap good outside && mkdir outside");
	shell(prepare);
	setup(&batch[0], &l, "trap", "u@d");
	setup(&batch[1], &l, "good", "u@d");
	maildir_deliver(batch, 2, "h");
	TEST_INT(batch[0].outcome, OUT_DEFER);
	TEST_STR(batch[0].dsn, dsn);
	if (!TEST(strstr(batch[0].text, part) != NULL))
		fprintf(stderr, "\ttext: %s\n", batch[0].text);
	TEST_INT(batch[1].outcome, OUT_SENT);
	TEST_INT(files("good/new", NULL), 1);
	TEST_INT(files("outside", NULL), 0);
	letter_close(&l);
}

static void
traps(void)
{
	trap("mkdir trap && ln -s ../outside trap/tmp", "/trap/tmp: ", "4.2.1");
	trap("mkdir -p trap/tmp && ln -s ../outside trap/new", "/trap/new: ", "4.2.1");
	trap("mkdir -p trap/tmp && mkfifo trap/new", "/trap/new: ", "4.2.1");
	trap("echo > trap", "/trap: Not a directory", "4.2.1");
	trap("ln -s nowhere/else trap", "/trap: ", "4.2.1");
}

/* A link of the user's to his Maildir elsewhere is his business, a home directory that is not there is not ours to make. */
static void
links(void)
{
	struct letter	 l = letter("a: b\r\n\r\nc\r\n", 11);

	shell("mkdir elsewhere && ln -s elsewhere link");
	setup(&batch[0], &l, "link", "u@d");
	setup(&batch[1], &l, "nohome/Maildir", "u@d");
	batch[1].box.home = strlen(home) + strlen("/nohome");
	maildir_deliver(batch, 2, "h");
	TEST_INT(batch[0].outcome, OUT_SENT);
	TEST_INT(files("elsewhere/new", NULL), 1);
	TEST_INT(batch[1].outcome, OUT_DEFER);
	TEST_INT(files("nohome", NULL), -1);
	letter_close(&l);
}

/* No room: "mailbox full", and nothing stays in tmp/. RLIMIT_FSIZE would be a signal, so /dev/full plays the disk. */
static void
full(void)
{
	struct letter	 l = letter("a: b\r\n\r\nc\r\n", 11);
	int		 fd = open("/dev/full", O_WRONLY);

	TEST_INT(letter_write(&l, fd, "x"), -1);
	TEST_INT(errno, ENOSPC);
	close(fd);
	l.length = 500;				/* the message is shorter than it claims */
	setup(&batch[0], &l, "short", "u@d");
	maildir_deliver(batch, 1, "h");
	TEST_INT(batch[0].outcome, OUT_DEFER);
	TEST_STR(batch[0].dsn, "4.3.0");
	TEST_INT(files("short/tmp", NULL), 0);
	TEST_INT(files("short/new", NULL), 0);
	letter_close(&l);
}

static void
loops(void)
{
	static const char	 text[] = "Received: x\r\nDelivered-To:  U@Example.org \r\nDelivered-To: other@d\r\n\r\nDelivered-To: body@d\r\n";
	struct letter		 l = letter(text, sizeof(text) - 1);

	TEST(letter_was_delivered_to(&l, "u@example.org"));
	TEST(letter_was_delivered_to(&l, "other@d"));
	TEST(!letter_was_delivered_to(&l, "body@d"));
	TEST(!letter_was_delivered_to(&l, "u@example.or"));
	letter_close(&l);
}

static void
trace(void)
{
	char	 top[LETTER_TOP_MAX], much[2000];

	letter_trace(top, "", "a\nEvil: b@d");
	TEST_STR(top, "Return-Path: <>\nDelivered-To: a?Evil: b@d\n");
	memset(much, 'x', sizeof(much) - 1);
	much[sizeof(much) - 1] = '\0';
	letter_trace(top, much, much);
	TEST(strlen(top) < LETTER_TOP_MAX && top[strlen(top) - 1] == '\n');
}

int
main(void)
{
	char	 cmd[100];

	umask(077);
	TEST(mkdtemp(home) != NULL);
	arrives();
	long_ones();
	empty_one();
	many_at_once();
	second_tries();
	traps();
	links();
	full();
	loops();
	trace();
	snprintf(cmd, sizeof(cmd), "rm -rf %s", home);
	TEST_INT(system(cmd), 0);
	return test_end("maildir");
}
