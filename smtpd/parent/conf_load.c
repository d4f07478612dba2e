/*
 * conf_load: the configuration from its file, for the parent.
 *
 * Called by posternd at start, at a reload and for -n. Reads the file and its includes, puts macros and host facts in, builds
 * the struct, and writes the same statements as one text for the children. Every file is read whole, with a bound, and closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "conf/conf_parse.h"
#include "base/xmalloc.h"

#define FILE_MAX	(64 * 1024 * 1024)
#define DEPTH_MAX	16
#define FILES_MAX	4096
#define TEXT_MAX	(48 * 1024 * 1024)	/* what children take */

/* -> errno, 0 if all of it is in b */
static int
read_all(const char *path, struct buf *b)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), error = 0;
	struct stat st;
	ssize_t n;

	if (fd == -1)
		return errno;
	if (fstat(fd, &st) == -1 || S_ISDIR(st.st_mode))
		error = EISDIR;
	while (error == 0) {
		n = read(fd, buf_reserve(b, 65536), 65536);
		if (n == 0)
			break;
		if (n > 0)
			buf_grow(b, (size_t)n);
		else if (errno != EINTR)
			error = errno;
		if (b->len > FILE_MAX)
			error = EFBIG;
	}
	close(fd);
	return error;
}

static void
load_file(struct conf_unit *u, const char *path, const struct conf_pos *from)
{
	struct conf_pos pos = { .file = path };
	struct conf_stmts raw = { 0 };
	struct buf b = BUF_INIT;
	int error = read_all(path, &b);

	if (u->nfile >= FILES_MAX)
		error = EMFILE;
	if (error != 0) {
		if (from == NULL)
			pos.file = conf_unit_file(u, path, &pos.nr);
		conf_report(u, from != NULL ? from : &pos, false, "cannot read %s: %s", path, strerror(error));
	} else {
		conf_lex(u, path, (const char *)buf_str(&b), b.len, &raw);
		conf_expand(u, &raw);
		conf_stmts_free(&raw);
	}
	buf_free(&b);
}

/* A relative path counts from the folder of the file that has the include. */
static char *
include_path(const struct conf_tok *t)
{
	const char *slash = strrchr(t->pos.file, '/');

	if (t->text[0] == '/' || slash == NULL)
		return xstrdup(t->text);
	return xasprintf("%.*s/%s", (int)(slash - t->pos.file), t->pos.file, t->text);
}

static void
include_glob(struct conf_unit *u, const struct conf_tok *t)
{
	char *path = include_path(t);
	glob_t g = { 0 };
	int r = glob(path, 0, NULL, &g);

	if (r == GLOB_NOMATCH && strpbrk(path, "*?[") == NULL)
		load_file(u, path, &t->pos);		/* says why not */
	else if (r != 0 && r != GLOB_NOMATCH)
		conf_report(u, &t->pos, false, "cannot look for %s", path);
	for (size_t i = 0; r == 0 && i < g.gl_pathc; i++)
		load_file(u, g.gl_pathv[i], &t->pos);
	globfree(&g);
	free(path);
}

static void
include(struct conf_unit *u, const struct conf_stmt *st)
{
	if (st->n != 2 || (st->v[1].kind != TOK_WORD && st->v[1].kind != TOK_STRING)) {
		conf_report(u, &st->v[0].pos, false, "write it as include \"path\"");
		return;
	}
	if (u->depth >= DEPTH_MAX) {
		conf_report(u, &st->v[1].pos, false, "includes are %d deep here; does a file include itself?", DEPTH_MAX);
		return;
	}
	u->depth++;
	include_glob(u, &st->v[1]);
	u->depth--;
}

static void
defines(struct conf_unit *u, const struct conf_define *define, size_t n)
{
	struct conf_pos pos = { .file = "-D" };
	struct conf_stmt value;

	for (size_t i = 0; i < n; i++) {
		memset(&value, 0, sizeof(value));
		if (!conf_macro_name(define[i].name, strlen(define[i].name))) {
			pos.file = conf_unit_file(u, "-D", &pos.nr);
			conf_report(u, &pos, false, "\"%s\" cannot name a macro; use letters, digits and _", define[i].name);
			continue;
		}
		conf_tok_add(&value, TOK_WORD, define[i].value, strlen(define[i].value), &pos);
		conf_macro_set(u, define[i].name, &value, true);
	}
}

/* Statements that begin with a dot are ours alone. */
static void
refuse_internal(struct conf_unit *u)
{
	for (size_t i = 0; i < u->stmts.n; i++)
		if (u->stmts.v[i].v[0].kind == TOK_WORD && u->stmts.v[i].v[0].text[0] == '.')
			conf_report(u, &u->stmts.v[i].v[0].pos, false, "unexpected \"%s\"; expected a statement", u->stmts.v[i].v[0].text);
}

static void
unused_macros(struct conf_unit *u)
{
	const struct conf_macro *m;

	for (m = u->macro; m < u->macro + u->nmacro; m++)
		if (!m->used && !m->fixed && m->value.n > 0)
			conf_report(u, &m->value.v[0].pos, true, "the macro \"%s\" is never used", m->name);
}

struct conf *
conf_load(const char *file, const struct conf_define *define, size_t ndefine, struct buf *text, struct conf_errors *errors)
{
	struct conf_unit u = { .is_statement = conf_is_statement, .include = include };
	struct conf_pos pos = { .file = file };
	struct conf *c;

	defines(&u, define, ndefine);
	load_file(&u, file, NULL);
	refuse_internal(&u);
	conf_host(&u);
	u.internal = true;
	u.refs = conf_refs;
	c = conf_build(&u, 1);
	if (c != NULL)
		unused_macros(&u);
	if (c != NULL && text != NULL)
		conf_write(&u, text);
	if (c != NULL && text != NULL && text->len > TEXT_MAX) {
		conf_report(&u, &pos, false, "the configuration is too large; put its tables into files");
		conf_free(c);
		c = NULL;
	}
	conf_reports(&u, errors);
	conf_unit_free(&u);
	return c;
}
