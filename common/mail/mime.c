/*
 * mime: see mime.h. A line at a time: in a header, in the body of a part, or between parts; a delimiter of any multipart that is open ends
 * all that is inside of it. Called by convert; owns the boundaries and what is buffered of a line and of a field.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "mail/mime.h"
#include "base/xmalloc.h"

#define LINE_PIECE	4096
#define FIELD_MOST	(64 * 1024)
#define BOUNDARY_MOST	200		/* RFC 2046 5.1.1 says 70 */

enum { IN_HEADER, IN_BODY, IN_FRAME };

static const uint8_t crlf[] = "\r\n";

/* ---- Content-Type ---- */

enum { TYPE_TEXT, TYPE_MULTIPART, TYPE_DIGEST, TYPE_SIGNED, TYPE_MESSAGE, TYPE_ENCODABLE, TYPE_OPAQUE };

/* The first that fits. "x/" is all of x. */
static const struct {
	const char	*name;
	unsigned	 type;
} types[] = {
	{ "multipart/digest",			TYPE_DIGEST },
	{ "multipart/signed",			TYPE_SIGNED },
	{ "multipart/encrypted",		TYPE_SIGNED },
	{ "multipart/",				TYPE_MULTIPART },
	{ "message/rfc822",			TYPE_MESSAGE },
	{ "message/news",			TYPE_MESSAGE },
	{ "message/global",			TYPE_ENCODABLE },	/* RFC 6532 3.7 allows any encoding */
	{ "message/global-headers",		TYPE_ENCODABLE },
	{ "message/global-delivery-status",	TYPE_ENCODABLE },
	{ "message/",				TYPE_OPAQUE },		/* RFC 2046 5.2: 7bit alone */
	{ "text/",				TYPE_TEXT },
	{ "",					TYPE_ENCODABLE },
};

/* Blanks, line ends and comments. */
static const char *
skip_blank(const char *p, const char *e)
{
	unsigned depth = 0;

	for (; p < e; p++) {
		if (*p == '(')
			depth++;
		else if (*p == ')' && depth > 0)
			depth--;
		else if (*p == '\\' && depth > 0 && p + 1 < e)
			p++;
		else if (depth == 0 && strchr(" \t\r\n", *p) == NULL)
			break;
	}
	return p;
}

static const char *
token_end(const char *p, const char *e)
{
	while (p < e && *p > ' ' && *p < 0x7f && strchr("()<>@,;:\\\"=", *p) == NULL)
		p++;
	return p;
}

/* A token or quoted string at p. -> behind it; out: its text, "" if it is too long or not ASCII */
static const char *
value(const char *p, const char *e, char *out, size_t size)
{
	const char *end = token_end(p, e);
	size_t n = 0;

	if (p < e && *p == '"') {
		for (end = p + 1; end < e && *end != '"'; end++) {
			end += *end == '\\' && end + 1 < e;
			if (*end & 0x80 || *end == '\0')
				n = size;
			if (n < size - 1)
				out[n] = *end;
			n++;
		}
		end += end < e;
	} else {
		n = (size_t)(end - p);
		memcpy(out, p, n < size ? n : 0);
	}
	out[n < size ? n : 0] = '\0';
	return end;
}

static void
find_boundary(struct mime *m, const char *p, const char *e)
{
	char text[BOUNDARY_MOST + 1];
	const char *name;
	bool is;

	while ((p = memchr(p, ';', (size_t)(e - p))) != NULL) {
		name = p = skip_blank(p + 1, e);
		p = token_end(p, e);
		is = p - name == 8 && strncasecmp(name, "boundary", 8) == 0;
		p = skip_blank(p, e);
		if (p == e || *p != '=')
			continue;
		p = skip_blank(p + 1, e);
		p = value(p, e, text, sizeof text);
		if (is && text[0] != '\0' && m->boundary == NULL)
			m->boundary = xstrdup(text);
	}
}

static void
content_type(struct mime *m, const char *p, const char *e)
{
	const char *s;
	size_t i, n, len;

	if (m->part.typed)
		return;
	m->part.typed = true;
	s = p = skip_blank(p, e);
	while (p < e && strchr(" \t\r\n;(", *p) == NULL)
		p++;
	len = (size_t)(p - s);
	for (i = 0; i + 1 < sizeof types / sizeof types[0]; i++) {
		n = strlen(types[i].name);
		if (len >= n && strncasecmp(s, types[i].name, n) == 0 && (len == n || types[i].name[n - 1] == '/'))
			break;
	}
	m->type = types[i].type;
	find_boundary(m, p, e);
}

static void
content_encoding(struct mime *m, const char *p, const char *e)
{
	static const struct { const char *name; enum mime_cte cte; } known[] = {
		{ "7bit", CTE_7BIT }, { "8bit", CTE_8BIT }, { "binary", CTE_BINARY },
	};
	size_t i, n;

	if (m->part.cte != CTE_NONE)
		return;
	p = skip_blank(p, e);
	n = (size_t)(token_end(p, e) - p);
	m->part.cte = CTE_OTHER;
	for (i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strlen(known[i].name) == n && strncasecmp(p, known[i].name, n) == 0)
			m->part.cte = known[i].cte;
}

static void
mime_version(struct mime *m, const char *p, const char *e)
{
	(void)p;
	(void)e;
	m->part.versioned = true;
}

/* ---- the header of a part ---- */

static void
begin_header(struct mime *m, bool message, bool digest)
{
	m->part = (struct mime_part){ .number = m->parts++, .message = message };
	m->state = IN_HEADER;
	m->digest = digest;
	m->type = digest ? TYPE_MESSAGE : TYPE_TEXT;
	free(m->boundary);
	m->boundary = NULL;
	m->cut = false;
}

static void
read_field(struct mime *m, const char *p, size_t n)
{
	static const struct {
		const char	*name;
		void		(*read)(struct mime *, const char *, const char *);
	} fields[] = {
		{ "Content-Type", content_type }, { "Content-Transfer-Encoding", content_encoding }, { "MIME-Version", mime_version },
	};
	const char *colon = memchr(p, ':', n);
	size_t i, len;

	if (colon == NULL)
		return;
	for (len = (size_t)(colon - p); len > 0 && (p[len - 1] == ' ' || p[len - 1] == '\t'); len--)
		;
	for (i = 0; i < sizeof fields / sizeof fields[0]; i++)
		if (strlen(fields[i].name) == len && strncasecmp(p, fields[i].name, len) == 0)
			fields[i].read(m, colon + 1, p + n);
}

static void
end_field(struct mime *m)
{
	const char *p = (const char *)buf_data(&m->field);

	if (m->field.len == 0)
		return;
	if (!m->cut)
		read_field(m, p, m->field.len);
	m->ops->field(m->arg, &m->part, p, m->field.len, m->cut);
	buf_reset(&m->field, LINE_PIECE);
}

static enum mime_kind
kind_of(struct mime *m)
{
	bool whole = m->part.cte != CTE_OTHER && m->parts < MIME_PARTS;

	if (m->type == TYPE_SIGNED && m->into_signed)
		m->type = TYPE_MULTIPART;
	switch (m->type) {
	case TYPE_MULTIPART:
	case TYPE_DIGEST:
		return whole && m->boundary != NULL && m->depth < MIME_DEPTH ? MIME_MULTIPART : MIME_OPAQUE;
	case TYPE_MESSAGE:
		return whole ? MIME_MESSAGE : MIME_OPAQUE;
	case TYPE_TEXT:
	case TYPE_ENCODABLE:
		return whole ? MIME_LEAF : MIME_OPAQUE;
	default:
		return MIME_OPAQUE;
	}
}

static void
end_header(struct mime *m, bool blank)
{
	end_field(m);
	m->part.text = m->type == TYPE_TEXT;
	m->part.kind = kind_of(m);
	m->ops->header_end(m->arg, &m->part, blank);
	m->state = IN_BODY;
	m->held = false;
	if (m->part.kind == MIME_MULTIPART) {
		m->open[m->depth].boundary = m->boundary;
		m->open[m->depth++].digest = m->type == TYPE_DIGEST;
		m->boundary = NULL;
		m->state = IN_FRAME;
	} else if (m->part.kind == MIME_MESSAGE && blank)
		begin_header(m, true, false);
}

static void
header_line(struct mime *m, const uint8_t *p, size_t n, bool begins, bool ends)
{
	if (begins && ends && n == 2) {
		end_header(m, true);
		return;
	}
	if (begins && ((*p != ' ' && *p != '\t') || (m->field.len == 0 && !m->cut))) {
		end_field(m);
		m->cut = false;
	}
	buf_add(&m->field, p, n);
	if (m->field.len > FIELD_MOST) {
		m->cut = true;
		m->ops->field(m->arg, &m->part, (const char *)buf_data(&m->field), m->field.len, true);
		buf_reset(&m->field, LINE_PIECE);
	}
}

/* ---- bodies, and what is between them ---- */

static void
body_line(struct mime *m, const uint8_t *p, size_t n, bool begins, bool ends)
{
	if (begins && m->held)
		m->ops->body(m->arg, &m->part, crlf, 2);
	m->held = ends;
	if (ends)
		n -= 2;
	if (n > 0)
		m->ops->body(m->arg, &m->part, p, n);
}

static void
frame_line(struct mime *m, const uint8_t *p, size_t n, bool begins, bool ends)
{
	(void)begins;
	(void)ends;
	m->ops->frame(m->arg, p, n);
}

/* What was begun comes to its end. */
static void
end_part(struct mime *m, bool delimiter)
{
	if (m->state == IN_HEADER)
		end_header(m, false);
	if (m->state != IN_BODY)
		return;
	if (m->held && !delimiter)
		m->ops->body(m->arg, &m->part, crlf, 2);
	m->ops->body_end(m->arg, &m->part);
	if (m->held && delimiter)
		m->ops->frame(m->arg, crlf, 2);
	m->held = false;
}

/* Is the line that of an open multipart? *closing: its last. */
static bool
is_delimiter(const struct mime *m, const uint8_t *p, size_t n, size_t *level, bool *closing)
{
	size_t len;

	while (n > 0 && strchr(" \t\r\n", p[n - 1]) != NULL && p[n - 1] != '\0')
		n--;
	if (n < 3 || p[0] != '-' || p[1] != '-')
		return false;
	for (*level = m->depth; (*level)-- > 0;) {
		len = strlen(m->open[*level].boundary);
		if (n < len + 2 || memcmp(p + 2, m->open[*level].boundary, len) != 0)
			continue;
		*closing = n == len + 4 && p[n - 2] == '-' && p[n - 1] == '-';
		if (n == len + 2 || *closing)
			return true;
	}
	return false;
}

static bool
delimiter(struct mime *m, const uint8_t *p, size_t n)
{
	size_t level;
	bool closing;

	if (!is_delimiter(m, p, n, &level, &closing))
		return false;
	end_part(m, true);
	m->ops->frame(m->arg, p, n);
	while (m->depth > level + !closing)
		free(m->open[--m->depth].boundary);
	if (closing)
		m->state = IN_FRAME;
	else
		begin_header(m, false, m->open[level].digest);
	return true;
}

/* ---- lines ---- */

static void
piece(struct mime *m, const uint8_t *p, size_t n, bool ends)
{
	static void (*const line[])(struct mime *, const uint8_t *, size_t, bool, bool) = {
		[IN_HEADER] = header_line, [IN_BODY] = body_line, [IN_FRAME] = frame_line,
	};
	bool begins = !m->begun;

	m->begun = !ends;
	if (!begins || !delimiter(m, p, n))
		line[m->state](m, p, n, begins, ends);
}

/* Not in the midst of a line end, or of a character. */
static size_t
good_cut(const uint8_t *p, size_t n)
{
	size_t k = n - 1;

	while (k > n - 5 && (p[k - 1] == '\r' || (p[k] & 0xc0) == 0x80))
		k--;
	return k;
}

void
mime_feed(struct mime *m, const uint8_t *p, size_t n)
{
	const uint8_t *lf, *e = p + n;
	size_t k;

	for (; p < e; p += k) {
		lf = memchr(p, '\n', (size_t)(e - p));
		k = lf != NULL ? (size_t)(lf - p) + 1 : (size_t)(e - p);
		if (k > LINE_PIECE)
			k = LINE_PIECE;
		buf_add(&m->line, p, k);
		if (m->line.len >= 2 && memcmp(buf_data(&m->line) + m->line.len - 2, crlf, 2) == 0) {
			piece(m, buf_data(&m->line), m->line.len, true);
			buf_reset(&m->line, 2 * LINE_PIECE);
		} else if (m->line.len >= LINE_PIECE) {
			size_t cut = good_cut(buf_data(&m->line), m->line.len);

			piece(m, buf_data(&m->line), cut, false);
			buf_drain(&m->line, cut);
		}
	}
}

void
mime_end(struct mime *m)
{
	if (m->line.len > 0)
		piece(m, buf_data(&m->line), m->line.len, false);
	end_part(m, false);
}

void
mime_init(struct mime *m, const struct mime_ops *ops, void *arg, bool into_signed)
{
	memset(m, 0, sizeof *m);
	m->ops = ops;
	m->arg = arg;
	m->into_signed = into_signed;
	begin_header(m, true, false);
}

void
mime_free(struct mime *m)
{
	while (m->depth > 0)
		free(m->open[--m->depth].boundary);
	free(m->boundary);
	buf_free(&m->line);
	buf_free(&m->field);
}
