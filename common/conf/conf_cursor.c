/*
 * conf_cursor: walks over the tokens of a statement, takes what is wanted, and says what it met instead.
 *
 * Called by the conf_parse family for each statement. Pure code; owns nothing. What is wrong is reported to the unit with its
 * place, and the caller gets false or NULL.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mail/addr.h"
#include "conf/conf_parse.h"
#include "base/xmalloc.h"

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
conf_want_text(struct parse *p, char **out, const char *what)
{
	const char *s = conf_want(p, what);

	if (s == NULL)
		return false;
	free(*out);
	*out = xstrdup(s);
	return true;
}

bool
conf_want_domain(struct parse *p, char **out, const char *what)
{
	if (!conf_want_text(p, out, what))
		return false;
	return addr_valid_domain(*out, false) || conf_bad(p, conf_last(p), "\"%s\" is not a valid domain name", *out);
}

bool
conf_want_path(struct parse *p, char **out)
{
	if (!conf_want_text(p, out, "a full path"))
		return false;
	return (*out)[0] == '/' || conf_bad(p, conf_last(p), "\"%s\" is not a full path; begin it with /", *out);
}

bool
conf_want_address(struct parse *p, char **out, const char *what)
{
	const char *s = conf_want(p, what);
	struct addr addr;
	size_t used;

	if (s == NULL)
		return false;
	if (addr_parse(s, strlen(s), ADDR_BARE, &addr, &used) != NULL || used != strlen(s) || addr.null)
		return conf_bad(p, conf_last(p), "\"%s\" is not an address", s);
	free(*out);
	*out = xstrdup(addr.text);
	return true;
}

const char *
conf_want_name(struct parse *p, const char *what, int (*index)(const struct conf *, const char *))
{
	char wanted[64];
	const char *name;

	snprintf(wanted, sizeof(wanted), "a name for the %s", what);
	if ((name = conf_want(p, wanted)) == NULL)
		return NULL;
	if (!conf_valid_name(name))
		conf_bad(p, conf_last(p), "\"%s\" cannot be the %s's name; use letters, digits, - _ and .", name, what);
	else if (index(p->conf, name) != -1)
		conf_bad(p, conf_last(p), "a second %s \"%s\"; give it another name", what, name);
	else
		return name;
	return NULL;
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
