/* links: ctl/sendmail_msg.c ctl/sendmail_opt.c */
/*
 * fuzz_sendmail: the command line of sendmail and the message on its standard input, for -t too.
 *
 * The first byte has the choices; then the words of the command line, each ended by a NUL, ended by an empty one; the rest is standard
 * input. What goes out has CRLF line ends and nothing bare, one From, Date and Message-ID at least, and no Bcc; no recipient has a line end.
 */
#include <err.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#include "mail/hdr.h"
#include "sendmail.h"

#define WORDS_MAX	40

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);
const char *__asan_default_options(void);

static jmp_buf ended;

/* The program lives for one message and frees little. */
const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}

static void
check(bool ok)
{
	if (!ok)
		abort();
}

/* The ends of the program: what was wrong with the command line. */
void
errx(int code, const char *fmt, ...)
{
	(void)fmt;
	check(code == EX_USAGE || code == EX_DATAERR);
	longjmp(ended, 1);
}

void
warnx(const char *fmt, ...)
{
	(void)fmt;
}

static void
no_line_end(const struct strings *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		check(strpbrk(s->v[i], "\r\n") == NULL);
}

static void
lines(const struct buf *b)
{
	const uint8_t *p = buf_data(b);
	size_t i;

	for (i = 0; i < b->len; i++) {
		check(p[i] != '\0');
		check((p[i] == '\n') == (i > 0 && p[i - 1] == '\r'));
	}
	check(b->len >= 2 && p[b->len - 1] == '\n');
}

static void
fields(const struct buf *b)
{
	bool from = false, date = false, id = false;
	struct hdr_field f;
	size_t at = 0;

	while (hdr_next((const char *)buf_data(b), b->len, &at, &f)) {
		from |= hdr_is(&f, "From");
		date |= hdr_is(&f, "Date");
		id |= hdr_is(&f, "Message-ID");
		check(!hdr_is(&f, "Bcc") && !hdr_is(&f, "Resent-Bcc"));
	}
	check(from && date && id);
}

static void
message(const uint8_t *p, size_t n, uint8_t choice)
{
	struct message m = { .eightbit = false };
	FILE *old = stdin, *f = n > 0 ? fmemopen((void *)(uintptr_t)p, n, "r") : fopen("/dev/null", "r");

	check(f != NULL);
	if (setjmp(ended) != 0)
		abort();
	stdin = f;
	message_read(&m, choice & 1);
	stdin = old;
	fclose(f);
	message_complete(&m, &(struct message_facts){ .from = "me@here.test", .domain = "here.test", .collect = choice & 2 });
	lines(&m.text);
	fields(&m.text);
	no_line_end(&m.rcpts);
	check(choice & 2 || m.rcpts.n == 0);
	buf_free(&m.text);
	while (m.rcpts.n > 0)
		free(m.rcpts.v[--m.rcpts.n]);
}

static void
full_name(const char *name)
{
	char *mailbox = message_mailbox(name, "me@here.test");

	check(strpbrk(mailbox, "\r\n") == NULL && strstr(mailbox, "me@here.test") != NULL);
	free(mailbox);
}

/* The words point into the copy, as those of a process do. -> where the message begins */
static char *
words(char *p, char *end, char **v, int *n)
{
	while (p < end && *p != '\0' && *n < WORDS_MAX) {
		v[(*n)++] = p;
		p += strlen(p) + 1;
	}
	v[*n] = NULL;
	return p < end ? p + 1 : end;
}

static void
command_line(char **v, int n)
{
	struct options o;

	optind = 0;
	if (setjmp(ended) != 0)
		return;
	options_read(&o, n, v);
	no_line_end(&o.rcpts);
	if (o.full_name != NULL)
		full_name(o.full_name);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const char *const names[] = { "sendmail", "mailq", "newaliases", "sendmail" };
	char *copy, *rest, *v[WORDS_MAX + 1];
	int count = 1;

	if (n == 0 || (copy = calloc(1, n + 1)) == NULL)
		return 0;
	memcpy(copy, p, n);
	setprogname(names[p[0] >> 2 & 3]);
	v[0] = copy;
	rest = words(copy + 1, copy + n, v, &count);
	command_line(v, count);
	message((const uint8_t *)rest, (size_t)(copy + n - rest), p[0]);
	free(copy);
	return 0;
}
