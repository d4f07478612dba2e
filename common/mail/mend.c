/*
 * mend: see mend.h. Called by tx for clients that are programs of this host; owns what it keeps of a line and of a field.
 *
 * A long line of the body is broken behind its last blank within 998 octets, else behind 998, but not within a UTF-8 character; one of the
 * header in front of a blank, which folds it, else behind 997 with a blank added.
 */
#include <string.h>
#include <strings.h>
#include "mail/mend.h"

#define LINE_OCTETS	998		/* RFC 5322 2.1.1, without CRLF */
#define FIELD_MOST	(64 * 1024)

/* ---- addresses without a domain ---- */

struct walk {
	const char	*p, *e;
	struct mend	*m;
	struct buf	*out;
	/* of the address that is being read, as far as it was copied */
	unsigned	 words;
	size_t		 end;		/* of its last word, in out */
	bool		 at;		/* it has an @ */
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* (comment), "string" or [literal], to its end. */
static size_t
enclosed(const char *p, const char *e)
{
	char close = *p == '(' ? ')' : *p == '[' ? ']' : '"';
	unsigned depth = 1;
	size_t n;

	for (n = 1; p + n < e; n++) {
		if (p[n] == '\\' && p + n + 1 < e)
			n++;
		else if (p[n] == '(' && close == ')')
			depth++;
		else if (p[n] == close && --depth == 0)
			return n + 1;
	}
	return n;
}

static size_t
atom(const char *p, const char *e)
{
	size_t n = 0;

	while (p + n < e && !is_blank(p[n]) && (p[n] == '\0' || strchr("()<>[]:;@,\"", p[n]) == NULL))
		n++;
	return n;
}

static void
forget(struct walk *w)
{
	w->words = 0;
	w->at = false;
}

/* The address is over: a single word is a local part. */
static void
complete(struct walk *w)
{
	struct buf tail = BUF_INIT;
	size_t n = w->out->len - w->end;

	if (w->words == 1 && !w->at) {
		if (n > 0)
			buf_add(&tail, buf_data(w->out) + w->end, n);
		w->out->len = w->end;
		buf_addf(w->out, "@%s", w->m->domain);
		if (n > 0)
			buf_add(w->out, buf_data(&tail), n);
		buf_free(&tail);
		w->m->done |= MEND_DOMAIN;
	}
	forget(w);
}

static void
take(struct walk *w, size_t n)
{
	buf_add(w->out, w->p, n);
	w->p += n;
}

static void
word(struct walk *w, size_t n)
{
	take(w, n);
	w->words++;
	w->end = w->out->len;
}

static void
special(struct walk *w)
{
	char c = *w->p;

	if (c == '>' || c == ',' || c == ';')
		complete(w);
	else if (c == '<' || c == ':')
		forget(w);
	w->at = w->at || c == '@';
	take(w, 1);
	if (c == '>')			/* what follows up to the comma is no address */
		w->at = true;
}

static void
address_list(struct walk *w)
{
	size_t n;

	while (w->p < w->e) {
		if (is_blank(*w->p))
			take(w, 1);
		else if (*w->p == '(')
			take(w, enclosed(w->p, w->e));
		else if (*w->p == '"' || *w->p == '[')
			word(w, enclosed(w->p, w->e));
		else if ((n = atom(w->p, w->e)) > 0)
			word(w, n);
		else
			special(w);
	}
	complete(w);
}

static bool
has_addresses(const char *p, size_t n)
{
	static const char *const names[] = { "From", "Sender", "Reply-To", "To", "Cc", "Bcc" };
	size_t i;

	if (n > 7 && strncasecmp(p, "Resent-", 7) == 0) {
		p += 7;
		n -= 7;
	}
	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strlen(names[i]) == n && strncasecmp(p, names[i], n) == 0)
			return true;
	return false;
}

/* ---- long lines ---- */

/* Where a line of more than LINE_OCTETS is broken. */
static size_t
break_at(const uint8_t *p, bool header)
{
	size_t n;

	for (n = LINE_OCTETS; n > 1; n--)
		if (p[n - !header] == ' ' || p[n - !header] == '\t')
			return n;
	for (n = LINE_OCTETS - header; n > LINE_OCTETS - 5 && (p[n] & 0xc0) == 0x80; n--)
		;
	return n;
}

/* A field, its lines broken where they are too long. -> bytes of its last line that are left, if more of that line is to come */
static size_t
put_field(struct mend *m, const uint8_t *p, size_t n, bool more, struct buf *out)
{
	const uint8_t *e = p + n, *lf;
	size_t len, k;

	for (; p < e; p = lf) {
		lf = memchr(p, '\n', (size_t)(e - p));
		lf = lf == NULL ? e : lf + 1;
		while ((len = (size_t)(lf - p)) > LINE_OCTETS + 2 && (m->what & MEND_LONG)) {
			k = break_at(p, true);
			buf_add(out, p, k);
			buf_adds(out, p[k] == ' ' || p[k] == '\t' ? "\r\n" : "\r\n ");
			p += k;
			m->done |= MEND_LONG;
		}
		if (more && lf == e && lf[-1] != '\n')
			return len;
		buf_add(out, p, len);
	}
	return 0;
}

/* Body: what is in line is a line that is not complete, or one that is. */
static void
put_line(struct mend *m, struct buf *out)
{
	size_t k;

	while (m->line.len > LINE_OCTETS + 2 && (m->what & MEND_LONG)) {
		k = break_at(buf_data(&m->line), false);
		buf_add(out, buf_data(&m->line), k);
		buf_adds(out, "\r\n");
		buf_drain(&m->line, k);
		m->done |= MEND_LONG;
	}
}

/* ---- the header ---- */

static void
end_field(struct mend *m, struct buf *out)
{
	const char *p = (const char *)buf_data(&m->field);
	size_t n = m->field.len;
	const char *colon = n > 0 ? memchr(p, ':', n) : NULL;
	struct buf whole = BUF_INIT;
	struct walk w = { .e = p + n, .m = m, .out = &whole };

	if ((m->what & MEND_DOMAIN) && !m->cut && colon != NULL && has_addresses(p, (size_t)(colon - p))) {
		buf_add(&whole, p, (size_t)(colon + 1 - p));
		w.p = colon + 1;
		address_list(&w);
		put_field(m, buf_data(&whole), whole.len, false, out);
	} else if (n > 0)
		put_field(m, buf_data(&m->field), n, false, out);
	buf_free(&whole);
	buf_reset(&m->field, FIELD_MOST);
	m->cut = false;
}

static bool
starts(const struct buf *b, const char *with)
{
	return b->len >= strlen(with) && memcmp(buf_data(b), with, strlen(with)) == 0;
}

/* m->line is a whole line, or as much as is kept of one. */
static void
header_line(struct mend *m, struct buf *out)
{
	const uint8_t *p = buf_data(&m->line);

	if ((m->what & MEND_FROM) && !m->begun && (starts(&m->line, "From ") || starts(&m->line, ">From "))) {
		m->done |= MEND_FROM;
		return;
	}
	m->begun = true;
	if (m->field.len > 0 && !m->mid && p[0] != ' ' && p[0] != '\t')
		end_field(m, out);
	if (m->line.len == 2 && !m->mid && p[0] == '\r') {
		buf_add(out, p, 2);
		m->in_body = true;
		return;
	}
	m->mid = p[m->line.len - 1] != '\n';
	buf_add(&m->field, p, m->line.len);
	if (m->field.len > FIELD_MOST) {
		m->cut = true;
		buf_drain(&m->field, m->field.len - put_field(m, buf_data(&m->field), m->field.len, true, out));
	}
}

/* ---- bytes ---- */

/* Adds to the line what is not NUL. */
static void
gather(struct mend *m, const uint8_t *p, size_t n)
{
	const uint8_t *nul, *e = p + n;

	while ((m->what & MEND_NUL) && (nul = memchr(p, '\0', (size_t)(e - p))) != NULL) {
		buf_add(&m->line, p, (size_t)(nul - p));
		p = nul + 1;
		m->done |= MEND_NUL;
	}
	buf_add(&m->line, p, (size_t)(e - p));
}

static void
flush_line(struct mend *m, bool whole, struct buf *out)
{
	if (m->in_body)
		put_line(m, out);
	if (!whole)
		return;
	if (m->in_body) {
		if (m->line.len > 0)
			buf_add(out, buf_data(&m->line), m->line.len);
	} else
		header_line(m, out);
	buf_reset(&m->line, FIELD_MOST);
}

void
mend_feed(struct mend *m, const uint8_t *p, size_t n, struct buf *out)
{
	const uint8_t *e = p + n, *lf;
	size_t k;

	for (; p < e; p += k) {
		if (m->in_body && !(m->what & (MEND_NUL | MEND_LONG)) && m->line.len == 0) {
			buf_add(out, p, (size_t)(e - p));
			return;
		}
		lf = memchr(p, '\n', (size_t)(e - p));
		k = lf != NULL ? (size_t)(lf - p) + 1 : (size_t)(e - p);
		gather(m, p, k);
		if (m->line.len > 0)
			flush_line(m, lf != NULL || (!m->in_body && m->line.len > FIELD_MOST), out);
	}
}

void
mend_end(struct mend *m, struct buf *out)
{
	if (m->line.len > 0)
		flush_line(m, true, out);
	end_field(m, out);
}

void
mend_init(struct mend *m, unsigned what, const char *domain)
{
	*m = (struct mend){ .what = what, .domain = domain };
}

void
mend_free(struct mend *m)
{
	buf_free(&m->line);
	buf_free(&m->field);
}

const char *
mend_words(unsigned done)
{
	static const struct { unsigned bit; const char *words; } all[] = {
		{ MEND_NUL, "NUL bytes dropped" }, { MEND_LONG, "long lines broken" }, { MEND_FROM, "\"From \" lines in front dropped" },
		{ MEND_DOMAIN, "addresses completed with the domain" },
	};
	static char text[160];
	size_t i;

	text[0] = '\0';
	for (i = 0; i < sizeof all / sizeof all[0]; i++)
		if (done & all[i].bit) {
			strlcat(text, text[0] != '\0' ? ", " : "", sizeof text);
			strlcat(text, all[i].words, sizeof text);
		}
	return text;
}
