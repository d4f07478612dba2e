/*
 * dsn_text: text of a notice that cannot break it: lines, fields, dates, addresses.
 *
 * Called by dsn and dsn_words. Pure; owns nothing, cannot fail. Control characters become '?', as do bytes over 0x7e where the text
 * must be ASCII or is no valid UTF-8; lines are broken to a decent width.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "mail/addr.h"
#include "notice/dsn.h"
#include "notice/dsn_text.h"

#define WIDTH		76

bool
dsn_is_ascii(const char *s)
{
	while (*s != '\0' && (unsigned char)*s < 0x80)
		s++;
	return *s == '\0';
}

void
dsn_date(char *out, size_t size, int64_t ms)
{
	static const char day[] = "SunMonTueWedThuFriSat", month[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	gmtime_r(&t, &tm);
	snprintf(out, size, "%.3s, %02d %.3s %04d %02d:%02d:%02d +0000", day + 3 * tm.tm_wday, tm.tm_mday, month + 3 * tm.tm_mon,
	    tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

size_t
dsn_header_len(struct blob b)
{
	const uint8_t *end = memmem(b.p, b.len, "\r\n\r\n", 4), *nl;

	if (b.len >= 2 && memcmp(b.p, "\r\n", 2) == 0)
		return 2;
	if (end != NULL)
		return (size_t)(end - b.p) + 4;
	nl = memrchr(b.p, '\n', b.len);
	return nl != NULL ? (size_t)(nl - b.p) + 1 : 0;
}

/* ---- safe text ---- */

/* Bytes that may stand in a line of ours; others become '?'. */
void
dsn_clean(struct buf *b, const char *s, size_t n, bool utf8)
{
	size_t i;

	utf8 = utf8 && utf8_valid(s, n);
	for (i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		put_u8(b, c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8) ? '?' : c);
	}
}

/* Where to break s so that at most width bytes stand before it. */
static size_t
break_at(const char *s, size_t n, size_t width)
{
	size_t i = width;

	if (n <= width)
		return n;
	while (i > width / 2 && s[i] != ' ')
		i--;
	if (s[i] != ' ')
		i = width;
	while (i > 1 && ((unsigned char)s[i] & 0xc0) == 0x80)
		i--;
	return i;
}

/* s in lines of a decent width, each after the first behind prefix. */
void
dsn_wrapped(struct buf *b, const char *s, size_t used, const char *prefix, bool utf8)
{
	size_t n = strnlen(s, FIELD_MAX), cut, room;

	for (;;) {
		room = used < WIDTH - 20 ? WIDTH - used : 20;
		cut = break_at(s, n, room);
		dsn_clean(b, s, cut, utf8);
		buf_adds(b, "\r\n");
		s += cut;
		n -= cut;
		while (n > 0 && *s == ' ') {
			s++;
			n--;
		}
		if (n == 0)
			return;
		buf_adds(b, prefix);
		used = strlen(prefix);
	}
}

/* Where to fold: at the last blank that leaves a decent width, else at the first one beyond. What has no blank stays whole (RFC 5322 2.2.3). */
static size_t
fold_at(const char *s, size_t n, size_t width)
{
	size_t i = width < n ? width : n;

	if (n <= width)
		return n;
	while (i > 0 && s[i] != ' ')
		i--;
	return i > 0 ? i : strcspn(s + 1, " ") + 1;
}

void
dsn_field(struct buf *b, const char *name, const char *value, bool utf8)
{
	size_t n = strnlen(value, FIELD_MAX), used = strlen(name) + 1, cut;

	if (n == 0)
		return;
	buf_addf(b, "%s:", name);
	put_u8(b, ' ');
	for (;;) {
		cut = fold_at(value, n, used < WIDTH - 20 ? WIDTH - used : 20);
		dsn_clean(b, value, cut < n ? cut : n, utf8);
		buf_adds(b, "\r\n");
		if (cut >= n)
			return;
		value += cut;		/* the blank begins the next line */
		n -= cut;
		used = 0;
	}
}

/* "host[address]:port" without the port; "" where it is no host ("maildir", "none"). */
void
dsn_host(const char *relay, char *out, size_t size)
{
	const char *end = strrchr(relay, ':');

	snprintf(out, size, "%.*s", end != NULL && *relay != '/' ? (int)(end - relay) : 0, relay);
}
