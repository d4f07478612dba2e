/*
 * convert: see convert.h. The message is taken to pieces by mime; the two ways of reading it are two sets of functions for its pieces.
 * Owns the encoders' state. Both readings number the parts alike, since they see the same bytes.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "mail/addr.h"
#include "client/convert.h"
#include "mail/mime.h"
#include "base/xmalloc.h"

/* What is done to a part. */
#define DO_QP		1
#define DO_BASE64	2
#define DO_7BIT		4	/* its label says 8bit, which is true no more */
#define DO_VERSION	8	/* MIME-Version is added */
#define DO_UTF8		16	/* a Content-Type is added, with this charset */
#define DO_UNKNOWN	32	/* likewise unknown-8bit (RFC 1428) */
#define DO_LABEL	(DO_QP | DO_BASE64 | DO_7BIT)

#define QP_LINE		75	/* and the "=" of a soft line break */
#define BASE64_LINE	76

struct convert {
	struct mime		 mime;
	struct convert_plan	*plan;
	struct buf		*out;
	/* reading: of the body of this part */
	uint64_t		 total, high;
	bool			 utf8;
	/* writing */
	unsigned		 deed;
	size_t			 column;
	uint8_t			 blank;		/* one that may be the last of its line; 0: none */
	bool			 cr;
	uint8_t			 triple[3];
	unsigned		 ntriple;
	struct buf		 words;		/* what becomes of a field, thrown away */
};

static uint64_t
count_high(const uint8_t *p, size_t n)
{
	uint64_t high = 0, w;

	for (; n >= sizeof w; p += sizeof w, n -= sizeof w) {
		memcpy(&w, p, sizeof w);
		high += (uint64_t)__builtin_popcountll(w & 0x8080808080808080);
	}
	while (n-- > 0)
		high += *p++ >> 7;
	return high;
}

/* ---- the plan ---- */

struct convert_plan *
convert_plan_new(bool force)
{
	struct convert_plan *plan = xcalloc(1, sizeof *plan);

	plan->force = force;
	plan->possible = true;
	return plan;
}

void
convert_plan_free(struct convert_plan *plan)
{
	if (plan != NULL)
		free(plan->deed);
	free(plan);
}

static unsigned
deed_of(const struct convert_plan *plan, const struct mime_part *part)
{
	return part->number < plan->n ? plan->deed[part->number] : 0;
}

static void
set_deed(struct convert_plan *plan, const struct mime_part *part, unsigned deed)
{
	size_t n = plan->n;

	if (deed == 0)
		return;
	if (part->number >= n) {
		plan->n = part->number + 16;
		plan->deed = xreallocarray(plan->deed, plan->n, 1);
		memset(plan->deed + n, 0, plan->n - n);
	}
	plan->deed[part->number] = (uint8_t)deed;
}

static void
left(struct convert *c)
{
	c->plan->possible = c->plan->possible && c->plan->force;
}

/* ---- reading ---- */

static void
read_field(void *arg, const struct mime_part *part, const char *p, size_t n, bool long_)
{
	struct convert *c = arg;

	(void)part;
	if (count_high((const uint8_t *)p, n) == 0)
		return;
	if (long_ || !mime_words(&c->words, p, n, false))
		left(c);
	buf_reset(&c->words, 4096);
}

static void
read_header_end(void *arg, const struct mime_part *part, bool blank)
{
	struct convert *c = arg;

	if (blank && (part->kind == MIME_MULTIPART || part->kind == MIME_MESSAGE) && (part->cte == CTE_8BIT || part->cte == CTE_BINARY))
		set_deed(c->plan, part, DO_7BIT);
	c->total = c->high = 0;
	c->utf8 = true;
}

static void
read_body(void *arg, const struct mime_part *part, const uint8_t *p, size_t n)
{
	struct convert *c = arg;
	uint64_t high = count_high(p, n);

	(void)part;
	c->total += n;
	c->high += high;
	if (high > 0)
		c->utf8 = c->utf8 && utf8_valid((const char *)p, n);
}

/* What is mostly ASCII stays legible. */
static void
read_body_end(void *arg, const struct mime_part *part)
{
	struct convert *c = arg;
	unsigned deed = part->text && c->high <= c->total / 4 ? DO_QP : DO_BASE64;

	if (c->high == 0) {
		set_deed(c->plan, part, part->cte == CTE_8BIT ? DO_7BIT : 0);
		return;
	}
	if (part->kind != MIME_LEAF) {
		left(c);
		return;
	}
	if (!part->typed)
		deed |= c->utf8 ? DO_UTF8 : DO_UNKNOWN;
	if (part->message && !part->versioned)
		deed |= DO_VERSION;
	set_deed(c->plan, part, deed);
}

/* Nobody reads what stands there. */
static void
read_frame(void *arg, const uint8_t *p, size_t n)
{
	(void)arg;
	(void)p;
	(void)n;
}

static const struct mime_ops reading = { read_field, read_header_end, read_body, read_body_end, read_frame };

/* ---- quoted-printable (RFC 2045 6.7) ---- */

static void
qp_room(struct convert *c, size_t n)
{
	if (c->column + n <= QP_LINE)
		return;
	buf_adds(c->out, "=\r\n");
	c->column = 0;
}

static void
qp_hex(struct convert *c, uint8_t b)
{
	static const char digit[] = "0123456789ABCDEF";
	char text[3] = { '=', digit[b >> 4], digit[b & 15] };

	qp_room(c, 3);
	buf_add(c->out, text, 3);
	c->column += 3;
}

static void
qp_literal(struct convert *c, uint8_t b)
{
	size_t before = c->column;

	qp_room(c, 1);
	if (b == '-' && before > 0 && c->column == 0) {		/* a line of our making must not become a delimiter */
		qp_hex(c, b);
		return;
	}
	buf_add(c->out, &b, 1);
	c->column++;
}

static void
qp_blank(struct convert *c, bool last)
{
	uint8_t b = c->blank;

	c->blank = 0;
	if (b != 0 && last)
		qp_hex(c, b);
	else if (b != 0)
		qp_literal(c, b);
}

static void
qp_bare_cr(struct convert *c)
{
	if (!c->cr)
		return;
	c->cr = false;
	qp_blank(c, false);
	qp_hex(c, '\r');
}

static bool
qp_plain(uint8_t b)
{
	return b > ' ' && b < 0x7f && b != '=';
}

/* Bytes from p on that stand as they are on this line, whatever comes behind them. */
static size_t
qp_run(const struct convert *c, const uint8_t *p, size_t n)
{
	size_t most = QP_LINE - c->column, i;

	if (c->blank != 0 || c->cr)
		return 0;
	for (i = 0; i < n && i < most && (qp_plain(p[i]) || (p[i] == ' ' && i + 1 < n && qp_plain(p[i + 1]))); i++)
		;
	return i;
}

static void
qp_byte(struct convert *c, uint8_t b)
{
	if (b == '\n' && c->cr) {
		c->cr = false;
		qp_blank(c, true);
		buf_adds(c->out, "\r\n");
		c->column = 0;
		return;
	}
	qp_bare_cr(c);
	if (b == '\r') {
		c->cr = true;
		return;
	}
	qp_blank(c, false);
	if (b == ' ' || b == '\t')
		c->blank = b;
	else if (qp_plain(b))
		qp_literal(c, b);
	else
		qp_hex(c, b);
}

static void
qp_bytes(struct convert *c, const uint8_t *p, size_t n)
{
	const uint8_t *e = p + n;

	while (p < e) {
		if ((n = qp_run(c, p, (size_t)(e - p))) == 0) {
			qp_byte(c, *p++);
			continue;
		}
		buf_add(c->out, p, n);
		c->column += n;
		p += n;
	}
}

static void
qp_end(struct convert *c)
{
	qp_bare_cr(c);
	qp_blank(c, true);
}

/* ---- base64 (RFC 2045 6.8) ---- */

static void
base64_group(struct convert *c)
{
	static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *t = c->triple;
	char text[4] = { digit[t[0] >> 2], digit[(t[0] & 3) << 4 | t[1] >> 4], digit[(t[1] & 15) << 2 | t[2] >> 6], digit[t[2] & 63] };
	unsigned n;

	for (n = c->ntriple + 1; n < 4; n++)
		text[n] = '=';
	buf_add(c->out, text, 4);
	c->column += 4;
	c->ntriple = 0;
	memset(c->triple, 0, sizeof c->triple);
	if (c->column >= BASE64_LINE) {
		buf_adds(c->out, "\r\n");
		c->column = 0;
	}
}

static void
base64_bytes(struct convert *c, const uint8_t *p, size_t n)
{
	for (; n > 0; p++, n--) {
		c->triple[c->ntriple++] = *p;
		if (c->ntriple == 3)
			base64_group(c);
	}
}

static void
base64_end(struct convert *c)
{
	if (c->ntriple > 0)
		base64_group(c);
	if (c->column > 0)
		buf_adds(c->out, "\r\n");
}

/* ---- writing ---- */

static void
copy(struct convert *c, const uint8_t *p, size_t n, bool marks)
{
	if (!marks || count_high(p, n) == 0) {
		buf_add(c->out, p, n);
		return;
	}
	for (; n > 0; p++, n--)
		buf_add(c->out, *p < 0x80 ? p : (const uint8_t *)"?", 1);
}

static bool
is_encoding(const char *p, size_t n)
{
	static const char name[] = "Content-Transfer-Encoding";
	size_t len = sizeof name - 1;

	return n > len && strncasecmp(p, name, len) == 0 && strchr(": \t", p[len]) != NULL;
}

static void
write_field(void *arg, const struct mime_part *part, const char *p, size_t n, bool long_)
{
	struct convert *c = arg;

	if ((deed_of(c->plan, part) & DO_LABEL) && !long_ && is_encoding(p, n))
		return;
	if (long_ || count_high((const uint8_t *)p, n) == 0)
		copy(c, (const uint8_t *)p, n, c->plan->force);
	else
		mime_words(c->out, p, n, c->plan->force);
}

static void
write_header_end(void *arg, const struct mime_part *part, bool blank)
{
	static const struct { unsigned deed; const char *field; } added[] = {
		{ DO_VERSION,	"MIME-Version: 1.0\r\n" },
		{ DO_UTF8,	"Content-Type: text/plain; charset=utf-8\r\n" },
		{ DO_UNKNOWN,	"Content-Type: text/plain; charset=unknown-8bit\r\n" },
		{ DO_QP,	"Content-Transfer-Encoding: quoted-printable\r\n" },
		{ DO_BASE64,	"Content-Transfer-Encoding: base64\r\n" },
		{ DO_7BIT,	"Content-Transfer-Encoding: 7bit\r\n" },
	};
	struct convert *c = arg;
	size_t i;

	c->deed = deed_of(c->plan, part);
	c->column = 0;
	for (i = 0; i < sizeof added / sizeof added[0]; i++)
		if (c->deed & added[i].deed)
			buf_adds(c->out, added[i].field);
	if (blank)
		buf_adds(c->out, "\r\n");
}

static void
write_body(void *arg, const struct mime_part *part, const uint8_t *p, size_t n)
{
	struct convert *c = arg;

	(void)part;
	if (c->deed & DO_QP)
		qp_bytes(c, p, n);
	else if (c->deed & DO_BASE64)
		base64_bytes(c, p, n);
	else
		copy(c, p, n, c->plan->force);
}

static void
write_body_end(void *arg, const struct mime_part *part)
{
	struct convert *c = arg;

	(void)part;
	if (c->deed & DO_QP)
		qp_end(c);
	else if (c->deed & DO_BASE64)
		base64_end(c);
}

static void
write_frame(void *arg, const uint8_t *p, size_t n)
{
	copy(arg, p, n, true);
}

static const struct mime_ops writing = { write_field, write_header_end, write_body, write_body_end, write_frame };

/* ---- either ---- */

static struct convert *
convert_new(struct convert_plan *plan, const struct mime_ops *ops)
{
	struct convert *c = xcalloc(1, sizeof *c);

	c->plan = plan;
	mime_init(&c->mime, ops, c, plan->force);
	return c;
}

struct convert *
convert_reader(struct convert_plan *plan)
{
	return convert_new(plan, &reading);
}

struct convert *
convert_writer(struct convert_plan *plan)
{
	return convert_new(plan, &writing);
}

void
convert_feed(struct convert *c, const uint8_t *p, size_t n, struct buf *out)
{
	c->out = out;
	mime_feed(&c->mime, p, n);
}

void
convert_end(struct convert *c, struct buf *out)
{
	c->out = out;
	mime_end(&c->mime);
}

void
convert_free(struct convert *c)
{
	if (c == NULL)
		return;
	mime_free(&c->mime);
	buf_free(&c->words);
	free(c);
}
