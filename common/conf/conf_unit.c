/*
 * conf_unit: what is held while one configuration is read: tokens, statements, file names, reports.
 *
 * Called by all of common/conf*.c. Owns the memory of a conf_unit; conf_unit_free gives it back. Nothing here fails.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf/conf_lex.h"
#include "base/xmalloc.h"

#define NOTES_MAX	1000		/* of a file that is no configuration at all, this is enough */

/* Grows at the powers of two, so the number of elements is all that need be kept. */
void *
conf_more(void *v, size_t n, size_t size)
{
	if ((n & (n - 1)) == 0)
		v = xreallocarray(v, n == 0 ? 1 : n * 2, size);
	memset((char *)v + n * size, 0, size);
	return v;
}

const char *
conf_unit_file(struct conf_unit *u, const char *name, unsigned *nr)
{
	u->file = conf_more(u->file, u->nfile, sizeof(*u->file));
	u->file[u->nfile] = xstrdup(name);
	*nr = (unsigned)u->nfile;
	return u->file[u->nfile++];
}

void
conf_tok_add(struct conf_stmt *st, enum tok_kind kind, const char *text, size_t len, const struct conf_pos *pos)
{
	struct conf_tok *t;

	st->v = conf_more(st->v, st->n, sizeof(*st->v));
	t = &st->v[st->n++];
	t->kind = kind;
	t->text = text == NULL ? NULL : xstrndup(text, len);
	t->pos = *pos;
}

struct conf_stmt *
conf_stmt_new(struct conf_stmts *s)
{
	s->v = conf_more(s->v, s->n, sizeof(*s->v));
	return &s->v[s->n++];
}

void
conf_stmt_free(struct conf_stmt *st)
{
	for (size_t i = 0; i < st->n; i++)
		free(st->v[i].text);
	free(st->v);
	memset(st, 0, sizeof(*st));
}

void
conf_stmts_free(struct conf_stmts *s)
{
	for (size_t i = 0; i < s->n; i++)
		conf_stmt_free(&s->v[i]);
	free(s->v);
	memset(s, 0, sizeof(*s));
}

bool
conf_tok_is(const struct conf_tok *t, const char *word)
{
	return t != NULL && t->kind == TOK_WORD && strcmp(t->text, word) == 0;
}

void
conf_report(struct conf_unit *u, const struct conf_pos *pos, bool warning, const char *fmt, ...)
{
	struct conf_note *n;
	va_list ap;

	u->nerror += !warning;
	if (u->nnote >= NOTES_MAX)
		return;
	u->note = conf_more(u->note, u->nnote, sizeof(*u->note));
	n = &u->note[u->nnote++];
	n->pos = *pos;
	n->warning = warning;
	va_start(ap, fmt);
	if (vasprintf(&n->text, fmt, ap) == -1)
		n->text = xstrdup("(out of memory)");
	va_end(ap);
}

static int
note_cmp(const void *a, const void *b)
{
	const struct conf_note *x = a, *y = b;

	if (x->pos.nr != y->pos.nr)
		return x->pos.nr < y->pos.nr ? -1 : 1;
	if (x->pos.line != y->pos.line)
		return x->pos.line < y->pos.line ? -1 : 1;
	return x->pos.col < y->pos.col ? -1 : x->pos.col > y->pos.col;
}

void
conf_reports(struct conf_unit *u, struct conf_errors *errors)
{
	struct conf_error *e;
	struct conf_note *n;

	if (u->nnote > 0)
		qsort(u->note, u->nnote, sizeof(*u->note), note_cmp);
	for (size_t i = 0; i < u->nnote; i++) {
		n = &u->note[i];
		errors->v = conf_more(errors->v, errors->n, sizeof(*errors->v));
		e = &errors->v[errors->n++];
		e->warning = n->warning;
		e->text = n->pos.line == 0 ? xasprintf("%s: %s", n->pos.file, n->text) :
		    xasprintf("%s:%u:%u: %s", n->pos.file, n->pos.line, n->pos.col, n->text);
		free(n->text);
	}
	errors->nerror += u->nerror;
	u->nnote = 0;
}

void
conf_errors_free(struct conf_errors *errors)
{
	for (size_t i = 0; i < errors->n; i++)
		free(errors->v[i].text);
	free(errors->v);
	memset(errors, 0, sizeof(*errors));
}

void
conf_unit_free(struct conf_unit *u)
{
	conf_stmts_free(&u->stmts);
	for (size_t i = 0; i < u->nmacro; i++) {
		free(u->macro[i].name);
		conf_stmt_free(&u->macro[i].value);
	}
	free(u->macro);
	for (size_t i = 0; i < u->nfile; i++)
		free(u->file[i]);
	free(u->file);
	for (size_t i = 0; i < u->nnote; i++)
		free(u->note[i].text);
	free(u->note);
	memset(u, 0, sizeof(*u));
}
