/*
 * agent_letter: reading a message from its memfd and writing it with LF line ends. Called by the agent (open, close, loop check)
 * and maildir (write). Failures are -1 with errno, for the caller to put into words.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "mail/hdr.h"
#include "agent/letter.h"
#include "base/xmalloc.h"

static ssize_t
read_piece(const struct letter *l, uint8_t *to, uint64_t at)
{
	uint64_t	 left = l->length - at;
	size_t		 want = left < LETTER_PIECE ? (size_t)left : LETTER_PIECE;
	ssize_t		 n;

	while ((n = pread(l->fd, to, want, (off_t)at)) == -1 && errno == EINTR)
		;
	if (n == 0 && want > 0) {
		errno = EIO;			/* shorter than we were told */
		return -1;
	}
	return n;
}

int
letter_open(struct letter *l, int fd, uint64_t length)
{
	ssize_t	 n;

	l->fd = fd;
	l->length = length;
	l->head_len = 0;
	l->head = xmalloc(length < LETTER_PIECE ? (size_t)length + 1 : LETTER_PIECE);
	if ((n = read_piece(l, l->head, 0)) == -1)
		return -1;
	l->head_len = (size_t)n;
	return 0;
}

void
letter_close(struct letter *l)
{
	if (l->fd != -1)
		close(l->fd);
	free(l->head);
	l->fd = -1;
	l->head = NULL;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
value_is(const struct hdr_field *f, const char *text)
{
	const char	*v = f->value;
	size_t		 n = f->value_len;

	while (n > 0 && is_blank(v[0]))
		v++, n--;
	while (n > 0 && is_blank(v[n - 1]))
		n--;
	return n == strlen(text) && strncasecmp(v, text, n) == 0;
}

bool
letter_was_delivered_to(const struct letter *l, const char *rcpt)
{
	struct hdr_field	 f;
	size_t			 at = 0;

	while (hdr_next((const char *)l->head, l->head_len, &at, &f))
		if (hdr_is(&f, "Delivered-To") && value_is(&f, rcpt))
			return true;
	return false;
}

/* An address cannot hold these; if it ever did, it should not begin a line of its own in somebody's mailbox. */
static void
flatten(char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

void
letter_trace(char *top, const char *sender, const char *rcpt)
{
	char	 from[LETTER_TOP_MAX / 2 - 32], to[LETTER_TOP_MAX / 2 - 32];

	strlcpy(from, sender, sizeof(from));
	strlcpy(to, rcpt, sizeof(to));
	flatten(from);
	flatten(to);
	snprintf(top, LETTER_TOP_MAX, "Return-Path: <%s>\nDelivered-To: %s\n", from, to);
}

size_t
letter_lf(uint8_t *dst, const uint8_t *src, size_t n, bool *cr)
{
	const uint8_t	*end = src + n, *p;
	uint8_t		*to = dst;

	if (*cr && n > 0 && *src != '\n')
		*to++ = '\r';
	*cr = *cr && n == 0;
	while (src < end) {
		if ((p = memchr(src, '\r', (size_t)(end - src))) == NULL)
			p = end;
		memcpy(to, src, (size_t)(p - src));
		to += p - src;
		if (p == end)
			break;
		src = p + 1;
		if (src == end)
			*cr = true;
		else if (*src != '\n')
			*to++ = '\r';		/* a CR of its own stays what it is */
	}
	return (size_t)(to - dst);
}

static int
write_all(int fd, const uint8_t *p, size_t n)
{
	ssize_t	 w;

	while (n > 0) {
		if ((w = write(fd, p, n)) == -1) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

int64_t
letter_write(const struct letter *l, int out, const char *top)
{
	static uint8_t	 in[LETTER_PIECE], ready[LETTER_TOP_MAX + LETTER_PIECE + 2];
	const uint8_t	*piece = l->head;
	ssize_t		 n = (ssize_t)l->head_len;
	size_t		 have = strlen(top);
	uint64_t	 at = 0;
	int64_t		 total = 0;
	bool		 cr = false;

	memcpy(ready, top, have);
	for (;;) {
		have += letter_lf(ready + have, piece, (size_t)n, &cr);
		at += (uint64_t)n;
		if (at == l->length && cr)
			ready[have++] = '\r';
		if (write_all(out, ready, have) == -1)
			return -1;
		total += (int64_t)have;
		if (at == l->length)
			return total;
		if ((n = read_piece(l, in, at)) == -1)
			return -1;
		piece = in;
		have = 0;
	}
}
