/* links: smtpd/parent/lines.c */
/*
 * test_lines: the children's log lines on their way to the log: whose they are, in which order, how many, what they hold.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/buf.h"
#include "proc/ev.h"
#include "base/log.h"
#include "base/log_line.h"
#include "parent/lines.h"
#include "test.h"

static int out;			/* where the log goes: a file without a name */

static void
begin(enum log_format format)
{
	char name[] = "/tmp/postern-lines-XXXXXX";

	out = mkstemp(name);
	unlink(name);
	log_target(dup(out), LOG_TO_FILE, format);
}

/* All that is in the log, freed by the next call. */
static const char *
log_text(void)
{
	static struct buf b = BUF_INIT;
	off_t size;

	log_flush();
	size = lseek(out, 0, SEEK_END);
	buf_reset(&b, 0);
	if (pread(out, buf_reserve(&b, (size_t)size), (size_t)size, 0) == size)
		buf_grow(&b, (size_t)size);
	close(out);
	return buf_str(&b);
}

static size_t
count(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

static void
record(int fd, uint64_t ns, const char *name, const char *text)
{
	struct buf b = BUF_INIT;

	log_record_put(&b, &(struct log_record){ ns, LOG_LV_INFO, name, text, strlen(name), strlen(text) });
	TEST(write(fd, buf_data(&b), b.len) == (ssize_t)b.len);
	buf_free(&b);
}

static struct lines *
child(enum prog prog, int *say, pid_t pid)
{
	struct lines *l = lines_new(proc_row(prog), say);

	lines_of(l, pid);
	return l;
}

/* A child speaks for itself alone, and in lines. */
static void
test_whose(void)
{
	int say;
	struct lines *l;
	const char *t;

	begin(LOG_TEXT);
	l = child(PROG_QUEUE, &say, 4711);
	record(say, log_clock(), "cleanup", "one\nNov 28 11:11:11 h postern/smtp[1]: forged\x1b[2J");
	record(say, log_clock(), "smtp", "of deliver's");
	record(say, log_clock(), "clean", "a part of a name");
	dprintf(say, "double free\n\001\n\0019ffffffffffffffff x y\n");
	lines_end(l);
	close(say);
	t = log_text();
	TEST(strstr(t, "postern/cleanup[4711]: one\\x0aNov 28 11:11:11 h postern/smtp[1]: forged\\x1b[2J\n") != NULL);
	TEST(strstr(t, "postern/qmgr[4711]: of deliver's\n") != NULL);
	TEST(strstr(t, "postern/qmgr[4711]: a part of a name\n") != NULL);
	TEST(strstr(t, "postern/qmgr[4711]: error: double free\n") != NULL);
	TEST(strstr(t, "postern/qmgr[4711]: error: \\x01\n") != NULL);
	TEST(strstr(t, "postern/qmgr[4711]: error: \\x019fff") != NULL);
	TEST_INT(count(t, "\n"), 6);
}

/* Lines of several are in the order in which they were made, whatever pipe is read first. */
static void
test_order(void)
{
	int a, b, i;
	struct lines *la, *lb;
	char text[32];
	const char *t, *last = NULL, *p;

	begin(LOG_TEXT);
	la = child(PROG_QUEUE, &a, 1);
	lb = child(PROG_DELIVER, &b, 2);
	for (i = 0; i < 100; i++) {
		snprintf(text, sizeof text, "line %03d", i);
		record(i % 3 == 0 ? a : b, log_clock(), i % 3 == 0 ? "qmgr" : "smtp", text);
	}
	ev_turn();
	lines_end(la);
	lines_end(lb);
	close(a);
	close(b);
	t = last = log_text();
	for (i = 0; i < 100; i++, last = p) {
		snprintf(text, sizeof text, "line %03d", i);
		if (!TEST((p = strstr(t, text)) != NULL && p >= last))
			break;
	}
}

/* What was written last arrives though it has no end, and though the program forged its times. */
static void
test_last_words(void)
{
	int say;
	struct lines *l;
	const char *t;

	begin(LOG_TEXT);
	l = child(PROG_LOOKUP, &say, 7);
	record(say, UINT64_MAX, "lookup", "from the future");
	record(say, 1, "lookup", "from the past");
	dprintf(say, "assertion failed");
	close(say);
	lines_end(l);
	t = log_text();
	TEST(strstr(t, "postern/lookup[7]: from the future\n") != NULL);
	TEST(strstr(t, "postern/lookup[7]: from the past\n") != NULL);
	TEST(strstr(t, "postern/lookup[7]: error: assertion failed\n") != NULL);
}

/* A line without an end is cut, and holds nothing. */
static void
test_long(void)
{
	int say, i;
	struct lines *l;
	char text[4000];
	const char *t, *p, *nl;

	begin(LOG_JSON);
	l = child(PROG_RESOLVER, &say, 7);
	memset(text, 'x', sizeof text);
	for (i = 0; i < 60; i++)
		TEST(write(say, text, sizeof text) == (ssize_t)sizeof text);
	close(say);
	ev_turn();
	lines_end(l);
	t = log_text();
	for (p = t; (nl = strchr(p, '\n')) != NULL; p = nl + 1)
		TEST(nl - p < LOG_TEXT_MAX + 512 && *p == '{' && nl[-1] == '}');
	TEST(count(t, "\n") >= 60 * 4000 / (LOG_TEXT_MAX + 256));
}

/* One that says more than its share loses lines, and the log says how many; another loses none. */
static void
test_flood(void)
{
	int agent, queue, i, n = 0;
	size_t written;
	struct lines *la, *lq;
	char line[1001];
	const char *t;
	unsigned long long dropped = 0, one;

	begin(LOG_TEXT);
	memset(line, 'y', sizeof line);
	line[1000] = '\n';
	la = child(PROG_AGENT, &agent, 1);
	lq = child(PROG_QUEUE, &queue, 2);
	for (i = 0; i < 100; i++) {
		while (write(agent, line, sizeof line) == (ssize_t)sizeof line)
			n++;
		record(queue, log_clock(), "qmgr", "mail flows");
		ev_turn();
	}
	close(agent);
	close(queue);
	lines_end(la);
	lines_end(lq);
	t = log_text();
	TEST_INT(count(t, "mail flows"), 100);
	written = count(t, "yyyy\n");
	for (; (t = strstr(t, "postern-agent[1] says more than its share of the log holds: ")) != NULL; t++)
		if (sscanf(strchr(t, ':') + 2, "%llu lines dropped", &one) == 1)
			dropped += one;
	TEST(n > 400 && written < (unsigned)n / 2 && written > 0);
	TEST_INT(written + dropped, n);
}

int
main(void)
{
	log_init("test");
	ev_init();
	test_whose();
	test_order();
	test_last_words();
	test_long();
	test_flood();
	return test_end("lines");
}
