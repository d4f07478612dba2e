/*
 * conf_macro: raw statements -> statements without macros and includes; and back to text.
 *
 * Called by conf_load and conf_parse. Pure code: reading an included file is the unit's callback. A macro is a list of
 * tokens: $name as a word of its own stands for all of them, $name inside a word must be one word. Mistakes are reported.
 */
#include <stdlib.h>
#include <string.h>
#include "conf/conf_parse.h"
#include "base/xmalloc.h"

#define SPENT_MAX	(16 * 1024 * 1024)	/* bytes that macros may grow to: $a $a in $b, $b $b in $c ... */

static bool
macro_char(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (!first && c >= '0' && c <= '9');
}

static size_t
macro_len(const char *s)
{
	size_t n = 0;

	while (macro_char(s[n], n == 0))
		n++;
	return n;
}

bool
conf_macro_name(const char *s, size_t n)
{
	return n > 0 && macro_len(s) == n;
}

static struct conf_macro *
macro_find(struct conf_unit *u, const char *name, size_t n)
{
	for (size_t i = 0; i < u->nmacro; i++)
		if (strlen(u->macro[i].name) == n && memcmp(u->macro[i].name, name, n) == 0)
			return &u->macro[i];
	return NULL;
}

void
conf_macro_set(struct conf_unit *u, const char *name, struct conf_stmt *value, bool fixed)
{
	struct conf_macro *m = macro_find(u, name, strlen(name));

	if (m == NULL) {
		u->macro = conf_more(u->macro, u->nmacro, sizeof(*u->macro));
		m = &u->macro[u->nmacro++];
		m->name = xstrdup(name);
	} else if (m->fixed && !fixed) {
		conf_stmt_free(value);
		return;
	}
	conf_stmt_free(&m->value);
	m->value = *value;
	m->fixed = fixed;
}

static bool
spend(struct conf_unit *u, const struct conf_pos *pos, size_t n)
{
	if (u->spent > SPENT_MAX)
		return false;
	u->spent += n;
	if (u->spent > SPENT_MAX)
		conf_report(u, pos, false, "macros within macros grow too large here; write a table instead");
	return u->spent <= SPENT_MAX;
}

/* The macro whose name begins at s (behind the dollar). */
static struct conf_macro *
macro_at(struct conf_unit *u, const struct conf_tok *t, const char *s, size_t *n)
{
	struct conf_macro *m;

	*n = macro_len(s);
	if (*n == 0) {
		conf_report(u, &t->pos, false, "a $ without a macro's name; a word with a real $ goes in quotes");
		return NULL;
	}
	if ((m = macro_find(u, s, *n)) == NULL)
		conf_report(u, &t->pos, false, "there is no macro $%.*s; define it above with %.*s = value, or with -D",
		    (int)*n, s, (int)*n, s);
	else
		m->used = true;
	return m;
}

/* $name is the whole word: all tokens of the macro. */
static bool
expand_whole(struct conf_unit *u, const struct conf_tok *t, struct conf_stmt *out)
{
	const struct conf_tok *v;
	struct conf_macro *m;
	size_t n;

	if ((m = macro_at(u, t, t->text + 1, &n)) == NULL)
		return false;
	for (size_t i = 0; i < m->value.n; i++) {
		v = &m->value.v[i];
		n = v->text == NULL ? 0 : strlen(v->text);
		if (!spend(u, &t->pos, n + sizeof(*v)))
			return false;
		conf_tok_add(out, v->kind, v->text, n, &t->pos);
	}
	return true;
}

/* $name/rest: the text of the macro, which must be one word. */
static bool
expand_inside(struct conf_unit *u, const struct conf_tok *t, struct conf_stmt *out)
{
	struct buf b = BUF_INIT;
	struct conf_macro *m;
	const char *s, *d;
	bool ok = false;
	size_t n;

	for (s = t->text; (d = strchr(s, '$')) != NULL; s = d + 1 + n) {
		buf_add(&b, s, (size_t)(d - s));
		if ((m = macro_at(u, t, d + 1, &n)) == NULL)
			goto done;
		if (m->value.n != 1 || m->value.v[0].text == NULL) {
			conf_report(u, &t->pos, false, "$%s is more than one word; inside of a word it must be one", m->name);
			goto done;
		}
		if (!spend(u, &t->pos, strlen(m->value.v[0].text) + b.len))
			goto done;
		buf_adds(&b, m->value.v[0].text);
	}
	buf_adds(&b, s);
	conf_tok_add(out, TOK_WORD, buf_str(&b), b.len, &t->pos);
	ok = true;
done:
	buf_free(&b);
	return ok;
}

static bool
expand_tokens(struct conf_unit *u, const struct conf_stmt *in, size_t from, struct conf_stmt *out)
{
	const struct conf_tok *t;
	bool ok = true;

	for (size_t i = from; i < in->n; i++) {
		t = &in->v[i];
		if (t->kind != TOK_WORD || strchr(t->text, '$') == NULL)
			conf_tok_add(out, t->kind, t->text, t->text == NULL ? 0 : strlen(t->text), &t->pos);
		else if (t->text[0] == '$' && t->text[1] != '\0' && t->text[1 + macro_len(t->text + 1)] == '\0')
			ok &= expand_whole(u, t, out);
		else
			ok &= expand_inside(u, t, out);
	}
	return ok;
}

static void
define(struct conf_unit *u, const struct conf_stmt *st)
{
	const char *name = st->v[0].text;
	struct conf_stmt value = { 0 };

	if (!conf_macro_name(name, strlen(name)))
		conf_report(u, &st->v[0].pos, false, "\"%s\" cannot name a macro; use letters, digits and _", name);
	else if (u->is_statement(name))
		conf_report(u, &st->v[1].pos, false, "\"%s\" is a statement, not a macro; write it without the =", name);
	else if (st->n == 2)
		conf_report(u, &st->v[1].pos, false, "the macro %s has no value; write one behind the =, or \"\"", name);
	else if (expand_tokens(u, st, 2, &value)) {
		conf_macro_set(u, name, &value, false);
		return;
	}
	conf_stmt_free(&value);
}

/* .at "file" LINE in text of ours tells where the next statement stood. */
static void
restamp(struct conf_unit *u, const struct conf_stmt *at, struct conf_stmt *st)
{
	struct conf_pos pos = { .col = 1 };

	if (at->n != 3 || at->v[1].text == NULL || at->v[2].text == NULL)
		return;
	if (u->nfile > 0 && strcmp(u->file[u->nfile - 1], at->v[1].text) == 0) {
		pos.nr = (unsigned)u->nfile - 1;
		pos.file = u->file[pos.nr];
	} else {
		pos.file = conf_unit_file(u, at->v[1].text, &pos.nr);
	}
	pos.line = (unsigned)strtoul(at->v[2].text, NULL, 10);
	for (size_t i = 0; i < st->n; i++)
		st->v[i].pos = pos;
}

static void
expand_statement(struct conf_unit *u, const struct conf_stmt *st)
{
	struct conf_stmt out = { 0 };

	if (st->n >= 2 && st->v[0].kind == TOK_WORD && st->v[1].kind == TOK_EQUAL) {
		define(u, st);
		return;
	}
	if (!expand_tokens(u, st, 0, &out) || out.n == 0) {
		conf_stmt_free(&out);
		return;
	}
	if (!conf_tok_is(&out.v[0], "include")) {
		*conf_stmt_new(&u->stmts) = out;
		return;
	}
	if (u->include == NULL)
		conf_report(u, &out.v[0].pos, false, "include is not possible here");
	else
		u->include(u, &out);
	conf_stmt_free(&out);
}

void
conf_expand(struct conf_unit *u, struct conf_stmts *raw)
{
	for (size_t i = 0; i < raw->n; i++) {
		if (!u->internal || !conf_tok_is(&raw->v[i].v[0], ".at"))
			expand_statement(u, &raw->v[i]);
		else if (i + 1 < raw->n)
			restamp(u, &raw->v[i], &raw->v[i + 1]);
	}
}

/* ---- and back ---- */

static bool
plain(const char *s)
{
	if (*s == '\0' || *s == '!' || *s == '<')
		return false;
	for (; *s != '\0'; s++)
		if ((unsigned char)*s <= 0x20 || *s == 0x7f || strchr("\"{},=#$\\", *s) != NULL)
			return false;
	return true;
}

static void
write_quoted(struct buf *b, const char *s)
{
	buf_add(b, "\"", 1);
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			buf_add(b, "\\", 1);
		buf_add(b, s, 1);
	}
	buf_add(b, "\"", 1);
}

static void
write_token(struct buf *b, const struct conf_tok *t)
{
	static const char *const punct[] = { [TOK_OPEN] = "{", [TOK_CLOSE] = "}", [TOK_COMMA] = ",", [TOK_EQUAL] = "=", [TOK_NOT] = "!" };

	if (t->kind == TOK_TABLE)
		buf_addf(b, "<%s>", t->text);
	else if (t->text == NULL)
		buf_adds(b, punct[t->kind]);
	else if (t->kind == TOK_WORD && (plain(t->text) || strcmp(t->text, "<>") == 0))
		buf_adds(b, t->text);
	else
		write_quoted(b, t->text);
}

static void
write_statement(struct buf *b, const struct conf_stmt *st)
{
	for (size_t i = 0; i < st->n; i++) {
		if (i > 0)
			buf_add(b, " ", 1);
		write_token(b, &st->v[i]);
	}
}

char *
conf_stmt_text(const struct conf_stmt *st)
{
	struct buf b = BUF_INIT;
	char *text;

	write_statement(&b, st);
	text = xstrdup(buf_str(&b));
	buf_free(&b);
	return text;
}

void
conf_write(const struct conf_unit *u, struct buf *b)
{
	const struct conf_stmt *st;

	for (size_t i = 0; i < u->stmts.n; i++) {
		st = &u->stmts.v[i];
		buf_adds(b, ".at ");
		write_quoted(b, st->v[0].pos.file);
		buf_addf(b, " %u\n", st->v[0].pos.line);
		write_statement(b, st);
		buf_add(b, "\n", 1);
	}
}
