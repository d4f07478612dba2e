/*
 * conf_cursor: walks over the tokens of a statement, and says what it met instead of what was expected.
 *
 * Called by the conf_parse family for each statement. Pure code; owns nothing. What is wrong is reported to the unit with its
 * place, and the caller gets false or NULL.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf_parse.h"
#include "xmalloc.h"

const struct conf_tok *
conf_peek(const struct parse *p)
{
	return p->i < p->st->n ? &p->st->v[p->i] : NULL;
}

const struct conf_tok *
conf_next(struct parse *p)
{
	return p->i < p->st->n ? &p->st->v[p->i++] : NULL;
}

const struct conf_tok *
conf_last(const struct parse *p)
{
	return &p->st->v[p->i > 0 ? p->i - 1 : 0];
}

bool
conf_accept(struct parse *p, const char *word)
{
	if (!conf_tok_is(conf_peek(p), word))
		return false;
	p->i++;
	return true;
}

bool
conf_accept_kind(struct parse *p, enum tok_kind kind)
{
	const struct conf_tok *t = conf_peek(p);

	if (t == NULL || t->kind != kind)
		return false;
	p->i++;
	return true;
}

bool
conf_bad(struct parse *p, const struct conf_tok *t, const char *fmt, ...)
{
	struct conf_pos pos;
	char *text;
	va_list ap;

	if (t != NULL) {
		pos = t->pos;
	} else {
		t = &p->st->v[p->st->n - 1];
		pos = t->pos;
		pos.col += t->text == NULL ? 1 : (unsigned)strlen(t->text) + 2 * (t->kind == TOK_STRING || t->kind == TOK_TABLE);
	}
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) == -1)
		text = xstrdup(fmt);
	va_end(ap);
	conf_report(p->unit, &pos, false, "%s", text);
	free(text);
	return false;
}

bool
conf_expected(struct parse *p, const struct conf_tok *t, const char *what)
{
	static const char *const punct[] = {
		[TOK_OPEN] = "{", [TOK_CLOSE] = "}", [TOK_COMMA] = "a comma or line end", [TOK_EQUAL] = "=", [TOK_NOT] = "!"
	};

	if (t == NULL)
		return conf_bad(p, t, "the statement ends here; expected %s", what);
	if (t->kind == TOK_WORD)
		return conf_bad(p, t, "unexpected \"%s\"; expected %s", t->text, what);
	if (t->kind == TOK_STRING)
		return conf_bad(p, t, "unexpected quoted string \"%s\"; expected %s", t->text, what);
	if (t->kind == TOK_TABLE)
		return conf_bad(p, t, "unexpected table <%s>; expected %s", t->text, what);
	return conf_bad(p, t, "unexpected %s; expected %s", punct[t->kind], what);
}

const char *
conf_want(struct parse *p, const char *what)
{
	const struct conf_tok *t = conf_peek(p);

	if (t == NULL || (t->kind != TOK_WORD && t->kind != TOK_STRING)) {
		conf_expected(p, t, what);
		return NULL;
	}
	p->i++;
	return t->text;
}

bool
conf_want_kind(struct parse *p, enum tok_kind kind, const char *what)
{
	return conf_accept_kind(p, kind) || conf_expected(p, conf_peek(p), what);
}

bool
conf_want_end(struct parse *p)
{
	return conf_peek(p) == NULL || conf_expected(p, conf_peek(p), "the end of the statement");
}
