/* buf: see buf.h. A sum of lengths that overflows is our own fault and fatal. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/fatal.h"
#include "base/xmalloc.h"

uint8_t *
buf_reserve(struct buf *b, size_t n)
{
	size_t need;

	if (b->cap - b->off - b->len >= n && b->base != NULL)
		return b->base + b->off + b->len;
	if (__builtin_add_overflow(b->len, n, &need) || need > SIZE_MAX / 4)
		fatalx("buffer overflow: %zu + %zu", b->len, n);
	/* Moving is worth it only while what moves is less than what was drained. */
	if (b->off >= b->len && b->cap >= need) {
		memmove(b->base, b->base + b->off, b->len);
		b->off = 0;
		return b->base + b->len;
	}
	if (need < 256)
		need = 256;
	if (need < b->cap * 2 && b->off == 0)
		need = b->cap * 2;
	if (b->off > 0 || b->base == NULL) {
		uint8_t *base = xmalloc(need);

		if (b->len > 0)
			memcpy(base, b->base + b->off, b->len);
		free(b->base);
		b->base = base;
		b->off = 0;
	} else
		b->base = xreallocarray(b->base, need, 1);
	b->cap = need;
	return b->base + b->len;
}

void
buf_grow(struct buf *b, size_t n)
{
	if (n > b->cap - b->off - b->len)
		fatalx("buf_grow beyond what was reserved");
	b->len += n;
}

void
buf_add(struct buf *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	memcpy(buf_reserve(b, n), p, n);
	b->len += n;
}

void
buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_addf(struct buf *b, const char *fmt, ...)
{
	char small[512], *s = small;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(small, sizeof small, fmt, ap);
	va_end(ap);
	if (n < 0)
		fatalx("buf_addf: bad format");
	if ((size_t)n >= sizeof small) {
		s = xmalloc((size_t)n + 1);
		va_start(ap, fmt);
		vsnprintf(s, (size_t)n + 1, fmt, ap);
		va_end(ap);
	}
	buf_add(b, s, (size_t)n);
	if (s != small)
		free(s);
}

void
buf_drain(struct buf *b, size_t n)
{
	if (n > b->len)
		fatalx("buf_drain of %zu, %zu there", n, b->len);
	b->len -= n;
	b->off = b->len == 0 ? 0 : b->off + n;
}

void
buf_reset(struct buf *b, size_t keep)
{
	if (b->cap > keep) {
		free(b->base);
		*b = (struct buf)BUF_INIT;
	}
	b->off = b->len = 0;
}

void
buf_free(struct buf *b)
{
	free(b->base);
	*b = (struct buf)BUF_INIT;
}

const char *
buf_str(struct buf *b)
{
	*buf_reserve(b, 1) = '\0';
	return (const char *)buf_data(b);
}

/* ---- encoding ---- */

static void
put_le(struct buf *b, uint64_t v, size_t n)
{
	uint8_t *p = buf_reserve(b, n);
	size_t i;

	for (i = 0; i < n; i++, v >>= 8)
		p[i] = v & 0xff;
	b->len += n;
}

void
put_u8(struct buf *b, uint8_t v)
{
	put_le(b, v, 1);
}

void
put_u16(struct buf *b, uint16_t v)
{
	put_le(b, v, 2);
}

void
put_u32(struct buf *b, uint32_t v)
{
	put_le(b, v, 4);
}

void
put_u64(struct buf *b, uint64_t v)
{
	put_le(b, v, 8);
}

void
put_i64(struct buf *b, int64_t v)
{
	put_le(b, (uint64_t)v, 8);
}

void
put_str(struct buf *b, const char *s)
{
	size_t n = s == NULL ? 0 : strlen(s);

	if (n > UINT32_MAX - 1)
		fatalx("put_str: %zu bytes", n);
	put_u32(b, (uint32_t)n);
	buf_add(b, s == NULL ? "" : s, n + 1);
}

void
put_blob(struct buf *b, struct blob v)
{
	if (v.len > UINT32_MAX)
		fatalx("put_blob: %zu bytes", v.len);
	put_u32(b, (uint32_t)v.len);
	buf_add(b, v.p, v.len);
}

/* ---- decoding ---- */

static const uint8_t *
take(struct rd *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || n > r->left) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	r->left -= n;
	return p;
}

static uint64_t
get_le(struct rd *r, size_t n)
{
	const uint8_t *p = take(r, n);
	uint64_t v = 0;

	if (p != NULL)
		while (n-- > 0)
			v = v << 8 | p[n];
	return v;
}

uint8_t
get_u8(struct rd *r)
{
	return (uint8_t)get_le(r, 1);
}

uint16_t
get_u16(struct rd *r)
{
	return (uint16_t)get_le(r, 2);
}

uint32_t
get_u32(struct rd *r)
{
	return (uint32_t)get_le(r, 4);
}

uint64_t
get_u64(struct rd *r)
{
	return get_le(r, 8);
}

int64_t
get_i64(struct rd *r)
{
	return (int64_t)get_le(r, 8);
}

const char *
get_str(struct rd *r)
{
	uint32_t n = get_u32(r);
	const uint8_t *p;

	/* The NUL behind it is looked for in place of adding 1 to a length that the peer chose. */
	if (r->bad || n >= r->left || r->p[n] != '\0' || memchr(r->p, '\0', n) != NULL) {
		r->bad = true;
		return "";
	}
	p = take(r, n);
	take(r, 1);
	return (const char *)p;
}

struct blob
get_blob(struct rd *r)
{
	uint32_t n = get_u32(r);
	const uint8_t *p = take(r, n);

	return p == NULL ? (struct blob){ NULL, 0 } : (struct blob){ p, n };
}
