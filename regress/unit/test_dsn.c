/*
 * test_dsn: what a notice looks like, and that nothing from outside can change its shape.
 * links: queue/notice/dsn.c queue/notice/dsn_text.c queue/notice/dsn_words.c
 */
#include <stdlib.h>
#include "notice/dsn.h"
#include "test.h"

static const struct dsn_rcpt plain = { .addr = "bob@example.net", .orig = "", .orcpt = "", .action = DSN_FAILED, .status = "5.1.1",
    .code = 550, .text = "5.1.1 No such user", .relay = "mx.example.net[192.0.2.1]:25", .when = 1795302540000 };

static struct dsn
base(const struct dsn_rcpt *r, uint32_t n)
{
	static const char body[] = "Subject: hi\r\nMessage-ID: <1@x>\r\n\r\nbody\r\n";

	return (struct dsn){ .hostname = "mx.test", .to = "alice@test", .id = "ID2", .parent = "ID1", .boundary = "=_b", .now = 1795302540000,
	    .arrival = 1795302500000, .envid = "", .message_id = "<1@x>", .size = sizeof(body) - 1,
	    .returned = { (const uint8_t *)body, sizeof(body) - 1 }, .rcpts = r, .nrcpt = n };
}

static const char *
written(const struct dsn *d)
{
	static struct buf b;

	buf_reset(&b, SIZE_MAX);
	dsn_write(&b, d);
	return buf_str(&b);
}

static bool
has(const char *text, const char *what)
{
	return strstr(text, what) != NULL;
}

static unsigned
times(const char *text, const char *what)
{
	unsigned n = 0;

	while ((text = strstr(text, what)) != NULL) {
		text += strlen(what);
		n++;
	}
	return n;
}

/* Every line ends with CRLF and is at most 998 octets; no CR, LF or NUL stands alone. */
static bool
well_formed(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++) {
		if (*s == '\r') {
			if (s[1] != '\n' || n > 998)
				return false;
			s++;
			n = 0;
		} else if (*s == '\n')
			return false;
		else
			n++;
	}
	return n == 0;
}

static void
failure(void)
{
	struct dsn d = base(&plain, 1);
	const char *s = written(&d);

	TEST(well_formed(s));
	TEST(has(s, "From: Mail Delivery System <MAILER-DAEMON@mx.test>\r\n"));
	TEST(has(s, "To: <alice@test>\r\n"));
	TEST(has(s, "Auto-Submitted: auto-replied\r\n"));
	TEST(has(s, "Content-Type: multipart/report; report-type=delivery-status;"));
	TEST(has(s, "Reporting-MTA: dns; mx.test\r\n"));
	TEST(has(s, "Final-Recipient: rfc822;bob@example.net\r\n"));
	TEST(has(s, "Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.example.net\r\n"));
	TEST(has(s, "Diagnostic-Code: smtp; 550 5.1.1 No such user\r\n"));
	TEST(has(s, "The server mx.example.net[192.0.2.1] said:\r\n      550 5.1.1 No such user\r\n"));
	TEST(has(s, "Content-Type: message/rfc822\r\n\r\nSubject: hi\r\n"));
	TEST(has(s, "\r\n\r\nbody\r\n\r\n--=_b--\r\n"));
	TEST(!has(s, "Original-Recipient") && !has(s, "Original-Envelope-Id"));
	TEST_INT(times(s, "\r\n--=_b"), 4);
}

static void
parameters(void)
{
	struct dsn_rcpt r = plain;
	struct dsn d = base(&r, 1);
	const char *s;

	r.orcpt = "rfc822;b+2Bc@example.org";	/* decoded once, by the listener */
	d.envid = "QQ+2B1";
	d.headers_only = true;
	s = written(&d);
	TEST(has(s, "Original-Recipient: rfc822;b+2Bc@example.org\r\n"));
	TEST(has(s, "Original-Envelope-Id: QQ+2B1\r\n"));
	TEST(has(s, "Content-Type: text/rfc822-headers\r\n"));
	TEST(!has(s, "body\r\n"));
	r.action = DSN_RELAYED;
	r.relay = "maildir";
	s = written(&d);
	TEST(has(s, "Action: relayed\r\n"));
	TEST(!has(s, "Remote-MTA") && !has(s, "Diagnostic-Code"));
	d.postmaster = true;
	TEST(has(written(&d), "Subject: Postmaster: "));
}

/* What has no blank is not folded; what has, there alone. */
static void
long_values(void)
{
	static const char id[] = "<DB7PR04MB12345678901234567890ABCDEF0123456789@DB7PR04MB1234.eurprd04.prod.outlook.com>";
	static const char envid[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb c";
	struct dsn_rcpt r = plain;
	struct dsn d = base(&r, 1);
	const char *s;

	d.message_id = id;
	d.envid = envid;
	r.addr = "r550-5-1-1-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.far.test";
	s = written(&d);
	TEST(well_formed(s));
	TEST(has(s, "In-Reply-To: <DB7PR04MB12345678901234567890ABCDEF0123456789@DB7PR04MB1234.eurprd04.prod.outlook.com>\r\n"));
	TEST(has(s, "Original-Envelope-Id: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"
	    " bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb c\r\n"));
	TEST(has(s, "rfc822;r550-5-1-1-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.far.test\r\n"));
}

/* Nothing is said that did not happen. */
static void
truth(void)
{
	struct dsn_rcpt r = plain;
	struct dsn d = base(&r, 1);
	const char *s;

	r.expired = true;
	r.tried = false;
	r.code = 0;
	r.text = r.relay = r.status = "";
	s = written(&d);
	TEST(has(s, "It was given up before it was tried.\r\n") && has(s, "Status: 4.4.7\r\n"));
	TEST(!has(s, "What happened") && !has(s, "Diagnostic-Code"));
	r = plain;
	r.code = 0;
	r.status = "5.0.0";
	r.text = "5.0.0 returned by the administrator; the last attempt ended with: 450 4.7.1 slow down";
	s = written(&d);
	TEST(has(s, "What happened: the administrator of this mail system returned it.") && has(s, "Diagnostic-Code: X-Postern; 5.0.0 returned"));
	r = plain;
	r.action = DSN_DELAYED;
	TEST(!has(written(&d), "you are told if it is given up"));
	r.told = true;
	TEST(has(written(&d), "you are told if it is given up"));
	r.action = DSN_DELIVERED;
	r.discarded = true;
	TEST(has(written(&d), "thrown away by a rule") && !has(written(&d), "mailbox."));
}

static void
actions(void)
{
	static const struct { enum dsn_action action; const char *status, *field, *words; } v[] = {
		{ DSN_DELAYED, "4.4.1", "Action: delayed\r\nStatus: 4.4.1\r\n", "could not be delivered to the recipients below YET" },
		{ DSN_DELAYED, "5.4.1", "Action: delayed\r\nStatus: 4.0.0\r\n", "it is still being tried" },
		{ DSN_DELIVERED, "2.1.5", "Action: delivered\r\nStatus: 2.1.5\r\n", "was delivered to the mailbox" },
		{ DSN_RELAYED, "", "Action: relayed\r\nStatus: 2.0.0\r\n", "may not tell" },
		{ DSN_EXPANDED, "2.0.0", "Action: expanded\r\nStatus: 2.0.0\r\n", "the addresses that it stands for" },
		{ DSN_FAILED, "nonsense", "Action: failed\r\nStatus: 5.0.0\r\n", "will not" },
	};
	struct dsn_rcpt r;
	struct dsn d = base(&r, 1);
	const char *s;
	size_t i;

	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		r = plain;
		r.action = v[i].action;
		r.status = v[i].status;
		r.until = 1795302540000;
		s = written(&d);
		TEST(well_formed(s) && has(s, v[i].field) && has(s, v[i].words));
		TEST_INT(has(s, "\r\nWill-Retry-Until: Sat, 21 Nov 2026 23:09:00 +0000\r\n"), v[i].action == DSN_DELAYED);
		TEST_INT(has(s, "Diagnostic-Code: "), v[i].action == DSN_DELAYED || v[i].action == DSN_FAILED);
	}
	r = plain;
	r.expired = true;
	r.code = 0;
	r.status = "4.4.1";
	r.text = "4.4.1 connection refused";
	s = written(&d);
	TEST(has(s, "Status: 4.4.7\r\n") && has(s, "X-Postern; 4.4.1 connection refused"));
	TEST(has(s, "no mail server of the recipient's domain could be") && has(s, "The last server tried was mx.example.net[192.0.2.1]:"));
}

/* RFC 6533: "\x{E9}" in ASCII reports, the letter itself in the others; 8-bit words of a server do not make it another report. */
static void
international(void)
{
	struct dsn_rcpt r = plain;
	struct dsn d = base(&r, 1);
	const char *s;

	r.addr = "bad\xc3\xa9@far.test";
	r.orcpt = "utf-8;o\\x{E9}@far.test";
	s = written(&d);
	TEST(has(s, "Final-Recipient: utf-8;bad\\x{E9}@far.test\r\n"));
	TEST(has(s, "Original-Recipient: utf-8;o\\x{E9}@far.test\r\n"));
	d.utf8 = true;
	s = written(&d);
	TEST(has(s, "Final-Recipient: utf-8;bad\xc3\xa9@far.test\r\n"));
	TEST(has(s, "Original-Recipient: utf-8;o\xc3\xa9@far.test\r\n"));
	r = plain;
	r.text = "5.1.1 inconnu \xc3\xa9";
	d.utf8 = false;
	s = written(&d);
	TEST(has(s, "text/plain; charset=utf-8") && has(s, "550 5.1.1 inconnu \xc3\xa9") && has(s, "message/delivery-status"));
	TEST(has(s, "Diagnostic-Code: smtp; 550 5.1.1 inconnu ??\r\n"));
}

/* Replies and addresses with line ends, boundaries, controls and endless length. */
static void
hostile(void)
{
	static const char *const bad[] = {
		"x\r\nAction: delivered\r\n", "x\r\n\r\n--=_b--\r\n", "\n.\nMAIL FROM:<>\n", "\x01\x02\x1b[2J", "\xff\xfe\x80", "--=_b", ""
	};
	static char huge[20000];
	struct dsn_rcpt r;
	struct dsn d = base(&r, 1);
	const char *s;
	size_t i;

	memset(huge, 'w', sizeof(huge) - 1);
	for (i = 0; i <= sizeof(bad) / sizeof(bad[0]); i++) {
		const char *t = i < sizeof(bad) / sizeof(bad[0]) ? bad[i] : huge;

		r = plain;
		r.addr = r.orig = r.orcpt = r.text = r.relay = t;
		d.envid = d.message_id = d.to = t;
		s = written(&d);
		TEST(well_formed(s));
		TEST_INT(times(s, "\r\n--=_b"), 4);
		TEST_INT(times(s, "\r\nAction: "), 1);
		TEST(strlen(s) < 20000);
	}
}

static void
headers(void)
{
	static const struct { const char *text; size_t n; } v[] = {
		{ "A: b\r\n\r\nbody", 8 }, { "A: b\r\nC: d\r\n", 12 }, { "A: b\r\nC: half", 6 }, { "", 0 }, { "\r\nbody", 2 }, { "no line", 0 },
	};
	size_t i;

	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		TEST_INT(dsn_header_len((struct blob){ (const uint8_t *)v[i].text, strlen(v[i].text) }), v[i].n);
}

static void
not_all_listed(void)
{
	struct dsn d = base(&plain, 1);

	TEST(!has(written(&d), "not listed here"));
	d.more = 499000;
	TEST(well_formed(written(&d)));
	TEST(has(written(&d), "\r\n  ... and 499000 more recipients, who are not listed here.\r\n"));
}

static void
dates(void)
{
	char s[64];

	dsn_date(s, sizeof(s), 1795302540761);
	TEST_STR(s, "Sat, 21 Nov 2026 23:09:00 +0000");
	dsn_date(s, sizeof(s), 0);
	TEST_STR(s, "Thu, 01 Jan 1970 00:00:00 +0000");
}

int
main(void)
{
	failure();
	parameters();
	actions();
	long_values();
	truth();
	international();
	hostile();
	headers();
	not_all_listed();
	dates();
	return test_end("test_dsn");
}
