/*
 * body: see body.h. A byte is an LF if and only if the one before is a CR: that one rule finds every bare CR and bare LF.
 * Blocks of 64 bytes are judged as a whole, which the compiler turns into vector instructions.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "client/body.h"
#include "base/crc32c.h"

#define CHUNK	64
#define END_ROOM	8		/* for what put_end writes */

/* p[-1] is there. */
static unsigned
look_chunk(const uint8_t *p)
{
	uint8_t unfit = 0, dot = 0;
	int i;

	for (i = 0; i < CHUNK; i++) {
		uint8_t before = p[i - 1];

		unfit |= (uint8_t)((p[i] == '\n') != (before == '\r'));
		unfit |= (uint8_t)(p[i] == 0);
		dot |= (uint8_t)((p[i] == '.') & (before == '\n'));
	}
	return (unfit ? SCAN_UNFIT : 0) | (dot ? SCAN_DOT : 0);
}

static unsigned
look_byte(uint8_t before, bool line_start, uint8_t c)
{
	unsigned found = 0;

	if ((c == '\n') != (before == '\r') || c == 0)
		found |= SCAN_UNFIT;
	if (c == '.' && line_start)
		found |= SCAN_DOT;
	return found;
}

unsigned
body_look(struct body_scan *s, const uint8_t *p, size_t n)
{
	unsigned found;
	size_t i;

	if (n == 0)
		return 0;
	found = look_byte(s->last, s->line_start, p[0]);
	for (i = 1; i + CHUNK <= n; i += CHUNK)
		found |= look_chunk(p + i);
	for (; i < n; i++)
		found |= look_byte(p[i - 1], p[i - 1] == '\n', p[i]);
	s->last = p[n - 1];
	s->line_start = s->last == '\n';
	return found;
}

size_t
body_stuff(struct body_scan s, const uint8_t *p, size_t n, uint8_t *out)
{
	const uint8_t *end = p + n, *nl;
	uint8_t *to = out;
	size_t line;

	for (; p < end; p += line) {
		if (s.line_start && *p == '.')
			*to++ = '.';
		nl = memchr(p, '\n', (size_t)(end - p));
		line = nl != NULL ? (size_t)(nl - p) + 1 : (size_t)(end - p);
		memcpy(to, p, line);
		to += line;
		s.line_start = nl != NULL;
	}
	return (size_t)(to - out);
}

void
body_close(struct body *b)
{
	convert_free(b->convert);
	b->convert = NULL;
	buf_free(&b->converted);
}

void
body_open(struct body *b, int fd, uint64_t offset, uint64_t length, uint32_t crc, bool stuff, struct convert_plan *plan)
{
	*b = (struct body){ .fd = fd, .want = crc, .offset = offset, .left = length, .stuff = stuff, .scan = { 0, true }, .sent = { 0, true },
	    .convert = plan != NULL ? convert_writer(plan) : NULL };
}

static ssize_t
read_block(struct body *b, uint8_t *to)
{
	size_t want = b->left < BODY_BLOCK ? (size_t)b->left : BODY_BLOCK;
	ssize_t n;

	while ((n = pread(b->fd, to, want, (off_t)b->offset)) == -1 && errno == EINTR)
		;
	if (n <= 0)
		return -1;
	b->offset += (uint64_t)n;
	b->left -= (uint64_t)n;
	return n;
}

/* The CRLF that is missing, if it is, and the final dot. */
static size_t
put_end(const struct body *b, uint8_t *to)
{
	const char *end = b->sent.line_start ? ".\r\n" : "\r\n.\r\n";
	size_t n = strlen(end);

	memcpy(to, end, n);
	return n;
}

/* What is read becomes what is sent, with room for the end behind it. */
static uint8_t *
convert(struct body *b, const uint8_t *p, size_t *n)
{
	buf_reset(&b->converted, 4 * BODY_BLOCK);
	convert_feed(b->convert, p, *n, &b->converted);
	if (b->left == 0)
		convert_end(b->convert, &b->converted);
	*n = b->converted.len;
	buf_reserve(&b->converted, END_ROOM);
	return buf_data(&b->converted);
}

enum body_status
body_next(struct body *b, const uint8_t **p, size_t *n)
{
	static uint8_t raw[BODY_BLOCK + END_ROOM];
	static struct buf stuffed;
	struct body_scan before = b->sent;
	ssize_t got = 0;
	uint8_t *at = raw, *to;
	unsigned found;

	if (b->left > 0 && (got = read_block(b, raw)) == -1)
		return BODY_UNREADABLE;
	*n = (size_t)got;
	b->crc = crc32c(b->crc, raw, *n);
	if (b->left == 0 && b->crc != b->want)
		return BODY_DAMAGED;
	found = body_look(&b->scan, raw, *n);
	if (found & SCAN_UNFIT || (b->left == 0 && b->scan.last == '\r'))
		return BODY_UNFIT;
	b->sent = b->scan;
	if (b->convert != NULL) {
		at = convert(b, raw, n);
		b->sent = before;
		found = body_look(&b->sent, at, *n);
	}
	if (b->stuff && found & SCAN_DOT) {
		buf_reset(&stuffed, 4 * BODY_BLOCK);
		to = buf_reserve(&stuffed, 2 * *n + END_ROOM);
		*n = body_stuff(before, at, *n, to);
		at = to;
	}
	if (b->stuff && b->left == 0)
		*n += put_end(b, at + *n);
	*p = at;
	return b->left > 0 ? BODY_MORE : BODY_END;
}

/* ---- the plan ---- */

/* All of it through c, which is freed. -> bytes that came out; UINT64_MAX: it cannot be read */
static uint64_t
run(struct convert *c, int fd, uint64_t offset, uint64_t length)
{
	static uint8_t raw[BODY_BLOCK];
	struct body b = { .fd = fd, .offset = offset, .left = length };
	struct buf out = BUF_INIT;
	uint64_t written = 0;
	ssize_t got = 0;

	while (b.left > 0 && (got = read_block(&b, raw)) != -1) {
		convert_feed(c, raw, (size_t)got, &out);
		written += out.len;
		buf_reset(&out, 4 * BODY_BLOCK);
	}
	convert_end(c, &out);
	written += out.len;
	buf_free(&out);
	convert_free(c);
	return got == -1 ? UINT64_MAX : written;
}

struct convert_plan *
body_plan(int fd, uint64_t offset, uint64_t length, bool force)
{
	struct convert_plan *plan = convert_plan_new(force);
	bool readable = run(convert_reader(plan), fd, offset, length) != UINT64_MAX;

	if (readable && plan->possible)
		plan->length = run(convert_writer(plan), fd, offset, length);
	if (!readable || plan->length == UINT64_MAX) {
		convert_plan_free(plan);
		return NULL;
	}
	return plan;
}
