/* links: */
/*
 * fuzz_line: message data and bodyscan. The first byte chooses how the bytes are split.
 * Only CRLF.CRLF ends the data, found by a search in the whole text; a split anywhere changes nothing; what is accepted has CRLF
 * line ends alone, and stuffed again and sent on it ends where it should: nothing in it is a command to the next server.
 * What is called bulk has a field that says so in its header.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "mail/bodyscan.h"
#include "mail/line.h"
#include "proc/msg.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check(bool ok)
{
	if (!ok)
		abort();
}

struct result {
	struct buf	out;
	size_t		used;
	unsigned	bad;
	bool		end;
};

static struct result
feed(const uint8_t *in, size_t n, bool normalise, bool bdat, size_t piece)
{
	struct result r = { BUF_INIT, 0, 0, false };
	struct datard d;

	datard_init(&d, 2000, 200, normalise ? DATA_BARE_CR | DATA_BARE_LF | DATA_LONE_DOT : 0, bdat);
	while (r.used < n && !r.end) {
		size_t k = piece == 0 || piece > n - r.used ? n - r.used : piece;
		size_t took = datard_feed(&d, in + r.used, k, &r.out, &r.end);

		check(r.end ? took <= k && took > 0 : took == k);
		r.used += took;
	}
	if (bdat)
		datard_finish(&d, &r.out);
	r.bad = d.bad;
	check(r.out.len <= 2000 && (r.bad != 0 || r.out.len == d.total));
	return r;
}

static bool
same(const struct result *a, const struct result *b)
{
	if (a->used != b->used || a->end != b->end || a->bad != b->bad)
		return false;
	if (a->bad != 0 || (a->out.len == 0 && b->out.len == 0))
		return true;
	return a->out.len == b->out.len && memcmp(buf_data(&a->out), buf_data(&b->out), a->out.len) == 0;
}

/* The end as RFC 5321 has it: the first CRLF.CRLF, the CRLF of the DATA command included. */
static size_t
true_end(const uint8_t *in, size_t n, bool *end)
{
	const uint8_t *p;

	if (n >= 3 && memcmp(in, ".\r\n", 3) == 0) {
		*end = true;
		return 3;
	}
	p = memmem(in, n, "\r\n.\r\n", 5);
	*end = p != NULL;
	return p != NULL ? (size_t)(p - in) + 5 : n;
}

/* Whole bytes of a message that may go out: no bare CR or LF, and its own end when stuffed. */
static void
send_on(const struct result *r)
{
	struct buf wire = BUF_INIT;
	struct result next;
	const uint8_t *p = r->out.len > 0 ? buf_data(&r->out) : NULL;

	for (size_t i = 0; i < r->out.len; i++) {
		if (p[i] == '.' && (i == 0 || p[i - 1] == '\n'))
			buf_adds(&wire, ".");
		buf_add(&wire, p + i, 1);
		check(p[i] != '\n' || (i > 0 && p[i - 1] == '\r'));
		check(p[i] != '\r' || (i + 1 < r->out.len && p[i + 1] == '\n'));
		check(p[i] != '\0');
	}
	buf_adds(&wire, ".\r\n");
	next = feed(buf_data(&wire), wire.len, false, false, 0);
	check(next.end && next.used == wire.len && next.bad == 0 && next.out.len == r->out.len);
	check(r->out.len == 0 || memcmp(buf_data(&next.out), p, r->out.len) == 0);
	buf_free(&next.out);
	buf_free(&wire);
}

static void
data(const uint8_t *in, size_t n, bool normalise, bool bdat, size_t piece)
{
	struct result r = feed(in, n, normalise, bdat, 0), s;
	bool end = false;
	size_t used = bdat ? n : true_end(in, n, &end);

	check(r.end == end && r.used == used);
	if (normalise)
		check((r.bad & (DATA_BARE_CR | DATA_BARE_LF)) == 0);
	if (r.end && r.bad == 0)
		send_on(&r);
	s = feed(in, n, normalise, bdat, 1);
	check(same(&r, &s));
	buf_free(&s.out);
	s = feed(in, n, normalise, bdat, piece);
	check(same(&r, &s));
	buf_free(&s.out);
	buf_free(&r.out);
}

static void
scan(struct bodyscan *b, const uint8_t *in, size_t n, size_t piece)
{
	bodyscan_init(b);
	for (size_t at = 0, k; at < n; at += k) {
		k = piece == 0 || piece > n - at ? n - at : piece;
		bodyscan_feed(b, in + at, k);
	}
	bodyscan_end(b);
}

/* A line of the header, and no other, begins with one of the names. */
static bool
names_bulk(const uint8_t *in, size_t n)
{
	static const char *const names[] = { "precedence", "list-id", "list-unsubscribe", "feedback-id" };
	const char *p = (const char *)in, *e = p + n, *lf;

	for (; p < e && *p != '\n' && (*p != '\r' || p + 1 == e || p[1] != '\n'); p = lf + 1) {
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (strlen(names[i]) <= (size_t)(e - p) && strncasecmp(p, names[i], strlen(names[i])) == 0)
				return true;
		if ((lf = memchr(p, '\n', (size_t)(e - p))) == NULL)
			break;
	}
	return false;
}

static void
facts(const uint8_t *in, size_t n, size_t piece)
{
	struct bodyscan a, b;

	scan(&a, in, n, 0);
	scan(&b, in, n, piece);
	check(a.flags == b.flags && a.nul == b.nul && a.bare == b.bare && a.hops == b.hops && a.header_len == b.header_len);
	check(a.total == n && b.total == n && a.header_len <= n && strcmp(a.message_id, b.message_id) == 0);
	/* These the outbound side relies on. */
	if ((a.flags & MAIL_DOT) == 0)
		check((n == 0 || in[0] != '.') && memmem(in, n, "\n.", 2) == NULL && memmem(in, n, "\r.", 2) == NULL);
	check((a.flags & MAIL_NO_EOL) || n == 0 || (n > 1 && in[n - 1] == '\n' && in[n - 2] == '\r'));
	check((a.flags & MAIL_BULK) == 0 || names_bulk(in, n));
	check(a.nul == (n > 0 && memchr(in, '\0', n) != NULL));
}

int
LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	struct buf b = BUF_INIT;
	size_t next, piece;
	bool bare;
	long len;

	if (n == 0 || n > 4000)
		return 0;
	piece = 1 + in[0] % 32;
	in++;
	n--;
	for (unsigned mode = 0; mode < 4; mode++)
		data(in, n, (mode & 1) != 0, (mode & 2) != 0, piece);
	facts(in, n, piece);
	facts(in, n, 1);
	buf_add(&b, in, n);
	len = line_command(&b, &next, &bare);
	check((len >= 0) == (n > 0 && memchr(in, '\n', n) != NULL));
	check(len < 0 || (next == (size_t)len + (bare ? 1 : 2) && next <= n));
	buf_free(&b);
	return 0;
}
