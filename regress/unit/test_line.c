/* links: */
/*
 * test_line: command lines; DATA and BDAT in every smuggling variant, whole and split at every byte,
    against a naive model;
 * the facts of bodyscan.
 */
#include <stdlib.h>
#include "mail/bodyscan.h"
#include "mail/line.h"
#include "proc/msg.h"
#include "test.h"

#define EACH(i, array) for (size_t i = 0; i < sizeof (array) / sizeof (array)[0]; i++)

/* ---- command lines ---- */

static void
test_command(void)
{
	static const struct { const char *in; long len; size_t next; bool bare; } rows[] = {
		{ "", -1, 0, false }, { "NOOP", -1, 0, false }, { "NOOP\r", -1, 0, false }, { "\r\n", 0, 2, false },
		{ "\n", 0, 1, true },
		{ "NOOP\r\n", 4, 6, false }, { "NOOP\n", 4, 5, true }, { "NOOP\r\nRSET\r\n", 4, 6, false },
		{ "a\rb\r\n", 3, 5, false },
		{ "a\r\r\n", 2, 4, false }, { "a\nb\r\n", 1, 2, true },
	};
	struct buf b = BUF_INIT;
	size_t next = 0;
	bool bare;

	EACH(i, rows) {
		buf_adds(&b, rows[i].in);
		TEST_INT(line_command(&b, &next, &bare), rows[i].len);
		if (rows[i].len >= 0)
			TEST(next == rows[i].next && bare == rows[i].bare);
		buf_reset(&b, 1000);
	}
	buf_add(&b, "A\0B\r\n", 5);
	TEST_INT(line_command(&b, &next, &bare), 3);
	buf_free(&b);
}

/* ---- message data ---- */

struct result {
	char		out[256];
	size_t		out_len, used;
	unsigned	bad;
	bool		end;
};

#define LINE_MAX_HERE	1000
#define MAX_HERE	200

/* Feeds pieces of these sizes in turn (0: all that is left),
    each from storage of its own so that a read past it is seen. */
static struct result
feed(const char *in, size_t n, bool normalise, bool bdat, size_t first, size_t then)
{
	struct result r = { .used = 0 };
	struct datard d;
	struct buf out = BUF_INIT;

	datard_init(&d, MAX_HERE, LINE_MAX_HERE, normalise ? DATA_BARE_CR | DATA_BARE_LF | DATA_LONE_DOT : 0, bdat);
	for (size_t size = first; r.used < n && !r.end; size = then) {
		size_t left = n - r.used, k = size == 0 || size > left ? left : size, took;
		uint8_t *piece = malloc(k);

		memcpy(piece, in + r.used, k);
		took = datard_feed(&d, piece, k, &out, &r.end);
		free(piece);
		if (!r.end && took != k)
			TEST_INT(took, k);
		r.used += took;
	}
	if (bdat)
		datard_finish(&d, &out);
	r.bad = d.bad;
	if (r.bad == 0) {
		if (out.len != d.total || out.len >= sizeof r.out)
			TEST(out.len == d.total && out.len < sizeof r.out);
		r.out_len = out.len;
		if (out.len > 0)
			memcpy(r.out, buf_data(&out), out.len);
	}
	buf_free(&out);
	return r;
}

/* The model: RFC 5321 as a search in the whole text, behind the CRLF of the DATA command. */
static struct result
model(const char *in, size_t n)
{
	struct result r = { .used = n };
	char s[260] = "\r\n";
	const char *end;
	size_t i, bytes;

	memcpy(s + 2, in, n);
	n += 2;
	end = memmem(s, n, "\r\n.\r\n", 5);
	r.end = end != NULL;
	bytes = n;
	if (r.end) {
		r.used = (size_t)(end - s) + 5 - 2;
		bytes = (size_t)(end - s) + 2;
	}
	for (i = 2; i < bytes; i++) {
		bool crlf_before = s[i - 2] == '\r' && s[i - 1] == '\n';

		if (s[i] == '\r' && i + 1 < n && s[i + 1] != '\n')
			r.bad |= DATA_BARE_CR;
		if (s[i] == '\n' && s[i - 1] != '\r')
			r.bad |= DATA_BARE_LF;
		if (s[i] == '\0')
			r.bad |= DATA_NUL;
		if (!(crlf_before && s[i] == '.'))
			r.out[r.out_len++] = s[i];
	}
	return r;
}

static void
show(const char *in, size_t n)
{
	fprintf(stderr, "\tinput:");
	for (size_t i = 0; i < n; i++)
		fprintf(stderr, " %02x", (unsigned char)in[i]);
	fprintf(stderr, "\n");
}

static bool
same(const struct result *a, const struct result *b)
{
	return a->used == b->used && a->end == b->end && a->bad == b->bad && a->out_len == b->out_len &&
	    memcmp(a->out, b->out, a->out_len) == 0;
}

static bool
crlf_only(const struct result *r)
{
	for (size_t i = 0; i < r->out_len; i++) {
		if (r->out[i] == '\n' && (i == 0 || r->out[i - 1] != '\r'))
			return false;
		if (r->out[i] == '\r' && (i + 1 == r->out_len || r->out[i + 1] != '\n'))
			return false;
	}
	return true;
}

/* Everything that must hold for an input, however it is split. */
static void
check_data(const char *in, size_t n)
{
	struct result m = model(in, n), r = feed(in, n, false, false, 0, 0), norm = feed(in, n, true, false, 0, 0), s;
	bool ok;

	ok = r.end == m.end && r.used == m.used && r.bad == m.bad;
	/* Without an end the last bytes may still be held back, so the text is compared when it is complete. */
	if (m.end && m.bad == 0)
		ok = ok && r.out_len == m.out_len && memcmp(r.out, m.out, m.out_len) == 0;
	/* Normalising changes what is stored, never where the data ends. */
	ok = ok && norm.end == m.end && norm.used == m.used && (norm.bad & ~(unsigned)DATA_NUL) == 0 && crlf_only(&norm);
	if (m.end && m.bad == 0)
		ok = ok && same(&r, &norm);
	for (size_t first = 1; first < n; first++) {
		s = feed(in, n, false, false, first, 0);
		ok = ok && same(&s, &r);
		s = feed(in, n, true, false, first, 0);
		ok = ok && same(&s, &norm);
	}
	s = feed(in, n, false, false, 1, 1);
	ok = ok && same(&s, &r);
	s = feed(in, n, true, false, 1, 1);
	ok = ok && same(&s, &norm);
	if (!TEST(ok))
		show(in, n);
}

/* Every text of up to 7 bytes over these five, and every such text of 6 between two lines. */
static void
test_exhaustive(void)
{
	static const char alphabet[] = { '\r', '\n', '.', 'a', '\0' };
	char in[32];

	for (size_t n = 0, count = 1; n <= 7; n++, count *= sizeof alphabet)
		for (size_t k = 0; k < count; k++) {
			for (size_t i = 0, x = k; i < n; i++, x /= sizeof alphabet)
				in[i] = alphabet[x % sizeof alphabet];
			check_data(in, n);
		}
	for (size_t k = 0; k < 4 * 4 * 4 * 4 * 4 * 4; k++) {
		in[0] = 'x';
		for (size_t i = 0, x = k; i < 6; i++, x /= 4)
			in[i + 1] = alphabet[x % 4];
		memcpy(in + 7, "\r\nMAIL\r\n.\r\n", 11);
		check_data(in, 18);
	}
}

/* A hidden second transaction behind each false end must be text of the first. */
static void
test_smuggling(void)
{
	static const struct { const char *end; size_t n; } ends[] = {
#define E(s) { s, sizeof s - 1 }
		E("\n.\n"), E("\n.\r\n"), E("\r\n.\n"), E("\r.\r"), E("\r.\r\n"), E("\r\n.\r"), E("\n.\r"),
		    E("\r.\n"), E("\r\n\0.\r\n"), E("\r\n.\0\r\n"),
		E("\r\n.\r\0\n"), E("\r\0\n.\r\n"), E("\0\n.\r\n"), E("\r\n.\r\r"), E("\r\n.\r\r\n"), E("\r\r.\r\n"),
		    E("\n\n.\r\n"), E("\n\r.\r\n"),
		E("\r\n..\r\n"), E("\r\n. \r\n"), E("\r\n .\r\n"), E("\r\n.\v\r\n"), E("\r\n.\n.\r"), E("\x85.\x85"),
	};
	static const char tail[] = "MAIL FROM:<a@b>\r\nDATA\r\n\r\n.\r\nQUIT\r\n";
	char in[120];

	EACH(i, ends) {
		size_t n = 1, used;
		struct result r;

		in[0] = 'x';
		memcpy(in + n, ends[i].end, ends[i].n);
		n += ends[i].n;
		memcpy(in + n, tail, sizeof tail - 1);
		used = n + sizeof tail - 1 - 6;		/* all but QUIT */
		n += sizeof tail - 1;
		check_data(in, n);
		r = feed(in, n, false, false, 0, 0);
		TEST(r.end && r.used == used);
		r = feed(in, n, true, false, 0, 0);
		TEST(r.end && r.used == used);
	}
}

struct row {
	const char	*in, *strict, *normalised;	/* message, NULL: bad */
};

static void
test_texts(void)
{
	static const struct row rows[] = {
		{ ".\r\n", "", "" }, { "\r\n.\r\n", "\r\n", "\r\n" }, { "a\r\n.\r\nX", "a\r\n", "a\r\n" },
		{ "..\r\n.\r\n", ".\r\n", ".\r\n" },
		{ "..a\r\n...\r\n.\r\n", ".a\r\n..\r\n", ".a\r\n..\r\n" }, { ".a\r\n.\r\n", "a\r\n", "a\r\n" },
		{ "a.\r\n.\r\n", "a.\r\n", "a.\r\n" },
		{ "a\n.\r\n.\r\n", NULL, "a\r\n.\r\n" }, { "a\n..b\r\n.\r\n", NULL, "a\r\n.b\r\n" },
		{ "a\rb\r\n.\r\n", NULL, "a\r\nb\r\n" },
		{ "a\nb\r\n.\r\n", NULL, "a\r\nb\r\n" }, { "a\r\r\n.\r\n", NULL, "a\r\n\r\n" },
		{ "a\r\n.\nb\r\n.\r\n", NULL, "a\r\n.\r\nb\r\n" },
		{ "a\r\n.\rb\r\n.\r\n", NULL, "a\r\n.\r\nb\r\n" }, { "a\r.\rb\r\n.\r\n", NULL, "a\r\n.\r\nb\r\n" },
		{ "a\n.\nb\r\n.\r\n", NULL, "a\r\n.\r\nb\r\n" },
		{ "\n.\r\n.\r\n", NULL, "\r\n.\r\n" },
	};

	EACH(i, rows) {
		size_t n = strlen(rows[i].in);
		struct result r = feed(rows[i].in, n, false, false, 0, 0);

		TEST(r.end && (r.bad != 0) == (rows[i].strict == NULL));
		if (rows[i].strict != NULL)
			TEST_STR(r.out, rows[i].strict);
		r = feed(rows[i].in, n, true, false, 1, 1);
		TEST(r.end && r.bad == 0);
		TEST_STR(r.out, rows[i].normalised);
	}
}

static void
test_bdat(void)
{
	static const struct { const char *in, *strict, *normalised; } rows[] = {
		{ "", "", "" }, { ".\r\n", ".\r\n", ".\r\n" }, { "..a\r\n.\r\nb", "..a\r\n.\r\nb", "..a\r\n.\r\nb" },
		{ "a\r\n.\r\n.\r\n", "a\r\n.\r\n.\r\n", "a\r\n.\r\n.\r\n" },
		{ "a\r", NULL, "a\r\n" }, { "a\n.b", NULL, "a\r\n.b" }, { "\r\r", NULL, "\r\n\r\n" },
	};

	EACH(i, rows) {
		size_t n = strlen(rows[i].in);

		for (size_t size = 0; size < 4; size++) {
			struct result r = feed(rows[i].in, n, false, true, size, size);

			TEST(!r.end && r.used == n && (r.bad != 0) == (rows[i].strict == NULL));
			if (rows[i].strict != NULL)
				TEST_STR(r.out, rows[i].strict);
			r = feed(rows[i].in, n, true, true, size, size);
			TEST(!r.end && r.bad == 0);
			TEST_STR(r.out, rows[i].normalised);
		}
	}
}

static void
test_limits(void)
{
	char *in = malloc(5000);
	struct datard d;
	struct buf out = BUF_INIT;
	bool end;

	/* The longest line, and one byte more; a line is what is between CRLFs, across calls too. */
	for (size_t n = 998; n <= 1003; n++)
		for (size_t cut = 0; cut < 2; cut++) {
			memset(in, 'x', n);
			memcpy(in + n, "\r\n.\r\n", 5);
			datard_init(&d, 1 << 20, LINE_MAX_HERE, false, false);
			if (cut)
				TEST_INT(datard_feed(&d, (uint8_t *)in, 600, &out, &end), 600);
			TEST_INT(datard_feed(&d, (uint8_t *)in + 600 * cut, n + 5 - 600 * cut, &out, &end),
			    n + 5 - 600 * cut);
			TEST(end && d.bad == (n > LINE_MAX_HERE ? DATA_LONG : 0));
			buf_reset(&out, 0);
		}
	/* A dot that is taken off does not count. */
	memset(in, 'x', 1001);
	in[0] = '.';
	memcpy(in + 1001, "\r\n.\r\n", 5);
	datard_init(&d, 1002, LINE_MAX_HERE, false, false);
	TEST_INT(datard_feed(&d, (uint8_t *)in, 1006, &out, &end), 1006);
	TEST(end && d.bad == 0 && d.total == 1002 && out.len == 1002);
	buf_reset(&out, 0);
	/* Too large: consumed to its end, memory flat. */
	datard_init(&d, 100, 1 << 30, false, false);
	memset(in, 'y', 5000);
	for (int i = 0; i < 2000; i++)
		if (datard_feed(&d, (uint8_t *)in, 5000, &out, &end) != 5000 || end)
			TEST(!"all of it is taken");
	TEST(d.bad == DATA_BIG && out.len == 0 && d.total == 10000000);
	TEST_INT(datard_feed(&d, (const uint8_t *)"\r\n.\r\nNOOP", 9, &out, &end), 5);
	TEST(end && out.len == 0);
	/* max bytes exactly is not too large. */
	datard_init(&d, 3, 100, false, false);
	TEST_INT(datard_feed(&d, (const uint8_t *)"a\r\n.\r\n", 6, &out, &end), 6);
	TEST(end && d.bad == 0 && out.len == 3);
	datard_init(&d, 2, 100, false, false);
	TEST_INT(datard_feed(&d, (const uint8_t *)"a\r\n.\r\n", 6, &out, &end), 6);
	TEST(end && d.bad == DATA_BIG);
	TEST_INT(datard_feed(&d, (const uint8_t *)"", 0, &out, &end), 0);
	TEST(!end);
	buf_free(&out);
	free(in);
}

/* ---- bodyscan ---- */

static struct bodyscan
scan(const char *in, size_t n, size_t size)
{
	struct bodyscan b;

	bodyscan_init(&b);
	for (size_t at = 0, k; at < n; at += k) {
		uint8_t *piece;

		k = size == 0 || size > n - at ? n - at : size;
		piece = malloc(k);
		memcpy(piece, in + at, k);
		bodyscan_feed(&b, piece, k);
		free(piece);
	}
	bodyscan_end(&b);
	return b;
}

static void
check_scan(const char *in, size_t n, unsigned flags, bool bare, unsigned hops, const char *id, size_t header_len)
{
	for (size_t size = 0; size < 9; size++) {
		struct bodyscan b = scan(in, n, size);
		bool ok = TEST_INT(b.flags, flags);

		ok = TEST_INT(b.bare, bare) && ok;
		ok = TEST_INT(b.hops, hops) && ok;
		ok = TEST_STR(b.message_id, id) && ok;
		ok = TEST_INT(b.header_len, header_len) && ok;
		TEST_INT(b.total, n);
		if (!ok) {
			fprintf(stderr, "\tin pieces of %zu: %s\n", size, in);
			return;
		}
	}
}

static void
test_scan(void)
{
	static const struct {
		const char	*in;
		unsigned	 flags;
		bool		 bare;
		unsigned	 hops;
		const char	*id;
		size_t		 header_len;
	} rows[] = {
		{ "", 0, false, 0, "", 0 },
		{ "\r\n", 0, false, 0, "", 2 },
		{ "a", MAIL_NO_EOL, false, 0, "", 0 },
		{ "a\r", MAIL_NO_EOL, true, 0, "", 0 },
		{ "a\n", MAIL_NO_EOL, true, 0, "", 0 },
		{ "A: b\r\n\r\nc\r\n", 0, false, 0, "", 8 },
		{ "A: b\n\nc\n", MAIL_NO_EOL, true, 0, "", 6 },
		{ "Received: x\r\nRECEIVED: y\r\nreceived : z\r\nReceived-SPF: no\r\nX-Received: no\r\n Received: fold\r\n\r\n"
		  "Received: body\r\n", 0, false, 3, "", 93 },
		{ "Received: a\r\nReceived: b", MAIL_NO_EOL, false, 2, "", 0 },
		{ "Received", MAIL_NO_EOL, false, 0, "", 0 },
		{ "Message-ID: <a@b>\r\n\r\n", 0, false, 0, "<a@b>", 21 },
		{ "message-id:\r\n\t<long.one@b>\r\nMessage-ID: <second@c>\r\n\r\n", 0, false, 0, "<long.one@b>", 54 },
		{ "Message-ID: a@b\r\n\r\n", 0, false, 0, "", 19 },
		{ "Message-ID: <a b>\r\n\r\n", 0, false, 0, "", 21 },
		{ "Message-ID: <a\001b>\r\n\r\n", 0, false, 0, "", 21 },
		{ "Message-ID: <a@b\r\n\r\n", 0, false, 0, "", 20 },
		{ "Message-ID : (c) <a@b> x\r\n\r\n", 0, false, 0, "<a@b>", 28 },
		{ "Message-IDX: <a@b>\r\n\r\nMessage-ID: <c@d>\r\n", 0, false, 0, "", 22 },
		{ "A: b\r\n\r\n.\r\n", MAIL_DOT, false, 0, "", 8 },
		{ ".A: b\r\n\r\n", MAIL_DOT, false, 0, "", 9 },
		{ "A: b\r\n\r\nx\n.y\r\n", MAIL_DOT, true, 0, "", 8 },
		{ "A: b\r\n\r\nx\r.y\r\n", MAIL_DOT, true, 0, "", 8 },
		{ "A: b\r\n\r\nx.y\r\n", 0, false, 0, "", 8 },
		{ "A: b\r\n\r\nx\r\ry\r\n", 0, true, 0, "", 8 },
		{ "A: b\r\n\r\nx\r\r\n", 0, true, 0, "", 8 },
		{ "A: \xc3\xbc\r\n\r\n", MAIL_8BIT | MAIL_UTF8HDR, false, 0, "", 9 },
		{ "A: b\r\n\r\n\xc3\xbc\r\n", MAIL_8BIT, false, 0, "", 8 },
		{ "Message-ID: <\xc3\xbc@b>\r\n\r\n", MAIL_8BIT | MAIL_UTF8HDR, false, 0, "<\xc3\xbc@b>", 22 },
		{ "Message-ID: <\xff@b>\r\n\r\n", MAIL_8BIT | MAIL_UTF8HDR, false, 0, "", 21 },
	};
	struct bodyscan b;

	EACH(i, rows)
		check_scan(rows[i].in, strlen(rows[i].in), rows[i].flags, rows[i].bare, rows[i].hops, rows[i].id,
		    rows[i].header_len);
	b = scan("A: b\r\n\r\n\0\r\n", 11, 1);
	TEST(b.nul && b.flags == 0 && !b.bare);
	b = scan("A: b\r\n\r\nx\r\n", 11, 0);
	TEST(!b.nul);
}

/* Only the header says that mail is bulk. */
static void
test_scan_bulk(void)
{
	static const struct { const char *in; bool bulk; } rows[] = {
		{ "Precedence: bulk\r\n\r\n", true },
		{ "PRECEDENCE:LIST\r\n\r\n", true },
		{ "precedence :\tJunk \r\n\r\n", true },
		{ "Precedence:\r\n \r\n\tbulk\r\n\r\n", true },
		{ "Precedence: bulk (a list of ours)\r\n\r\n", true },
		{ "Precedence: bulk(x)\r\n\r\n", true },
		{ "Precedence: bulk", true },
		{ "Precedence: first-class\r\nPrecedence: bulk\r\n\r\n", true },
		{ "Precedence: first-class\r\n\r\n", false },
		{ "Precedence: bulkhead\r\n\r\n", false },
		{ "Precedence: bul\r\n k\r\n\r\n", false },
		{ "Precedence: not bulk\r\n\r\n", false },
		{ "Precedence:\r\n\r\n", false },
		{ "Precedence\r\n\r\n", false },
		{ "X-Precedence: bulk\r\n\r\n", false },
		{ "Precedence-X: bulk\r\n\r\n", false },
		{ "List-Id: <a.example.org>\r\n\r\n", true },
		{ "A: b\r\nLIST-ID:\r\n <a.example.org>\r\n\r\n", true },
		{ "list-unsubscribe: <mailto:off@example.org>\r\n\r\n", true },
		{ "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\n", false },
		{ "Feedback-Id: 1:2:3:x\r\n\r\n", true },
		{ "List-Idx: a\r\nX-List-Id: a\r\nList-Post: <mailto:x@y>\r\n\r\n", false },
		{ "Subject: x\r\n List-Id: a\r\n\r\n", false },
		{ " List-Id: a\r\n\r\n", false },
		{ "\r\nList-Id: a\r\n", false },
		{ "A: b\r\n\r\nPrecedence: bulk\r\nList-Id: a\r\n\r\n", false },
		{ "Content-Type: message/rfc822\r\n\r\nList-Id: a\r\nPrecedence: bulk\r\n\r\nx\r\n", false },
		{ "A: b\r\nDear all,\r\nPrecedence: bulk\r\nList-Id: a\r\n\r\n", false },
		{ "From x Sat Nov 21\r\nReceived: y\r\nList-Id: a\r\n\r\n", false },
		{ "List-Id: a\r\nDear all,\r\n\r\n", true },
	};
	struct bodyscan b;
	char in[400];

	EACH(i, rows)
		for (size_t size = 0; size < 9; size++) {
			b = scan(rows[i].in, strlen(rows[i].in), size);
			if (!TEST_INT(b.flags & ~MAIL_NO_EOL, rows[i].bulk ? MAIL_BULK : 0))
				fprintf(stderr, "\tin pieces of %zu: %s\n", size, rows[i].in);
		}
	/* What has no room in memory is not known, and never half a word. */
	for (size_t n = 0; n < 350; n++) {
		snprintf(in, sizeof(in), "Precedence:%*sbulkhead\r\n\r\n", (int)n, "");
		TEST_INT(scan(in, strlen(in), 7).flags, 0);
		snprintf(in, sizeof(in), "Precedence:%*sbulk\r\n\r\n", (int)n, "");
		TEST_INT(scan(in, strlen(in), 7).flags, n < 305 ? MAIL_BULK : 0);
	}
}

static void
test_scan_long(void)
{
	char *in = malloc(4000);

	for (size_t n = 990; n < 1010; n++)
		for (size_t header = 0; header < 2; header++) {
			size_t start = header ? 0 : 2;

			memcpy(in, "\r\n", 2);
			memset(in + start, 'x', n);
			memcpy(in + start + n, "\r\n", 2);
			TEST_INT(scan(in, start + n + 2, 0).flags, n > 998 ? MAIL_LONG : 0);
			TEST_INT(scan(in, start + n + 2, 7).flags, n > 998 ? MAIL_LONG : 0);
			TEST_INT(scan(in, start + n, 1).flags, MAIL_NO_EOL | (n > 998 ? MAIL_LONG : 0));
		}
	/* An 8-bit byte at any place of a block is seen. */
	for (size_t at = 0; at < 200; at++) {
		memset(in, 'x', 300);
		memcpy(in, "\r\n", 2);
		in[2 + at] = '\x80';
		TEST(scan(in, 300, 0).flags & MAIL_8BIT);
	}
	/* A Message-ID up to 255 bytes; a header line and field without bound. */
	for (size_t n = 240; n < 400; n++) {
		size_t len = 12;
		struct bodyscan b;

		memcpy(in, "Message-ID: ", 12);
		in[len++] = '<';
		memset(in + len, 'i', n - 2);
		len += n - 2;
		memcpy(in + len, ">\r\n\r\n", 5);
		b = scan(in, len + 5, 3);
		TEST_INT(strlen(b.message_id), n <= 255 ? n : 0);
		TEST_INT(b.header_len, len + 5);
	}
	free(in);
}

/* Bare LF alone is mended, as for programs of this host. */
static void
test_only_lf(void)
{
	static const struct { const char *in; unsigned bad; const char *out; } rows[] = {
		{ "a\nb\n\nc\r\n.\r\n", 0, "a\r\nb\r\n\r\nc\r\n" },
		{ "a\n..b\r\n..c\r\n.\r\n", 0, "a\r\n.b\r\n.c\r\n" },
		{ "a\n.\nb\r\n.\r\n", DATA_LONE_DOT, NULL }, { "a\n.\r\nb\r\n.\r\n", DATA_LONE_DOT, NULL },
		{ "a\r\n.\nb\r\n.\r\n", DATA_LONE_DOT, NULL }, { "a\rb\r\n.\r\n", DATA_BARE_CR, NULL },
	};
	struct buf out = BUF_INIT;
	struct datard d;
	size_t i;
	bool end;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		buf_reset(&out, 0);
		datard_init(&d, MAX_HERE, LINE_MAX_HERE, DATA_BARE_LF, false);
		TEST_INT(datard_feed(&d, (const uint8_t *)rows[i].in, strlen(rows[i].in), &out, &end), strlen(rows[i].in));
		TEST(end);
		TEST_INT(d.bad, rows[i].bad);
		if (rows[i].out != NULL)
			TEST_STR(buf_str(&out), rows[i].out);
	}
	buf_free(&out);
}

int
main(void)
{
	test_only_lf();
	test_command();
	test_texts();
	test_smuggling();
	test_exhaustive();
	test_bdat();
	test_limits();
	test_scan();
	test_scan_bulk();
	test_scan_long();
	return test_end("line");
}
