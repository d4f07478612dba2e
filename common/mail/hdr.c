/*
 * hdr: header fields and address lists by the grammar of RFC 5322 (3.2 to 3.4, with the obsolete forms of 4.4).
 *
 * Called by sendmail (-t) and the queue's bounces; owns nothing. Bad input is false or -1, with all that could be read
 * given first. An address that is given has no control character, comment or folding in it, and is at most ADDRESS_MAX bytes.
 */
#include <string.h>
#include <strings.h>
#include "mail/hdr.h"

#define ADDRESS_MAX	998

/* ---- fields ---- */

/* Where the line at p ends: behind its LF, or e. */
static const char *
line_end(const char *p, const char *e)
{
	const char *lf = memchr(p, '\n', (size_t)(e - p));

	return lf != NULL ? lf + 1 : e;
}

bool
hdr_next(const char *msg, size_t len, size_t *at, struct hdr_field *f)
{
	const char *p, *e = msg + len, *colon, *end;

	if (*at >= len)
		return false;
	f->name = p = msg + *at;
	while (p < e && *p > ' ' && *p < 0x7f && *p != ':')
		p++;
	f->name_len = (size_t)(p - f->name);
	while (p < e && (*p == ' ' || *p == '\t'))
		p++;
	if (f->name_len == 0 || p == e || *p != ':')
		return false;
	colon = p;
	do
		p = line_end(p, e);
	while (p < e && (*p == ' ' || *p == '\t'));
	f->whole_len = (size_t)(p - f->name);
	*at += f->whole_len;
	f->value = colon + 1;
	end = p;
	if (end > f->value && end[-1] == '\n')
		end--;
	if (end > f->value && end < p && end[-1] == '\r')
		end--;
	f->value_len = (size_t)(end - f->value);
	return true;
}

bool
hdr_is(const struct hdr_field *f, const char *name)
{
	return strlen(name) == f->name_len && strncasecmp(f->name, name, f->name_len) == 0;
}

/* ---- address lists ---- */

struct out {			/* text that is gathered, unquoted */
	char	s[ADDRESS_MAX + 1];
	size_t	n;
	bool	bad;		/* too long, or a control character */
};

struct list {
	const char	*p, *e;
	bool		 bad, in_group;
	int		 count;
	void		(*cb)(void *, const char *);
	void		*arg;
	struct out	 local, domain;
};

static void
add(struct out *o, char c)
{
	if (o->n == ADDRESS_MAX || ((unsigned char)c < ' ' && c != '\t') || c == 0x7f)
		o->bad = true;
	else
		o->s[o->n++] = c == '\t' ? ' ' : c;
}

static void
reset(struct out *o)
{
	o->n = 0;
	o->bad = false;
}

/* atext, and all of UTF-8. */
static bool
is_atext(char c)
{
	if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80)
		return true;
	return c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL;
}

static bool
peek(const struct list *l, char c)
{
	return l->p < l->e && *l->p == c;
}

static bool
take(struct list *l, char c)
{
	if (!peek(l, c))
		return false;
	l->p++;
	return true;
}

/* Nested, with quoted-pairs; l->p is at its parenthesis. */
static void
skip_comment(struct list *l)
{
	size_t depth = 0;

	for (; l->p < l->e; l->p++) {
		if (*l->p == '(')
			depth++;
		else if (*l->p == ')' && --depth == 0) {
			l->p++;
			return;
		} else if (*l->p == '\\' && l->p + 1 < l->e)
			l->p++;
	}
	l->bad = true;
}

/* [CFWS] */
static void
skip_cfws(struct list *l)
{
	while (l->p < l->e) {
		if (*l->p == '(')
			skip_comment(l);
		else if (*l->p == ' ' || *l->p == '\t' || *l->p == '\r' || *l->p == '\n')
			l->p++;
		else
			return;
	}
}

static void
atom(struct list *l, struct out *o)
{
	while (l->p < l->e && is_atext(*l->p))
		add(o, *l->p++);
}

/* Up to the closing character; folding goes, quoted-pairs are taken apart. False: it has no end. */
static bool
delimited(struct list *l, struct out *o, char close)
{
	char c;

	for (l->p++; l->p < l->e; ) {
		c = *l->p++;
		if (c == close)
			return true;
		if (c == '\\' && l->p < l->e)
			c = *l->p++;
		else if (c == '\r' || c == '\n')
			continue;
		add(o, c);
	}
	return false;
}

/* What was read of one address or display name before the character that tells which it is. */
struct words {
	size_t	words, dots;
	bool	phrase;		/* words side by side, or misplaced dots: no local part */
	bool	broken;		/* a quoted string without end */
};

static bool
read_word(struct list *l, struct words *w, bool *after_word)
{
	if (peek(l, '.')) {
		w->phrase = w->phrase || !*after_word;
		w->dots++;
		*after_word = false;
		add(&l->local, *l->p++);
		return true;
	}
	if (!peek(l, '"') && (l->p == l->e || !is_atext(*l->p)))
		return false;
	w->phrase = w->phrase || *after_word;
	w->words++;
	*after_word = true;
	if (!peek(l, '"'))
		atom(l, &l->local);
	else if (!delimited(l, &l->local, '"'))
		w->broken = true;
	return true;
}

/* *( word / "." ) into l->local: a local part, or a phrase. */
static struct words
read_words(struct list *l)
{
	struct words w = { 0, 0, false, false };
	bool after_word = false;

	reset(&l->local);
	for (skip_cfws(l); read_word(l, &w, &after_word); skip_cfws(l))
		;
	w.phrase = w.phrase || !after_word;
	return w;
}

/* Domain = dot-atom / domain-literal / obs-domain */
static bool
read_domain(struct list *l, struct out *o)
{
	reset(o);
	skip_cfws(l);
	if (peek(l, '[')) {
		add(o, '[');
		if (!delimited(l, o, ']'))
			return false;
		add(o, ']');
		o->s[o->n] = '\0';
		return !o->bad && strcspn(o->s + 1, " []\\") == o->n - 2;
	}
	for (;;) {
		size_t had = o->n;

		atom(l, o);
		if (o->n == had)
			return false;
		skip_cfws(l);
		if (!take(l, '.'))
			return !o->bad;
		add(o, '.');
		skip_cfws(l);
	}
}

static bool
is_dot_atom(const struct out *o)
{
	size_t i;

	for (i = 0; i < o->n; i++)
		if (!is_atext(o->s[i]) && (o->s[i] != '.' || i == 0 || i + 1 == o->n || o->s[i + 1] == '.'))
			return false;
	return o->n > 0;
}

/* local and domain (NULL: none) as RFC 5321 writes them: quotes where they are needed only. */
static void
give(struct list *l, const struct out *domain)
{
	static const struct out none;
	char text[ADDRESS_MAX + 1];
	const struct out *d = domain != NULL ? domain : &none;
	bool quote = !is_dot_atom(&l->local);
	size_t i, n = 0;

	if (l->local.bad || 2 * l->local.n + d->n + 4 > sizeof text) {
		l->bad = true;
		return;
	}
	if (quote)
		text[n++] = '"';
	for (i = 0; i < l->local.n; i++) {
		if (l->local.s[i] == '"' || l->local.s[i] == '\\')
			text[n++] = '\\';
		text[n++] = l->local.s[i];
	}
	if (quote)
		text[n++] = '"';
	if (domain != NULL)
		text[n++] = '@';
	memcpy(text + n, d->s, d->n);
	text[n + d->n] = '\0';
	l->count++;
	l->cb(l->arg, text);
}

/* obs-route = 1*( "," / "@" domain ) ":"; dropped. */
static bool
skip_route(struct list *l)
{
	for (;;) {
		skip_cfws(l);
		if (take(l, ':'))
			return true;
		if (!take(l, ',') && (!take(l, '@') || !read_domain(l, &l->domain)))
			return false;
	}
}

/* angle-addr = "<" [obs-route] addr-spec ">"; a bare local part will do. */
static bool
read_angle(struct list *l)
{
	struct words w;
	bool has_domain;

	l->p++;
	skip_cfws(l);
	if ((peek(l, '@') || peek(l, ',')) && !skip_route(l))
		return false;
	w = read_words(l);
	if (w.phrase || w.broken)
		return false;
	has_domain = take(l, '@');
	if (has_domain && !read_domain(l, &l->domain))
		return false;
	skip_cfws(l);
	if (!take(l, '>'))
		return false;
	give(l, has_domain ? &l->domain : NULL);
	return true;
}

/* Where an element may end. */
static bool
at_end(const struct list *l)
{
	return l->p == l->e || *l->p == ',' || *l->p == ';';
}

/* addr-spec, after its local part. "a@b <c@d>" is seen in the field: then it was a display name. */
static bool
read_at(struct list *l, const struct words *w)
{
	l->p++;
	if (w->phrase || !read_domain(l, &l->domain))
		return false;
	skip_cfws(l);
	if (peek(l, '<'))
		return read_angle(l);
	if (!at_end(l))
		return false;
	give(l, &l->domain);
	return true;
}

/* address = mailbox / group. False: malformed. */
static bool
read_address(struct list *l)
{
	struct words w = read_words(l);

	if (w.broken)
		return false;
	if (peek(l, '<'))
		return read_angle(l);
	if (peek(l, '@'))
		return read_at(l, &w);
	if (peek(l, ':') && !l->in_group && w.words > 0) {
		l->p++;
		l->in_group = true;
		return true;
	}
	if (w.words == 0 && w.dots == 0)
		return true;		/* an empty element */
	if (w.phrase || !at_end(l))
		return false;
	give(l, NULL);
	return true;
}

/* To the end of a malformed element. */
static void
skip_element(struct list *l)
{
	l->bad = true;
	while (!at_end(l)) {
		reset(&l->local);
		if (*l->p == '(')
			skip_comment(l);
		else if (*l->p == '"')
			(void)delimited(l, &l->local, '"');
		else
			l->p++;
	}
}

/* What stands between elements. A ';' that closes no group separates, as some write it, but is malformed. */
static void
read_separator(struct list *l)
{
	skip_cfws(l);
	if (!at_end(l))
		skip_element(l);
	if (take(l, ';')) {
		l->bad = l->bad || !l->in_group;
		l->in_group = false;
		skip_cfws(l);
		if (l->p < l->e && !take(l, ','))
			l->bad = true;
	} else
		take(l, ',');
}

int
hdr_addresses(const char *value, size_t len, void (*cb)(void *, const char *addr), void *arg)
{
	struct list l = { .p = value, .e = value + len, .cb = cb, .arg = arg };
	bool was_in_group;

	while (l.p < l.e) {
		was_in_group = l.in_group;
		if (!read_address(&l))
			skip_element(&l);
		if (was_in_group || !l.in_group)
			read_separator(&l);
	}
	return l.bad || l.in_group ? -1 : l.count;
}
