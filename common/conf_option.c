/*
 * conf_option: tables of options (a word, and what reads the rest of it), and blocks { item, item ... }.
 *
 * Called by the statements of the conf_parse family. Pure code; owns nothing. After a bad option its statement is left, after a bad item
 * reading goes on with the next one, so that all mistakes of a block are reported.
 */
#include "conf_parse.h"

static bool
unknown_option(struct parse *p, const struct opt_row *rows, size_t n)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < n; i++)
		if (rows[i].fn != NULL)
			buf_addf(&b, "%s%s", b.len == 0 ? "" : ", ", rows[i].word);
	if (b.len == 0)
		buf_adds(&b, "the end of the statement");
	conf_expected(p, conf_peek(p), buf_str(&b));
	buf_free(&b);
	return false;
}

bool
conf_option(struct parse *p, const struct opt_row *rows, size_t n, void *obj, unsigned *seen)
{
	const struct conf_tok *t = conf_peek(p);

	for (size_t i = 0; i < n; i++) {
		if (!conf_tok_is(t, rows[i].word))
			continue;
		if (rows[i].fn == NULL)
			return conf_bad(p, t, "\"%s\" is not available yet; take it out", t->text);
		if (*seen & rows[i].once)
			return conf_bad(p, t, "\"%s\" is one too many here; such an option stands once", t->text);
		*seen |= rows[i].once;
		p->i++;
		return rows[i].fn(p, obj);
	}
	return unknown_option(p, rows, n);
}

bool
conf_options(struct parse *p, const struct opt_row *rows, size_t n, void *obj, unsigned *seen)
{
	while (conf_peek(p) != NULL)
		if (!conf_option(p, rows, n, obj, seen))
			return false;
	return true;
}

bool
conf_items(struct parse *p, bool (*one)(struct parse *, void *), void *obj)
{
	const struct conf_tok *t;
	bool ok = true;

	if (!conf_want_kind(p, TOK_OPEN, "{"))
		return false;
	for (;;) {
		while (conf_accept_kind(p, TOK_COMMA))
			;
		if (conf_accept_kind(p, TOK_CLOSE))
			return conf_want_end(p) && ok;
		if (conf_peek(p) == NULL)
			return conf_expected(p, NULL, "}");
		if (one(p, obj)) {
			t = conf_peek(p);
			if (t == NULL || t->kind == TOK_COMMA || t->kind == TOK_CLOSE)
				continue;
			conf_expected(p, t, "a comma, a line end or }");
		}
		ok = false;
		while ((t = conf_peek(p)) != NULL && t->kind != TOK_COMMA && t->kind != TOK_CLOSE)
			p->i++;
	}
}
