/*
 * mime_words: see mime.h. A field is unstructured text, a list of addresses (or what else has phrases and comments), or a value with
 * parameters, by its name; each has its own places where words may be encoded, the rest is kept byte for byte. Pure; owns nothing.
 */
#include <string.h>
#include <strings.h>
#include "mail/addr.h"
#include "mail/mime.h"

#define WORD_BYTES	18		/* of text in an encoded word, which is at most 75 octets: 3 for each, and the charset */
#define PARAM_BYTES	60		/* of a piece of a parameter, likewise */

struct words {
	struct buf	*out;
	const char	*charset;
	const char	*p, *e;
	bool		 left;		/* something is still over 0x7e */
	bool		 force;
};

static bool
high(const char *p, size_t n)
{
	while (n-- > 0)
		if (*p++ & 0x80)
			return true;
	return false;
}

/* What cannot be encoded where it stands. */
static void
keep(struct words *w, const char *p, size_t n)
{
	if (!high(p, n)) {
		buf_add(w->out, p, n);
		return;
	}
	w->left = w->left || !w->force;
	for (; n > 0; p++, n--)
		buf_add(w->out, w->force && (*p & 0x80) ? "?" : p, 1);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t
blanks(const char *p, const char *e)
{
	size_t n = 0;

	while (p + n < e && is_blank(p[n]))
		n++;
	return n;
}

/* ---- encoded words ---- */

static void
q_byte(struct buf *out, unsigned char c)
{
	if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
		buf_add(out, &c, 1);
	else if (c == ' ')
		buf_adds(out, "_");
	else
		buf_addf(out, "=%02X", c);
}

/* As many words as it takes, each with whole characters. Line ends of folding are no text. */
static void
encode(struct words *w, const char *p, size_t n)
{
	const char *e = p + n;
	size_t in = 0;

	for (; p < e; p++) {
		if (*p == '\r' || *p == '\n')
			continue;
		/* A character has four bytes at most; what goes on longer is none. */
		if (in >= WORD_BYTES - 3 && ((*p & 0xc0) != 0x80 || in >= WORD_BYTES)) {
			buf_adds(w->out, "?=\r\n ");
			in = 0;
		}
		if (in++ == 0)
			buf_addf(w->out, "=?%s?Q?", w->charset);
		q_byte(w->out, (unsigned char)*p);
	}
	if (in > 0)
		buf_adds(w->out, "?=");
}

/* ---- unstructured text, and comments ---- */

static size_t
word_len(const char *p, const char *e, const char *delimiters)
{
	size_t n = 0;

	while (p + n < e && !is_blank(p[n]) && (p[n] == '\0' || strchr(delimiters, p[n]) == NULL))
		n++;
	return n;
}

/*
 * The words from w->p on, up to a delimiter. Blanks between encoded words are not seen by readers (RFC 2047 6.2), so neighbours are encoded as one.
 */
static void
text(struct words *w, const char *delimiters)
{
	size_t n, gap, more;

	while (w->p < w->e) {
		if ((gap = blanks(w->p, w->e)) > 0) {
			buf_add(w->out, w->p, gap);
			w->p += gap;
		}
		if ((n = word_len(w->p, w->e, delimiters)) == 0)
			return;
		if (!high(w->p, n)) {
			buf_add(w->out, w->p, n);
			w->p += n;
			continue;
		}
		while ((gap = blanks(w->p + n, w->e)) > 0 && (more = word_len(w->p + n + gap, w->e, delimiters)) > 0 &&
		    high(w->p + n + gap, more))
			n += gap + more;
		encode(w, w->p, n);
		w->p += n;
	}
}

/* ---- phrases ---- */

#define SPECIALS	"()<>[]:;@\\,\""

static size_t
quoted_len(const char *p, const char *e)
{
	size_t n = 1;

	while (p + n < e && p[n] != '"')
		n += p[n] == '\\' && p + n + 1 < e ? 2 : 1;
	return p + n < e ? n + 1 : n;
}

static void
comment(struct words *w)
{
	unsigned depth = 0;

	do {
		text(w, "()\\");
		if (w->p == w->e)
			return;
		depth += *w->p == '(';
		depth -= *w->p == ')';
		if (*w->p == '\\' && w->p + 1 < w->e && !(w->p[1] & 0x80)) {
			buf_add(w->out, w->p, 1);
			w->p++;
		}
		buf_add(w->out, w->p++, 1);
	} while (depth > 0);
}

/* <...> and [...]: no place for encoded words. */
static void
bracket(struct words *w, char close)
{
	const char *end = memchr(w->p, close, (size_t)(w->e - w->p));
	size_t n = end != NULL ? (size_t)(end + 1 - w->p) : (size_t)(w->e - w->p);

	keep(w, w->p, n);
	w->p += n;
}

/* A word of a phrase at p: an atom or a quoted string. 0: none */
static size_t
phrase_word(const char *p, const char *e)
{
	return p < e && *p == '"' ? quoted_len(p, e) : word_len(p, e, SPECIALS);
}

/* Its text, without the quotes. */
static void
unquote(struct buf *out, const char *p, size_t n)
{
	const char *e = p + n;

	for (; p < e; p++) {
		if (*p == '\\' && p + 1 < e)
			p++;
		else if (*p == '"')
			continue;
		buf_add(out, p, 1);
	}
}

static void
phrase(struct words *w)
{
	size_t n = phrase_word(w->p, w->e), gap, more;
	bool address = (w->p[-1] == '@') || (w->p + n < w->e && w->p[n] == '@');
	struct buf plain = BUF_INIT;

	if (!high(w->p, n) || address) {
		keep(w, w->p, n);
		w->p += n;
		return;
	}
	unquote(&plain, w->p, n);
	w->p += n;
	while ((gap = blanks(w->p, w->e)) > 0 && (more = phrase_word(w->p + gap, w->e)) > 0 && high(w->p + gap, more) &&
	    (w->p + gap + more == w->e || w->p[gap + more] != '@')) {
		buf_add(&plain, w->p, gap);
		unquote(&plain, w->p + gap, more);
		w->p += gap + more;
	}
	encode(w, (const char *)buf_data(&plain), plain.len);
	buf_free(&plain);
}

static void
addresses(struct words *w)
{
	size_t gap;

	while (w->p < w->e) {
		if ((gap = blanks(w->p, w->e)) > 0) {
			buf_add(w->out, w->p, gap);
			w->p += gap;
		} else if (*w->p == '(')
			comment(w);
		else if (*w->p == '<')
			bracket(w, '>');
		else if (*w->p == '[')
			bracket(w, ']');
		else if (phrase_word(w->p, w->e) > 0)
			phrase(w);
		else
			buf_add(w->out, w->p++, 1);
	}
}

/* ---- parameters ---- */

static void
extended(struct words *w, const char *name, size_t len, const struct buf *value)
{
	const unsigned char *p = buf_data(value), *e = p + value->len;
	unsigned piece = 0;
	size_t in = 0;

	for (; p < e; p++) {
		if (in == 0)
			buf_addf(w->out, "%s\r\n %.*s*%u*=", piece > 0 ? ";" : "", (int)len, name, piece);
		if (in == 0 && piece == 0)
			buf_addf(w->out, "%s''", w->charset);
		if ((*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || *p == '.' || *p == '-')
			buf_add(w->out, p, 1);
		else
			buf_addf(w->out, "%%%02X", *p);
		if (++in == PARAM_BYTES) {
			in = 0;
			piece++;
		}
	}
}

/* name=value at w->p, behind a semicolon and blanks. */
static void
parameter(struct words *w)
{
	const char *name = w->p;
	size_t len = word_len(w->p, w->e, ";="), n;
	struct buf value = BUF_INIT;

	w->p += len;
	if (w->p < w->e && *w->p == '=') {
		w->p++;
		n = phrase_word(w->p, w->e);
		if (len > 0 && len <= 60 && high(w->p, n) && !high(name, len) && memchr(name, '*', len) == NULL) {
			unquote(&value, w->p, n);
			extended(w, name, len, &value);
		} else
			keep(w, name, len + 1 + n);
		w->p += n;
	} else
		keep(w, name, len);
	buf_free(&value);
}

static void
parameters(struct words *w)
{
	size_t n;

	while (w->p < w->e) {
		n = word_len(w->p, w->e, ";(\"");
		n += blanks(w->p + n, w->e);
		keep(w, w->p, n);
		w->p += n;
		if (w->p == w->e)
			return;
		if (*w->p == '(') {
			comment(w);
			continue;
		}
		if (*w->p != ';') {
			n = phrase_word(w->p, w->e);
			keep(w, w->p, n);
			w->p += n;
			continue;
		}
		n = 1 + blanks(w->p + 1, w->e);
		buf_add(w->out, w->p, n);
		w->p += n;
		parameter(w);
	}
}

/* ---- which ---- */

static void
unstructured(struct words *w)
{
	text(w, "");
}

static const struct {
	const char	*name;
	void		(*fn)(struct words *);
} fields[] = {
	{ "From", addresses }, { "Sender", addresses }, { "Reply-To", addresses }, { "To", addresses }, { "Cc", addresses },
	{ "Bcc", addresses }, { "Resent-From", addresses }, { "Resent-Sender", addresses }, { "Resent-Reply-To", addresses },
	{ "Resent-To", addresses }, { "Resent-Cc", addresses }, { "Resent-Bcc", addresses }, { "Errors-To", addresses },
	{ "Disposition-Notification-To", addresses }, { "Return-Receipt-To", addresses }, { "Mail-Followup-To", addresses },
	{ "Mail-Reply-To", addresses }, { "Keywords", addresses }, { "List-Id", addresses },
	{ "Content-Type", parameters }, { "Content-Disposition", parameters },
};

/* The end of the field without its last line end. */
static const char *
text_end(const char *p, const char *e)
{
	if (e > p && e[-1] == '\n')
		e--;
	if (e > p && e[-1] == '\r')
		e--;
	return e;
}

bool
mime_words(struct buf *out, const char *field, size_t len, bool force)
{
	const char *colon = memchr(field, ':', len), *end = text_end(field, field + len);
	struct words w = { .out = out, .charset = utf8_valid(field, len) ? "UTF-8" : "unknown-8bit", .e = end, .force = force };
	void (*fn)(struct words *) = unstructured;
	size_t i, n;

	if (colon == NULL || colon > end) {
		keep(&w, field, len);
		return !w.left;
	}
	n = (size_t)(colon - field);
	for (i = 0; i < sizeof fields / sizeof fields[0]; i++)
		if (strlen(fields[i].name) == n && strncasecmp(field, fields[i].name, n) == 0)
			fn = fields[i].fn;
	w.p = colon + 1;
	keep(&w, field, n + 1);
	fn(&w);
	buf_add(out, end, (size_t)(field + len - end));
	return !w.left;
}
