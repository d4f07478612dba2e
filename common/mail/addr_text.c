/*
 * addr_text: addresses and their parts as keys, file names and xtext; UTF-8. The other half of addr.h.
 *
 * Called by whoever looks addresses up, makes paths of them, or speaks DSN; owns nothing. Takes any text, parsed
 * before or not; what does not fit is cut or refused as addr.h says.
 */
#include <string.h>
#include "mail/addr.h"

static char
fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* The end of the local part: behind the closing quote, or at the last '@'. */
static const char *
local_end(const char *text)
{
	const char *p = text, *last;

	if (*p == '"') {
		for (p++; *p != '\0' && *p != '"'; p++)
			if (*p == '\\' && p[1] != '\0')
				p++;
		return *p == '"' ? p + 1 : p;
	}
	last = strrchr(text, '@');
	return last != NULL ? last : text + strlen(text);
}

const char *
addr_domain(const char *text)
{
	const char *p = local_end(text);

	return *p == '@' ? p + 1 : p + strlen(p);
}

void
addr_key(const char *text, char *user, size_t size, bool cut_tag)
{
	const char *p = text, *e = local_end(text);
	bool quoted = *p == '"';
	size_t n = 0;

	if (quoted) {
		p++;
		if (e > p && e[-1] == '"')
			e--;
	}
	for (; p < e && n + 1 < size; p++) {
		if (quoted && *p == '\\' && p + 1 < e)
			p++;
		if (cut_tag && *p == '+' && n > 0)
			break;
		user[n++] = fold(*p);
	}
	user[n] = '\0';
}

static const char hex[] = "0123456789ABCDEF";

static void
escape(char *out, char sign, unsigned char c)
{
	out[0] = sign;
	out[1] = hex[c >> 4];
	out[2] = hex[c & 15];
}

bool
addr_path_encode(const char *value, char *out, size_t size)
{
	const char *p;
	size_t n = 0;
	unsigned char c;

	for (p = value; *p != '\0' || p == value; p++) {
		c = (unsigned char)*p;
		if (n + 4 > size) {
			if (size > 0)
				out[0] = '\0';
			return false;
		}
		if (c < ' ' || c == 0x7f || c == '/' || c == '%' || (c == '.' && p == value)) {
			escape(out + n, '%', c);
			n += 3;
		} else
			out[n++] = fold((char)c);
		if (c == '\0')
			break;
	}
	out[n] = '\0';
	return true;
}

static int
hex_value(char c)
{
	const char *p = c == '\0' ? NULL : strchr(hex, c >= 'a' && c <= 'f' ? c - ('a' - 'A') : c);

	return p == NULL ? -1 : (int)(p - hex);
}

/* xtext = *( xchar / "+" HEX HEX ); bytes over 0x7f stand for themselves (RFC 6533, ORCPT=utf-8;...). */
bool
xtext_decode(const char *s, size_t n, char *out, size_t size)
{
	size_t i, len = 0;
	int high, low;

	if (size == 0)
		return false;
	out[0] = '\0';
	for (i = 0; i < n; i++) {
		if (len + 1 >= size || s[i] == '=' || s[i] == ' ')
			return false;
		if (s[i] != '+') {
			out[len++] = s[i];
			continue;
		}
		if (n - i < 3 || (high = hex_value(s[i + 1])) < 0 || (low = hex_value(s[i + 2])) < 0)
			return false;
		out[len++] = (char)(high << 4 | low);
		i += 2;
	}
	out[len] = '\0';
	return utf8_clean(out, len);
}

void
xtext_encode(const char *s, char *out, size_t size)
{
	size_t n = 0;
	unsigned char c;

	if (size == 0)
		return;
	for (; (c = (unsigned char)*s) != '\0'; s++) {
		bool plain = c > ' ' && c < 0x7f && c != '+' && c != '=';

		if (n + (plain ? 1 : 3) >= size)
			break;
		if (plain)
			out[n++] = (char)c;
		else {
			escape(out + n, '+', c);
			n += 3;
		}
	}
	out[n] = '\0';
}

/* Length of the well-formed sequence at s (Unicode 15, table 3-7), 0 if there is none. */
static size_t
sequence(const unsigned char *s, size_t n)
{
	static const struct {
		unsigned char first, last, low, high;	/* of the first byte, of the second */
		unsigned char len;
	} rows[] = {
		{ 0x00, 0x7f, 0x00, 0x00, 1 }, { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	size_t i, k;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (s[0] >= rows[i].first && s[0] <= rows[i].last)
			break;
	if (i == sizeof rows / sizeof rows[0] || rows[i].len > n)
		return 0;
	if (rows[i].len > 1 && (s[1] < rows[i].low || s[1] > rows[i].high))
		return 0;
	for (k = 2; k < rows[i].len; k++)
		if ((s[k] & 0xc0) != 0x80)
			return 0;
	return rows[i].len;
}

bool
utf8_valid(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t k;

	for (; n > 0; p += k, n -= k)
		if ((k = sequence(p, n)) == 0)
			return false;
	return true;
}

bool
utf8_clean(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t k;

	for (; n > 0; p += k, n -= k) {
		if ((k = sequence(p, n)) == 0 || p[0] < ' ' || p[0] == 0x7f)
			return false;
		if (p[0] == 0xc2 && p[1] < 0xa0)
			return false;
	}
	return true;
}

const char *
addr_inside(const char *text, size_t *n)
{
	*n = strlen(text);
	if (*n < 2 || text[0] != '<' || text[*n - 1] != '>')
		return text;
	*n -= 2;
	return text + 1;
}
