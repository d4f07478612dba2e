/*
 * bodyscan: what the queue must know about a message, learned while its bytes stream by. The other half of line.h.
 *
 * Called by the queue's intake for each frame of data; owns nothing but the caller's struct. Any bytes are survived. CRLF
 * line ends are expected; a bare CR or LF is noted in ->bare, a line behind one counts as a line for the dot (the safe
 * reading), and a bare LF ends a header line.
 */
#include <string.h>
#include <strings.h>
#include "mail/addr.h"
#include "mail/bodyscan.h"

#define LINE_OCTETS	998	/* RFC 5322 2.1.1, without CRLF */

/* Many bytes at a time; the words are only or-ed, so their order does not matter. */
static bool
has_8bit(const uint8_t *p, size_t n)
{
	uint64_t w[4], all = 0;

	for (; n >= sizeof w; p += sizeof w, n -= sizeof w) {
		memcpy(w, p, sizeof w);
		all |= w[0] | w[1] | w[2] | w[3];
	}
	for (; n > 0; p++, n--)
		all |= *p;
	return (all & 0x8080808080808080) != 0;
}

void
bodyscan_init(struct bodyscan *b)
{
	memset(b, 0, sizeof *b);
	b->last = '\n';
}

static bool
is_wsp(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The first <...> that can stand in a log line and in a header of ours. */
static void
message_id(struct bodyscan *b, const char *value)
{
	const char *e = b->head + b->head_len, *open, *close;
	size_t n;

	if (b->message_id[0] != '\0')
		return;
	open = memchr(value, '<', (size_t)(e - value));
	if (open == NULL || (close = memchr(open, '>', (size_t)(e - open))) == NULL)
		return;
	n = (size_t)(close - open) + 1;
	if (n >= sizeof b->message_id || memchr(open, ' ', n) != NULL || !utf8_clean(open, n))
		return;
	memcpy(b->message_id, open, n);
	b->message_id[n] = '\0';
}

static void
received(struct bodyscan *b, const char *value)
{
	(void)value;
	b->hops++;
}

/* A field that only mail to many has. */
static void
bulk(struct bodyscan *b, const char *value)
{
	(void)value;
	if (!b->garbled)
		b->flags |= MAIL_BULK;
}

/* The first word counts; one that head has no room for is not known. */
static void
precedence(struct bodyscan *b, const char *value)
{
	static const char *const words[] = { "bulk", "list", "junk" };
	const char *e = b->head + b->head_len;
	size_t n = 0;

	while (value < e && is_wsp(*value))
		value++;
	while (value + n < e && !is_wsp(value[n]) && value[n] != '(')
		n++;
	if (value + n == b->head + sizeof b->head)
		return;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strlen(words[i]) == n && strncasecmp(value, words[i], n) == 0)
			bulk(b, value);
}

static const struct {
	const char	*name;
	void		(*fn)(struct bodyscan *, const char *value);	/* value ends where head does */
} fields[] = {
	{ "Received",		received },
	{ "Message-ID",		message_id },
	{ "Precedence",		precedence },
	{ "List-Id",		bulk },
	{ "List-Unsubscribe",	bulk },
	{ "Feedback-ID",	bulk },
};

/* head holds a whole field, or a line that is none. */
static void
field(struct bodyscan *b)
{
	size_t n = 0, colon;

	while (n < b->head_len && b->head[n] > ' ' && b->head[n] < 0x7f && b->head[n] != ':')
		n++;
	for (colon = n; colon < b->head_len && is_wsp(b->head[colon]); colon++)
		;
	if (n > 0 && colon < b->head_len && b->head[colon] == ':') {
		for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
			if (strlen(fields[i].name) == n && strncasecmp(b->head, fields[i].name, n) == 0)
				fields[i].fn(b, b->head + colon + 1);
	} else if (b->head_len > 0)
		b->garbled = true;
	b->head_len = 0;
}

/* Some bytes of a header line, without LF. */
static void
header_piece(struct bodyscan *b, const uint8_t *p, size_t n)
{
	size_t room;

	if (b->line_len == 0 && p[0] != ' ' && p[0] != '\t')
		field(b);
	if ((b->flags & MAIL_UTF8HDR) == 0 && has_8bit(p, n))
		b->flags |= MAIL_UTF8HDR;
	room = sizeof b->head - b->head_len;
	if (n > room)
		n = room;
	memcpy(b->head + b->head_len, p, n);
	b->head_len += n;
}

/* A CR in the piece that is not its last byte is bare; so was one that ended the piece before. */
static void
bare_cr(struct bodyscan *b, const uint8_t *p, size_t n)
{
	const uint8_t *e = p + n, *q;

	if (b->last == '\r') {
		b->bare = true;
		if (p[0] == '.')
			b->flags |= MAIL_DOT;
	}
	for (q = p; (q = memchr(q, '\r', (size_t)(e - q))) != NULL && q + 1 < e; q++) {
		b->bare = true;
		if (q[1] == '.')
			b->flags |= MAIL_DOT;
	}
}

/* Some bytes of a line, without LF. */
static void
piece(struct bodyscan *b, const uint8_t *p, size_t n)
{
	if (b->line_len == 0 && p[0] == '.')
		b->flags |= MAIL_DOT;
	if (!b->in_body)
		header_piece(b, p, n);
	bare_cr(b, p, n);
	b->last = p[n - 1];
	b->line_len += n;
}

/* LF; the bytes up to and with it are counted in total. */
static void
line_end(struct bodyscan *b)
{
	bool whole = b->last == '\r';

	if (whole)
		b->line_len--;
	else
		b->bare = true;
	if (b->line_len > LINE_OCTETS)
		b->flags |= MAIL_LONG;
	if (b->line_len == 0 && !b->in_body) {
		field(b);
		b->in_body = true;
		b->header_len = b->total;
	}
	b->line_len = 0;
	b->last = whole ? '\n' : -1;
}

void
bodyscan_feed(struct bodyscan *b, const uint8_t *p, size_t n)
{
	const uint8_t *e = p + n, *lf, *q;

	if (n == 0)
		return;
	if (!b->nul && memchr(p, '\0', n) != NULL)
		b->nul = true;
	if ((b->flags & MAIL_8BIT) == 0 && has_8bit(p, n))
		b->flags |= MAIL_8BIT;
	for (; p < e; p = q) {
		lf = memchr(p, '\n', (size_t)(e - p));
		q = lf != NULL ? lf : e;
		if (q > p)
			piece(b, p, (size_t)(q - p));
		if (lf != NULL)
			q++;
		b->total += (size_t)(q - p);
		if (lf != NULL)
			line_end(b);
	}
}

void
bodyscan_end(struct bodyscan *b)
{
	if (!b->in_body)
		field(b);
	if (b->last == '\r')
		b->bare = true;
	if (b->line_len > LINE_OCTETS)
		b->flags |= MAIL_LONG;
	if (b->last != '\n')
		b->flags |= MAIL_NO_EOL;
}
