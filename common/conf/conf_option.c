/*
 * conf_option: tables of options (a word, and what reads the rest of it), and blocks { item, item ... }.
 *
 * Called by the statements of the conf_parse family. Pure code; owns nothing. After a bad option its statement is left, after a bad item
 * reading goes on with the next one, so that all mistakes of a block are reported.
 */
#include <string.h>
#include "conf/conf_parse.h"

#define NEAR_LEN	32

/* Letters that are wrong, missing, too many, or two of them the wrong way round (Damerau's distance). */
static unsigned
distance(const char *a, size_t la, const char *b, size_t lb)
{
	unsigned d[NEAR_LEN + 1][NEAR_LEN + 1];

	for (size_t i = 0; i <= la; i++)
		for (size_t j = 0; j <= lb; j++) {
			if (i == 0 || j == 0) {
				d[i][j] = (unsigned)(i + j);
				continue;
			}
			d[i][j] = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			if (d[i - 1][j] + 1 < d[i][j])
				d[i][j] = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < d[i][j])
				d[i][j] = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	return d[la][lb];
}

const char *
conf_nearest(const char *word, const char *const *words, size_t n)
{
	size_t len = strlen(word);
	unsigned best = len > 4 ? 3 : 2, d;
	const char *found = NULL;

	for (size_t i = 0; i < n && len > 2 && len <= NEAR_LEN; i++) {
		if (strlen(words[i]) > NEAR_LEN)
			continue;
		d = distance(word, len, words[i], strlen(words[i]));
		if (d < best) {
			best = d;
			found = words[i];
		}
	}
	return found;
}

static bool
unknown_option(struct parse *p, const struct opt_row *rows, size_t n)
{
	struct buf b = BUF_INIT;
	const struct conf_tok *t = conf_peek(p);
	const char *near;

	for (size_t i = 0; i < n; i++)
		if (rows[i].fn != NULL)
			buf_addf(&b, "%s%s", b.len == 0 ? "" : ", ", rows[i].word);
	for (size_t i = 0; i < n; i++)
		if (rows[i].fn != NULL && t != NULL && t->text != NULL && (near = conf_nearest(t->text, &rows[i].word, 1)) != NULL) {
			buf_addf(&b, "; is it %s?", near);
			break;
		}
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
