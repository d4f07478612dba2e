/* links: */
/*
 * test_reply: replies of remote servers, as hostile as they come, and every row of the dictionary.
 */
#include <stdlib.h>
#include "mail/addr.h"
#include "mail/reply.h"
#include "test.h"

#define EACH(i, array) for (size_t i = 0; i < sizeof (array) / sizeof (array)[0]; i++)

/* What line_cb was given, each line in brackets. */
static char	lines[8192];
static size_t	lines_n;

static void
on_line(void *arg, const char *text)
{
	if (arg == &lines_n)
		lines_n += (size_t)snprintf(lines + lines_n, sizeof lines - lines_n, "[%s]", text);
}

static enum reply_status
feed(struct reply *r, const char *in, size_t n, size_t size, size_t *left)
{
	struct buf b = BUF_INIT;
	enum reply_status status = REPLY_MORE;
	size_t at, k;

	reply_init(r);
	lines_n = 0;
	lines[0] = '\0';
	for (at = 0; at < n && status == REPLY_MORE; at += k) {
		k = size == 0 || size > n - at ? n - at : size;
		buf_add(&b, in + at, k);
		status = reply_feed(r, &b, on_line, &lines_n);
	}
	*left = b.len + (n - at);
	buf_free(&b);
	return status;
}

static void
test_parse(void)
{
	static const struct {
		const char	*in;
		enum reply_status status;
		unsigned	 code;
		const char	*dsn, *text, *lines;
	} rows[] = {
		{ "250 ok\r\n", REPLY_DONE, 250, "", "ok", "[ok]" },
		{ "250 ok\n", REPLY_DONE, 250, "", "ok", "[ok]" },
		{ "250\r\n", REPLY_DONE, 250, "", "", "[]" },
		{ "250 \r\n", REPLY_DONE, 250, "", "", "[]" },
		{ "250 2.1.0 Ok\r\n", REPLY_DONE, 250, "2.1.0", "Ok", "[Ok]" },
		{ "550 5.7.2\r\n", REPLY_DONE, 550, "5.7.2", "", "[]" },
		{ "550 5.7.2 \r\n", REPLY_DONE, 550, "5.7.2", "", "[]" },
		{ "550 5.7.123 x\r\n", REPLY_DONE, 550, "5.7.123", "x", "[x]" },
		{ "550 5.123.123  x\r\n", REPLY_DONE, 550, "5.123.123", " x", "[ x]" },
		{ "550 5.7.1234 x\r\n", REPLY_DONE, 550, "", "5.7.1234 x", "[5.7.1234 x]" },
		{ "550 5.7 x\r\n", REPLY_DONE, 550, "", "5.7 x", "[5.7 x]" },
		{ "550 5..1 x\r\n", REPLY_DONE, 550, "", "5..1 x", "[5..1 x]" },
		{ "550 5.7.1: x\r\n", REPLY_DONE, 550, "", "5.7.1: x", "[5.7.1: x]" },
		{ "550 4.7.1 x\r\n", REPLY_DONE, 550, "", "4.7.1 x", "[4.7.1 x]" },
		{ "450 5.1.1 x\r\n", REPLY_DONE, 450, "", "5.1.1 x", "[5.1.1 x]" },
		{ "354 go\r\n", REPLY_DONE, 354, "", "go", "[go]" },
		{ "250-mx greets\r\n250-SIZE 100\r\n250 8BITMIME\r\n", REPLY_DONE, 250, "",
		    "mx greets SIZE 100 8BITMIME", "[mx greets][SIZE 100][8BITMIME]" },
		{ "550-5.1.1 no\r\n550-5.1.1 such\r\n550 5.1.1 user\r\n", REPLY_DONE, 550, "5.1.1", "no such user",
		    "[no][such][user]" },
		{ "550-blocked\r\n550 5.7.1 see x\r\n", REPLY_DONE, 550, "5.7.1", "blocked see x", "[blocked][see x]" },
		{ "550-\r\n550-\r\n550 x\r\n", REPLY_DONE, 550, "", "x", "[][][x]" },
		{ "550-\r\n", REPLY_MORE, 550, "", "", "[]" },
		{ "550-a\r\n550-b", REPLY_MORE, 550, "", "a", "[a]" },
		{ "55", REPLY_MORE, 0, "", "", "" },
		{ "", REPLY_MORE, 0, "", "", "" },
		{ "250 a\tb\177c\r\n", REPLY_DONE, 250, "", "a?b?c", "[a?b?c]" },
		{ "250 a\rb\r\n", REPLY_DONE, 250, "", "a?b", "[a?b]" },
		{ "250 a\r\r\n", REPLY_DONE, 250, "", "a?", "[a?]" },
		{ "250 gr\xc3\xbc\xc3\x9f\r\n", REPLY_DONE, 250, "", "gr\xc3\xbc\xc3\x9f", "[gr\xc3\xbc\xc3\x9f]" },
		{ "250 gr\xfc\r\n", REPLY_DONE, 250, "", "gr?", "[gr?]" },
		{ "250 \xc2\x9bm\r\n", REPLY_DONE, 250, "", "??m", "[??m]" },
		{ "5\r\n", REPLY_BAD, 0, "", "", "" },
		{ "\r\n", REPLY_BAD, 0, "", "", "" },
		{ "\n", REPLY_BAD, 0, "", "", "" },
		{ "55\r\n", REPLY_BAD, 0, "", "", "" },
		{ "hello\r\n", REPLY_BAD, 0, "", "", "" },
		{ " 250 ok\r\n", REPLY_BAD, 0, "", "", "" },
		{ "2500 ok\r\n", REPLY_BAD, 0, "", "", "" },
		{ "250ok\r\n", REPLY_BAD, 0, "", "", "" },
		{ "250\tok\r\n", REPLY_BAD, 0, "", "", "" },
		{ "150 ok\r\n", REPLY_BAD, 0, "", "", "" },
		{ "650 ok\r\n", REPLY_BAD, 0, "", "", "" },
		{ "000 ok\r\n", REPLY_BAD, 0, "", "", "" },
		{ "-50 ok\r\n", REPLY_BAD, 0, "", "", "" },
		{ "HTTP/1.1 400 Bad Request\r\n", REPLY_BAD, 0, "", "", "" },
		{ "250-a\r\n251 b\r\n", REPLY_BAD, 250, "", "a", "[a]" },
		{ "250-a\r\n550 b\r\n", REPLY_BAD, 250, "", "a", "[a]" },
		{ "250-a\r\nb\r\n", REPLY_BAD, 250, "", "a", "[a]" },
		{ "250-a\r\n\r\n", REPLY_BAD, 250, "", "a", "[a]" },
	};
	struct reply r;
	size_t left;

	EACH(i, rows)
		for (size_t size = 0; size < 8; size++) {
			if (!TEST_INT(feed(&r, rows[i].in, strlen(rows[i].in), size, &left), rows[i].status))
				fprintf(stderr, "\t%s\n", rows[i].in);
			TEST_INT(r.code, rows[i].code);
			TEST_STR(r.dsn, rows[i].dsn);
			TEST_STR(r.text, rows[i].text);
			TEST_STR(lines, rows[i].lines);
			if (rows[i].status == REPLY_DONE)
				TEST_INT(left, 0);
		}
}

/* Pipelined replies: each call stops behind its own. */
static void
test_pipelined(void)
{
	struct buf b = BUF_INIT;
	struct reply r;

	buf_adds(&b, "250-a\r\n250 b\r\n550 5.1.1 c\r\n354 d\r\n25");
	reply_init(&r);
	TEST(reply_feed(&r, &b, NULL, NULL) == REPLY_DONE && r.code == 250 && r.lines == 2);
	reply_init(&r);
	TEST(reply_feed(&r, &b, NULL, NULL) == REPLY_DONE && r.code == 550);
	reply_init(&r);
	TEST(reply_feed(&r, &b, NULL, NULL) == REPLY_DONE && r.code == 354);
	reply_init(&r);
	TEST(reply_feed(&r, &b, NULL, NULL) == REPLY_MORE && r.lines == 0 && b.len == 2);
	buf_free(&b);
}

static void
test_bounds(void)
{
	char *big = malloc(1 << 20);
	struct buf b = BUF_INIT;
	struct reply r;
	size_t left;
	int i;

	/* A line of 1 MiB, with and without an end. */
	memset(big, 'x', 1 << 20);
	memcpy(big, "250 ", 4);
	TEST_INT(feed(&r, big, 1 << 20, 0, &left), REPLY_BAD);
	memcpy(big + (1 << 20) - 2, "\r\n", 2);
	TEST_INT(feed(&r, big, 1 << 20, 0, &left), REPLY_BAD);
	TEST_INT(feed(&r, big, 1 << 20, 1000, &left), REPLY_BAD);
	TEST(left > (1 << 20) - 8000);
	/* The longest line, and one byte more. */
	for (i = 0; i < 2; i++) {
		size_t n = REPLY_LINE_MAX + (size_t)i;

		memcpy(big + n, "\r\n", 2);
		TEST_INT(feed(&r, big, n + 2, 0, &left), i == 0 ? REPLY_DONE : REPLY_BAD);
		TEST_INT(feed(&r, big, n + 2, 1, &left), i == 0 ? REPLY_DONE : REPLY_BAD);
		memset(big + n, 'x', 2);
	}
	memcpy(big + REPLY_LINE_MAX, "\r\n", 2);
	TEST(feed(&r, big, REPLY_LINE_MAX + 2, 0, &left) == REPLY_DONE && strlen(r.text) == REPLY_TEXT_MAX - 1);
	/* A million continuation lines. */
	reply_init(&r);
	for (i = 0; i < 1000000; i++) {
		buf_adds(&b, "550-5.7.1 more words\r\n");
		if (reply_feed(&r, &b, NULL, NULL) != REPLY_MORE)
			break;
	}
	TEST_INT(i, REPLY_LINES_MAX);
	TEST(strlen(r.text) < REPLY_TEXT_MAX);
	buf_reset(&b, 0);
	for (i = 0; i < 1000000; i++)
		buf_adds(&b, "550-\n");
	reply_init(&r);
	TEST_INT(reply_feed(&r, &b, NULL, NULL), REPLY_BAD);
	buf_free(&b);
	TEST_INT(feed(&r, "250 a\0b\r\n", 9, 0, &left), REPLY_DONE);
	TEST_STR(r.text, "a?b");
	TEST_INT(feed(&r, "25\0 ab\r\n", 8, 0, &left), REPLY_BAD);
	/* Text is never cut within a character. */
	for (i = 0; i < 4; i++) {
		size_t n = 4 + (size_t)i;

		while (n + 2 < 4000) {
			memcpy(big + n, "\xe2\x82\xac", 3);
			n += 3;
		}
		memcpy(big + n, "\r\n", 2);
		TEST_INT(feed(&r, big, n + 2, 0, &left), REPLY_DONE);
		TEST(utf8_valid(r.text, strlen(r.text)) && strlen(r.text) > REPLY_TEXT_MAX - 5);
	}
	free(big);
}

#define ST_ALL 99

static void
test_meaning(void)
{
	static const struct {
		int		 stage;
		unsigned	 code;
		const char	*dsn;
		enum reply_deed	 deed;
		const char	*use;
	} rows[] = {
		{ STAGE_CONNECT, 101, "", DEED_NEXT_MX, "4.4.1" }, { STAGE_CONNECT, 111, "", DEED_NEXT_MX, "4.4.1" },
		{ STAGE_CONNECT, 220, "", DEED_OK, "2.0.0" }, { STAGE_EHLO, 250, "", DEED_OK, "2.0.0" },
		{ STAGE_RCPT, 251, "2.1.5", DEED_OK, "2.0.0" },
		{ STAGE_RCPT, 252, "", DEED_OK, "2.0.0" }, { STAGE_END, 299, "", DEED_OK, "2.0.0" },
		{ STAGE_OTHER, 221, "", DEED_OK, "2.0.0" },
		{ STAGE_DATA, 354, "", DEED_OK, "2.0.0" }, { STAGE_DATA, 250, "", DEED_RETRY, "4.5.0" },
		{ STAGE_END, 354, "", DEED_RETRY, "4.5.0" },
		{ STAGE_RCPT, 0, "", DEED_RETRY, "4.5.0" }, { STAGE_RCPT, 150, "", DEED_RETRY, "4.5.0" },
		{ STAGE_RCPT, 999, "", DEED_RETRY, "4.5.0" },
		{ ST_ALL, 421, "", DEED_REST_HOST, "4.3.2" }, { ST_ALL, 421, "4.7.0", DEED_REST_HOST, "4.3.2" },
		{ ST_ALL, 521, "", DEED_NEXT_MX_BOUNCE, "5.3.2" },
		{ ST_ALL, 556, "5.1.10", DEED_NEXT_MX_BOUNCE, "5.1.10" },
		{ STAGE_CONNECT, 554, "", DEED_NEXT_MX, "4.3.2" },
		{ STAGE_CONNECT, 550, "5.7.1", DEED_NEXT_MX, "4.3.2" },
		{ STAGE_EHLO, 500, "", DEED_NEXT_MX, "4.3.2" }, { STAGE_EHLO, 550, "5.7.1", DEED_NEXT_MX, "4.3.2" },
		{ STAGE_CONNECT, 450, "", DEED_NEXT_MX, "4.3.2" },
		{ ST_ALL, 420, "", DEED_NEXT_MX, NULL }, { ST_ALL, 441, "", DEED_NEXT_MX, NULL },
		{ ST_ALL, 442, "", DEED_NEXT_MX, NULL }, { ST_ALL, 447, "", DEED_NEXT_MX, NULL },
		{ STAGE_RCPT, 422, "", DEED_RETRY, "4.2.2" }, { STAGE_RCPT, 452, "4.2.2", DEED_RETRY, "4.2.2" },
		{ STAGE_RCPT, 452, "4.5.3", DEED_NEXT_TX, "4.5.3" },
		{ STAGE_RCPT, 452, "4.5.31", DEED_RETRY, "4.3.1" }, { STAGE_END, 452, "4.5.3", DEED_RETRY, "4.5.3" },
		{ STAGE_RCPT, 452, "", DEED_RETRY, "4.3.1" },
		{ STAGE_END, 452, "4.3.1", DEED_RETRY, "4.3.1" }, { STAGE_RCPT, 552, "", DEED_RETRY, "4.5.3" },
		{ STAGE_RCPT, 552, "5.5.3", DEED_NEXT_TX, "4.5.3" },
		{ STAGE_RCPT, 552, "5.2.2", DEED_BOUNCE, "5.2.2" }, { STAGE_END, 552, "", DEED_BOUNCE, "5.3.4" },
		{ STAGE_END, 552, "5.2.2", DEED_BOUNCE, "5.2.2" },
		{ STAGE_MAIL, 552, "5.3.4", DEED_BOUNCE, "5.3.4" }, { STAGE_RCPT, 431, "", DEED_RETRY, "4.3.1" },
		{ STAGE_RCPT, 432, "", DEED_RETRY, "4.2.1" },
		{ STAGE_RCPT, 446, "", DEED_BOUNCE, "5.4.6" }, { STAGE_END, 554, "5.4.6", DEED_BOUNCE, "5.4.6" },
		{ STAGE_END, 451, "4.4.6", DEED_RETRY, "4.3.0" },
		{ STAGE_RCPT, 449, "", DEED_RETRY, "4.4.4" }, { STAGE_RCPT, 450, "", DEED_RETRY, "4.2.1" },
		{ STAGE_RCPT, 451, "", DEED_RETRY, "4.3.0" },
		{ STAGE_RCPT, 451, "4.7.1", DEED_RETRY, "4.7.1" }, { STAGE_RCPT, 450, "4.2.2", DEED_RETRY, "4.2.2" },
		{ STAGE_RCPT, 454, "", DEED_RETRY, "4.7.0" },
		{ STAGE_RCPT, 455, "", DEED_RETRY, "4.5.4" }, { STAGE_END, 471, "", DEED_RETRY, "4.7.1" },
		{ STAGE_END, 499, "", DEED_RETRY, "4.0.0" },
		{ STAGE_RCPT, 500, "", DEED_BOUNCE, "5.5.2" }, { STAGE_RCPT, 501, "", DEED_BOUNCE, "5.5.4" },
		{ STAGE_RCPT, 502, "", DEED_BOUNCE, "5.5.1" },
		{ STAGE_RCPT, 503, "", DEED_BOUNCE, "5.5.1" }, { STAGE_RCPT, 504, "", DEED_BOUNCE, "5.5.4" },
		{ STAGE_RCPT, 555, "", DEED_BOUNCE, "5.5.4" },
		{ STAGE_RCPT, 510, "", DEED_BOUNCE, "5.1.1" }, { STAGE_RCPT, 511, "", DEED_BOUNCE, "5.1.1" },
		{ STAGE_RCPT, 512, "", DEED_BOUNCE, "5.1.2" },
		{ STAGE_RCPT, 513, "", DEED_BOUNCE, "5.1.3" }, { STAGE_RCPT, 515, "", DEED_BOUNCE, "5.1.5" },
		{ STAGE_RCPT, 523, "", DEED_BOUNCE, "5.3.4" },
		{ STAGE_MAIL, 530, "", DEED_BOUNCE, "5.7.0" }, { STAGE_MAIL, 534, "", DEED_BOUNCE, "5.7.9" },
		{ STAGE_MAIL, 535, "5.7.8", DEED_BOUNCE, "5.7.8" },
		{ STAGE_MAIL, 538, "", DEED_BOUNCE, "5.7.11" }, { STAGE_RCPT, 541, "", DEED_BOUNCE, "5.7.1" },
		{ STAGE_RCPT, 550, "", DEED_BOUNCE, "5.1.1" },
		{ STAGE_RCPT, 550, "5.1.1", DEED_BOUNCE, "5.1.1" },
		{ STAGE_RCPT, 550, "5.7.26", DEED_BOUNCE, "5.7.1" }, { STAGE_END, 550, "", DEED_BOUNCE, "5.7.1" },
		{ STAGE_RCPT, 551, "", DEED_BOUNCE, "5.1.6" }, { STAGE_RCPT, 553, "", DEED_BOUNCE, "5.1.3" },
		{ STAGE_END, 554, "", DEED_BOUNCE, "5.7.1" },
		{ STAGE_RCPT, 599, "", DEED_BOUNCE, "5.0.0" }, { STAGE_RCPT, 550, NULL, DEED_BOUNCE, "5.1.1" },
		{ STAGE_RCPT, 550, "x", DEED_BOUNCE, "5.1.1" },
	};

	EACH(i, rows)
		for (int stage = STAGE_CONNECT; stage <= STAGE_OTHER; stage++) {
			const struct reply_meaning *m;

			if (rows[i].stage != ST_ALL && rows[i].stage != stage)
				continue;
			m = reply_meaning((enum reply_stage)stage, rows[i].code, rows[i].dsn);
			if (!TEST_INT(m->deed, rows[i].deed))
				fprintf(stderr, "\tstage %d code %u %s\n", stage, rows[i].code, rows[i].dsn);
			if (rows[i].use != NULL)
				TEST_STR(m->dsn, rows[i].use);
		}
}

/* For every number: an answer, whose class fits what is done. */
static void
test_every_code(void)
{
	static const char *const dsns[] = { "", "2.0.0", "4.2.2", "4.5.3", "5.5.3", "5.7.1", "5.4.6", "." };
	static const char class[] = {
		[DEED_OK] = '2', [DEED_RETRY] = '4', [DEED_NEXT_MX] = '4', [DEED_REST_HOST] = '4',
		    [DEED_NEXT_TX] = '4', [DEED_BOUNCE] = '5',
		[DEED_NEXT_MX_BOUNCE] = '5',
	};

	for (int stage = STAGE_CONNECT; stage <= STAGE_OTHER; stage++)
		for (unsigned code = 0; code < 1000; code++)
			EACH(i, dsns) {
				const struct reply_meaning *m = reply_meaning((enum reply_stage)stage, code, dsns[i]);
				bool ok = m != NULL && m->what[0] != '\0' && m->helps[0] != '\0' && m->dsn[0] == class[m->deed];

				/* A permanent reply never means success,
				    a temporary one is never final but for the loop. */
				ok = ok && (m->deed != DEED_OK || code / 100 == 2 || code / 100 == 3);
				ok = ok && (code / 100 != 4 || code == 446 || class[m->deed] == '4');
				if (!ok)
					fprintf(stderr, "\tstage %d code %u dsn %s\n", stage, code, dsns[i]);
				if (!ok || code % 100 == 0)
					TEST(ok);
			}
}

/* Our own verdicts have words too, whatever the code. */
static void
own_words(void)
{
	static const char *const odd[] = { "", "5", "5.", "x.y.z", "2.0.0", "4.4.1x" };
	size_t i;

	TEST(strstr(reply_own_meaning("5.4.6")->what, "loop") != NULL);
	TEST(reply_own_meaning("4.4.1") == reply_own_meaning("5.4.1"));
	TEST(strncmp(reply_own_meaning("4.9.9")->helps, "wait:", 5) == 0);
	for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		TEST(*reply_own_meaning(odd[i])->what != '\0' && *reply_own_meaning(odd[i])->helps != '\0');
}

static void
texts(void)
{
	static const struct { unsigned code; const char *dsn, *text, *whole, *behind; } v[] = {
		{ 450, "4.7.1", "slow down", "450 slow down", "slow down" },
		{ 450, "4.7.1", "4.7.1 slow down", "450 4.7.1 slow down", "4.7.1 slow down" },
		{ 450, "4.7.1", "4.7.10 slow", "450 4.7.10 slow", "4.7.10 slow" },
		{ 450, "", "450 twice", "450 450 twice", "450 twice" }, { 421, "", "", "421", "" },
		{ 0, "4.4.1", "connection refused", "4.4.1 connection refused", "4.4.1 connection refused" }, { 0, "", "", "", "" },
		{ 0, "", "0 sent", "0 sent", "0 sent" },
	};
	struct reply r = { .code = 421, .dsn = "4.7.0", .text = "rate limited" };
	struct buf b = BUF_INIT;
	char said[64];
	size_t i;

	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		reply_whole(&b, v[i].code, v[i].dsn, v[i].text);
		TEST_STR(buf_str(&b), v[i].whole);
		TEST_STR(reply_behind_code(v[i].whole, v[i].code), v[i].behind);
		buf_reset(&b, SIZE_MAX);
	}
	buf_free(&b);
	TEST_STR(reply_behind_code("4.7.1 slow down", 450), "4.7.1 slow down");
	reply_said(&r, said, sizeof said);
	TEST_STR(said, "421 4.7.0 rate limited");
	r.dsn[0] = '\0';
	reply_said(&r, said, sizeof said);
	TEST_STR(said, "421 rate limited");
}

int
main(void)
{
	texts();
	test_parse();
	test_pipelined();
	test_bounds();
	test_meaning();
	test_every_code();
	own_words();
	return test_end("reply");
}
