/*
 * conf_lex: bytes of one configuration file -> raw statements.
 *
 * Called by conf_load (each file) and conf_parse (the text of the parent). Pure code. Owns nothing after it returns: the
 * statements belong to the caller. What is wrong is reported with its place; the statement it stands in is left out, and
 * reading goes on behind it, so that one mistake does not hide the next.
 */
#include <string.h>
#include "conf/conf_lex.h"
#include "base/xmalloc.h"

struct lex {
	struct conf_unit	*unit;
	struct conf_stmts	*out;
	struct conf_stmt	 cur;
	const char		*p, *end, *bol;		/* bol: beginning of the line, for columns */
	struct conf_pos		 pos;			/* file and line */
	bool			 bad;			/* the current statement has an error */
	bool			 open;			/* within braces */
	struct conf_pos		 open_pos;
	const char		*open_p, *open_bol;	/* right behind the brace, to start again from there */
};

static struct conf_pos
here(const struct lex *l)
{
	struct conf_pos pos = l->pos;

	pos.col = (unsigned)(l->p - l->bol) + 1;
	return pos;
}

static void
lex_bad(struct lex *l, const struct conf_pos *pos, const char *what)
{
	conf_report(l->unit, pos, false, "%s", what);
	l->bad = true;
}

static void
end_statement(struct lex *l)
{
	if (l->bad || l->cur.n == 0)
		conf_stmt_free(&l->cur);
	else
		*conf_stmt_new(l->out) = l->cur;
	memset(&l->cur, 0, sizeof(l->cur));
	l->bad = false;
}

static bool
at_newline(const struct lex *l, const char *p)
{
	return p < l->end && (*p == '\n' || (*p == '\r' && p + 1 < l->end && p[1] == '\n'));
}

static void
newline(struct lex *l)
{
	l->p += *l->p == '\r' ? 2 : 1;
	l->pos.line++;
	l->bol = l->p;
}

static void
lex_newline(struct lex *l)
{
	struct conf_pos pos = here(l);

	newline(l);
	if (l->open)
		conf_tok_add(&l->cur, TOK_COMMA, NULL, 0, &pos);
	else
		end_statement(l);
}

static void
skip_comment(struct lex *l)
{
	while (l->p < l->end && *l->p != '\n')
		l->p++;
}

/* "..." with \" and \\ on one line. */
static void
lex_string(struct lex *l)
{
	struct conf_pos pos = here(l), esc;
	struct buf b = BUF_INIT;
	char c;

	for (l->p++; l->p < l->end && *l->p != '"' && *l->p != '\n'; l->p++) {
		c = *l->p;
		if (c == '\\' && l->p + 1 < l->end && (l->p[1] == '"' || l->p[1] == '\\')) {
			c = *++l->p;
		} else if (c == '\\') {
			esc = here(l);
			lex_bad(l, &esc, "a lone backslash in a string; only \\\" and \\\\ are known, write \\\\ for one backslash");
		} else if ((unsigned char)c < 0x20 && c != '\t') {
			esc = here(l);
			lex_bad(l, &esc, "a control character in a string; take it out");
			c = '?';
		}
		buf_add(&b, &c, 1);
	}
	if (l->p < l->end && *l->p == '"')
		l->p++;
	else
		lex_bad(l, &pos, "this string is not closed; end it with \" on the same line");
	conf_tok_add(&l->cur, TOK_STRING, buf_str(&b), b.len, &pos);
	buf_free(&b);
}

static bool
name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

/* <name> is a table; <> stands for the null reverse-path. */
static void
lex_table(struct lex *l)
{
	struct conf_pos pos = here(l);
	const char *s = ++l->p;

	while (l->p < l->end && name_char(*l->p))
		l->p++;
	if (l->p >= l->end || *l->p != '>') {
		lex_bad(l, &pos, "a table is written <name>, with letters, digits, - _ and .; the > is missing here");
		return;
	}
	if (l->p == s)
		conf_tok_add(&l->cur, TOK_WORD, "<>", 2, &pos);
	else
		conf_tok_add(&l->cur, TOK_TABLE, s, (size_t)(l->p - s), &pos);
	l->p++;
}

static void
lex_open(struct lex *l)
{
	struct conf_pos pos = here(l);

	if (l->open) {
		conf_report(l->unit, &pos, false, "a { within the braces opened in line %u; is a } missing before it?", l->open_pos.line);
		l->bad = true;
	}
	conf_tok_add(&l->cur, TOK_OPEN, NULL, 0, &pos);
	l->p++;
	l->open = true;
	l->open_pos = pos;
	l->open_p = l->p;
	l->open_bol = l->bol;
}

static void
lex_close(struct lex *l)
{
	struct conf_pos pos = here(l);

	if (!l->open)
		lex_bad(l, &pos, "a } without a {; take it out");
	conf_tok_add(&l->cur, TOK_CLOSE, NULL, 0, &pos);
	l->p++;
	l->open = false;
}

/* %{user} and its like belong to a word. -> bytes, 0 if it is none */
static size_t
word_variable(const char *p, const char *end)
{
	const char *s = p + 2;

	if (end - p < 3 || p[0] != '%' || p[1] != '{')
		return 0;
	while (s < end && name_char(*s))
		s++;
	return s < end && *s == '}' ? (size_t)(s + 1 - p) : 0;
}

static bool
word_ends(const struct lex *l)
{
	if (strchr(" \t\n\"{},=", *l->p) != NULL || (unsigned char)*l->p < 0x20 || *l->p == 0x7f)
		return true;
	return *l->p == '\\' && at_newline(l, l->p + 1);
}

static void
lex_word(struct lex *l)
{
	struct conf_pos pos = here(l), quote;
	const char *s = l->p;
	size_t n;

	while (l->p < l->end) {
		if ((n = word_variable(l->p, l->end)) > 0)
			l->p += n;
		else if (word_ends(l))
			break;
		else
			l->p++;
	}
	conf_tok_add(&l->cur, TOK_WORD, s, (size_t)(l->p - s), &pos);
	if (l->p < l->end && *l->p == '"') {
		quote = here(l);
		lex_bad(l, &quote, "a quote in the middle of a word; put all of the word in quotes");
	}
}

static void
lex_control(struct lex *l)
{
	struct conf_pos pos = here(l);

	lex_bad(l, &pos, "a control character; take it out");
	while (l->p < l->end && *l->p != '\n')		/* the rest of such a line tells nothing */
		l->p++;
}

static void
lex_punct(struct lex *l, enum tok_kind kind)
{
	struct conf_pos pos = here(l);

	conf_tok_add(&l->cur, kind, NULL, 0, &pos);
	l->p++;
}

static void
lex_token(struct lex *l)
{
	char c = *l->p;

	if (at_newline(l, l->p))
		lex_newline(l);
	else if (c == '\\' && at_newline(l, l->p + 1))
		l->p++, newline(l);
	else if (c == ' ' || c == '\t')
		l->p++;
	else if (c == '#')
		skip_comment(l);
	else if (c == '"')
		lex_string(l);
	else if (c == '<')
		lex_table(l);
	else if (c == '{')
		lex_open(l);
	else if (c == '}')
		lex_close(l);
	else if (c == ',' || c == '=' || c == '!')
		lex_punct(l, c == ',' ? TOK_COMMA : c == '=' ? TOK_EQUAL : TOK_NOT);
	else if ((unsigned char)c < 0x20 || c == 0x7f)
		lex_control(l);
	else
		lex_word(l);
}

/* A brace that is never closed ends with its line: what follows is read again as statements. Happens once a file. */
static void
lex_unclosed(struct lex *l)
{
	lex_bad(l, &l->open_pos, "this { is never closed; add a } behind the last item");
	l->p = l->open_p;
	l->bol = l->open_bol;
	l->pos.line = l->open_pos.line;
	l->open = false;
	while (l->p < l->end && *l->p != '\n')
		l->p++;
}

void
conf_lex(struct conf_unit *unit, const char *file, const char *p, size_t n, struct conf_stmts *out)
{
	struct lex l = { .unit = unit, .out = out, .p = p, .end = p + n, .bol = p };

	l.pos.file = conf_unit_file(unit, file, &l.pos.nr);
	l.pos.line = 1;
	while (l.p < l.end) {
		lex_token(&l);
		if (l.p == l.end && l.open)
			lex_unclosed(&l);
	}
	end_statement(&l);
}
