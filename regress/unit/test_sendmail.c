/* links: ctl/sendmail_msg.c ctl/sendmail_opt.c */
/* test_sendmail: the message that sendmail makes of its input, and the recipients it finds in it. */
#include <stdlib.h>
#include <unistd.h>
#include "sendmail.h"
#include "test.h"

static struct message m;

#ifdef __SANITIZE_ADDRESS__
/* The program lives for one message and frees little. */
const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

/* Reads input as standard input and completes it. */
static void
make(const char *input, size_t n, bool dot_is_text)
{
	FILE *f = tmpfile();

	if (f == NULL || fwrite(input, 1, n, f) != n || fflush(f) != 0)
		abort();
	rewind(f);
	stdin = f;
	memset(&m, 0, sizeof(m));
	message_read(&m, dot_is_text);
	message_complete(&m, &(struct message_facts){ .from = "me@here.test", .domain = "here.test", .collect = true });
	fclose(f);
}

#define MAKE(input, dot)	make((input), sizeof(input) - 1, (dot))

static void
text(const char *input)
{
	make(input, strlen(input), true);
}

static bool
has(const char *what)
{
	return strstr(buf_str(&m.text), what) != NULL;
}

static bool
rcpts(const char *want)
{
	char got[1024] = "";

	for (size_t i = 0; i < m.rcpts.n; i++) {
		strlcat(got, i > 0 ? " " : "", sizeof(got));
		strlcat(got, m.rcpts.v[i], sizeof(got));
	}
	return TEST_STR(got, want);
}

static void
test_fields(void)
{
	text("To: a@x.test\nBcc: b@x.test,\n c@x.test\nSubject: s\n\nbody\n");
	rcpts("a@x.test b@x.test c@x.test");
	TEST(!has("Bcc") && !has("c@x.test") && has("To: a@x.test\r\n") && has("\r\n\r\nbody\r\n"));
	TEST(has("\r\nFrom: me@here.test\r\n") && has("\r\nDate: ") && has("\r\nMessage-ID: <"));
	text("from: you@x.test\nDATE: then\nmessage-id: <x@y>\nTo: a@x.test\n\n");
	TEST(!has("me@here.test") && !has("Date:") && !has("Message-ID:"));
	TEST_STR(buf_str(&m.text), "from: you@x.test\r\nDATE: then\r\nmessage-id: <x@y>\r\nTo: a@x.test\r\n\r\n");
}

static void
test_addresses(void)
{
	text("To: \"Last, First\" <a@x.test>, grp: b@x.test, c@x.test;, root (me, too)\nCc: undisclosed:;\n\n");
	rcpts("a@x.test b@x.test c@x.test root");
	text("To: a@x.test\nTo: b@x.test\nCC: c@x.test\n\nTo: d@x.test\n");
	rcpts("a@x.test b@x.test c@x.test");
}

static void
test_resent(void)
{
	text("Resent-To: new@x.test\nResent-Bcc: hidden@x.test\nResent-From: r@x.test\nReceived: x\n"
	    "Resent-To: old@x.test\nResent-From: o@x.test\nTo: first@x.test\nBcc: b@x.test\n\n");
	rcpts("new@x.test hidden@x.test");
	TEST(!has("Bcc") && has("Resent-Date: ") && has("Resent-Message-ID: <") && !has("Resent-From: me@"));
	TEST(has("Resent-To: old@x.test\r\n") && has("To: first@x.test\r\n"));
	/* Two blocks without anything between them: a field that comes again begins the next. */
	text("Resent-From: r@x.test\nResent-To: new@x.test\nResent-From: o@x.test\nResent-To: old@x.test\n\n");
	rcpts("new@x.test");
}

static void
test_no_header(void)
{
	text("just text: no\nmore\n");
	TEST(has("\r\n\r\njust text: no\r\nmore\r\n"));
	text("");
	TEST(has("From: me@here.test\r\n") && m.rcpts.n == 0);
	text("\nbody\n");
	TEST(has("\r\n\r\nbody\r\n"));
	text("From someone Sat Nov 21\nTo: a@x.test\n\nx\n");
	rcpts("a@x.test");
	TEST(!has("someone") && has("From: me@here.test\r\n"));
}

static void
test_line_ends(void)
{
	text("Subject: a\rBcc: evil@x.test\r\nTo: a@x.test\r\n\r\none\rtwo\r\nthree\n.\n..\nend");
	rcpts("a@x.test");
	TEST(has("Subject: a Bcc: evil@x.test\r\n") && has("one\r\ntwo\r\nthree\r\n.\r\n..\r\nend\r\n"));
	MAKE("To: a@x.test\n\none\n.\ntwo\n", false);
	TEST(has("one\r\n") && !has("two"));
	MAKE("To: a@x.test\r\n\r\none\r\n.\r\ntwo\r\n", false);
	TEST(has("one\r\n") && !has("two"));
	MAKE("To: a@x.test\n\nnul \0 here\n", true);
	TEST(has("\r\nnul  here\r\n"));
	MAKE(">From me Sat\nFrom you\nTo: a@x.test\n\nFrom x\n", true);
	rcpts("a@x.test");
	TEST(!has("me Sat") && !has("From you") && has("\r\n\r\nFrom x\r\n"));
}

static void
test_kind(void)
{
	text("Subject: plain\n\nplain\n");
	TEST(!m.eightbit && !m.utf8_header);
	text("Subject: plain\n\n\xe9\n");
	TEST(m.eightbit && !m.utf8_header);
	text("Subject: \xc3\xa9\n\n");
	TEST(m.eightbit && m.utf8_header);
	text("Subject: \xe9\n\n");
	TEST(m.eightbit && !m.utf8_header);
}

static void
test_mailbox(void)
{
	static const char *const cases[][2] = {
		{ "", "a@x" }, { "Joe Doe", "Joe Doe <a@x>" }, { "Joe \"X\" Doe, Jr.", "\"Joe \\\"X\\\" Doe, Jr.\" <a@x>" },
		{ "J\xc3\xb6rg", "=?UTF-8?Q?J=C3=B6rg?= <a@x>" }, { "J\xf6rg", "a@x" }, { "a\tb", "=?UTF-8?Q?a=09b?= <a@x>" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *got = message_mailbox(cases[i][0], "a@x");

		TEST_STR(got, cases[i][1]);
		free(got);
	}
}

static void
test_options(void)
{
	struct options o;
	char *argv[] = { (char[]){ "sendmail" }, (char[]){ "a@x, b@y" }, (char[]){ "-ti" }, (char[]){ "-f<>" }, (char[]){ "-oem" },
	    (char[]){ "-B8BITMIME" }, (char[]){ "-Nsuccess,delay" }, (char[]){ "-Rhdrs" }, (char[]){ "-q5m" }, (char[]){ "-bm" },
	    (char[]){ "--" }, (char[]){ "-odd" }, NULL };

	options_read(&o, 12, argv);
	TEST(o.mode == MODE_SEND && o.from_header && o.dot_is_text);
	TEST_STR(o.sender, "");
	TEST_STR(o.notify, "SUCCESS,DELAY");
	TEST_STR(o.ret, "HDRS");
	TEST_INT(o.rcpts.n, 3);
	TEST_STR(o.rcpts.v[2], "-odd");
}

int
main(void)
{
	test_fields();
	test_addresses();
	test_resent();
	test_no_header();
	test_line_ends();
	test_kind();
	test_mailbox();
	test_options();
	return test_end("sendmail");
}
