/*
 * What local programs write, put right: whole and in pieces of every size.
 */
#include <stdlib.h>
#include <string.h>
#include "mail/mend.h"
#include "test.h"

#define ALL	(MEND_NUL | MEND_LONG | MEND_FROM | MEND_DOMAIN)

static char	 got[70000];
static unsigned	 done;

static void
mend(unsigned what, const char *in, size_t n, size_t step)
{
	struct buf out = BUF_INIT;
	struct mend m;
	size_t at, k;

	mend_init(&m, what, "our.test");
	for (at = 0; at < n; at += k) {
		k = n - at < step ? n - at : step;
		mend_feed(&m, (const uint8_t *)in + at, k, &out);
	}
	mend_end(&m, &out);
	done = m.done;
	mend_free(&m);
	strlcpy(got, buf_str(&out), sizeof got);
	buf_free(&out);
}

static void
check(unsigned what, const char *in, size_t n, const char *want, unsigned did)
{
	size_t step;

	for (step = 1; step <= n; step++) {
		mend(what, in, n, step);
		if (!TEST_STR(got, want) || !TEST_INT(done, did))
			return;
	}
}

#define CHECK(what, in, want, did)	check(what, in, sizeof(in) - 1, want, did)

static void
test_domain(void)
{
	CHECK(ALL, "From: root\r\nTo: one, Two <two>,\r\n three@far.test (c, d), \"q r\"(x) , <>\r\nX: y\r\n\r\nTo: z\r\n",
	    "From: root@our.test\r\nTo: one@our.test, Two <two@our.test>,\r\n three@far.test (c, d), \"q r\"@our.test(x) , <>\r\nX: y\r\n\r\nTo: z\r\n",
	    MEND_DOMAIN);
	CHECK(ALL, "cc: friends: a, b@c;, d\r\nResent-Bcc:  e \r\nSubject: a, b\r\n", "cc: friends: a@our.test, b@c;, d@our.test\r\n"
	    "Resent-Bcc:  e@our.test \r\nSubject: a, b\r\n", MEND_DOMAIN);
	CHECK(ALL, "To: undisclosed-recipients:;\r\nFrom: John Doe\r\nReply-To: <a@[1.2.3.4]> x, \"a@b\" <\"c@d\">\r\n\r\n",
	    "To: undisclosed-recipients:;\r\nFrom: John Doe\r\nReply-To: <a@[1.2.3.4]> x, \"a@b\" <\"c@d\"@our.test>\r\n\r\n", MEND_DOMAIN);
	CHECK(MEND_NUL, "To: a\r\n\r\n", "To: a\r\n\r\n", 0);
	CHECK(ALL, "To:\r\nCc: ,,\r\n\r\n", "To:\r\nCc: ,,\r\n\r\n", 0);
}

static void
test_bytes(void)
{
	CHECK(ALL, "\0T\0o: a@b\r\0\n\0\r\n\0x\0\0\r\n\0", "To: a@b\r\n\r\nx\r\n", MEND_NUL);
	CHECK(ALL, "From me Sat\r\n>From you\r\nTo: a@b\r\n\r\nFrom x\r\n", "To: a@b\r\n\r\nFrom x\r\n", MEND_FROM);
	CHECK(MEND_DOMAIN, "From me\r\n\r\nx", "From me\r\n\r\nx", 0);
	CHECK(ALL, "", "", 0);
	CHECK(ALL, "\r\nbody", "\r\nbody", 0);
}

static void
all_short(const char *name)
{
	const char *p;

	for (p = got; *p != '\0'; p += strcspn(p, "\n"), p += *p != '\0')
		if (!TEST(strcspn(p, "\r") <= 998))
			fprintf(stderr, "\t%s: %zu\n", name, strcspn(p, "\r"));
}

static void
long_line(const char *before, size_t n, const char *unit)
{
	static char in[70000];
	size_t i;

	strlcpy(in, before, sizeof in);
	for (i = 0; i < n; i++)
		strlcat(in, unit, sizeof in);
	strlcat(in, "\r\nX\r\n", sizeof in);
	mend(ALL, in, strlen(in), 777);
}

/* Exactly 998 is not too long. Nothing is lost but at line ends, and a header stays a header. */
static void
test_long(void)
{
	size_t n;

	long_line("\r\n", 998, "a");
	TEST_INT(done, 0);
	long_line("\r\n", 999, "a");
	TEST_INT(done, MEND_LONG);
	TEST_INT(strcspn(got + 2, "\r"), 998);
	long_line("\r\n", 20000, "ab ");
	all_short("words");
	TEST_INT(strcspn(got + 2, "\r"), 996 + 0);
	long_line("\r\n", 3000, "\303\244");
	all_short("utf-8");
	for (n = 2; got[n] != '\0'; n++)
		TEST(got[n] != '\r' || got[n - 1] == '\244' || got[n - 1] == 'X');
	long_line("Subject: ", 3000, "\303\244");
	all_short("header");
	TEST(strstr(got, "\r\n \303\244") != NULL && done == MEND_LONG);
	long_line("To: ", 3000, "abcdef, ");
	all_short("addresses");
	TEST(strstr(got, "\r\n abcdef@our.test,") != NULL && done == (MEND_LONG | MEND_DOMAIN));
	long_line("Subject: ", 69000, "a");			/* more than is kept */
	all_short("endless");
}

int
main(void)
{
	test_domain();
	test_bytes();
	test_long();
	TEST_STR(mend_words(MEND_NUL | MEND_LONG), "NUL bytes dropped, long lines broken");
	return test_end("mend");
}
