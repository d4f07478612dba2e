/*
 * addr_utf8: internationalized addresses as they stand in ASCII text (RFC 6533 3: utf-8-addr-xtext, "\x{E9}").
 *
 * Called by deliver (ORCPT) and the queue (fields of notices). Pure; owns nothing. What does not fit in out is left out, whole.
 */
#include <stdio.h>
#include <string.h>
#include "mail/addr.h"

/* The code point at s, which is valid UTF-8; *n: how many bytes it has. */
static unsigned
code_point(const unsigned char *s, size_t *n)
{
	unsigned c = s[0];
	size_t i, len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	if (len > 1)
		c &= 0x7fu >> len;
	for (i = 1; i < len; i++)
		c = c << 6 | (s[i] & 0x3fu);
	*n = len;
	return c;
}

void
addr_utf8_escape(const char *s, char *out, size_t size)
{
	size_t used = 0, n, len;
	char one[16];
	unsigned c;

	if (size == 0)
		return;
	out[0] = '\0';
	if (!utf8_valid(s, strlen(s)))
		return;
	for (; *s != '\0'; s += n, used += len) {
		c = code_point((const unsigned char *)s, &n);
		len = c < 0x80 ? (size_t)snprintf(one, sizeof(one), "%c", (int)c) : (size_t)snprintf(one, sizeof(one), "\\x{%X}", c);
		if (used + len >= size)
			return;
		memcpy(out + used, one, len + 1);
	}
}

static size_t
encode(unsigned c, char out[4])
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* "\x{" 2*6HEX "}" of a printable character; 0: it is none. *used: its length in s */
static unsigned
escaped(const char *s, size_t *used)
{
	unsigned c = 0, digit;
	size_t i;

	if (strncmp(s, "\\x{", 3) != 0)
		return 0;
	for (i = 3; i < 9 && s[i] != '}'; i++) {
		if (s[i] >= '0' && s[i] <= '9')
			digit = (unsigned)(s[i] - '0');
		else if ((s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'f')
			digit = (unsigned)((s[i] | 0x20) - 'a') + 10;
		else
			return 0;
		c = c << 4 | digit;
	}
	*used = i + 1;
	if (s[i] != '}' || c < 0x20 || (c >= 0x7f && c < 0xa0) || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	return c;
}

void
addr_utf8_unescape(const char *s, char *out, size_t size)
{
	size_t len = 0, used, n;
	char one[4];
	unsigned c;

	if (size == 0)
		return;
	while (*s != '\0') {
		if ((c = escaped(s, &used)) != 0)
			n = encode(c, one);
		else {
			one[0] = *s;
			n = used = 1;
		}
		if (len + n >= size)
			break;
		memcpy(out + len, one, n);
		len += n;
		s += used;
	}
	out[len] = '\0';
}
