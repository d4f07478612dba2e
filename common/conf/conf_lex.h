/*
 * conf_lex: the text of a configuration as statements made of tokens with their places. Private to common/conf*.c.
 *
 * bytes -> conf_lex (raw statements of one file) -> conf_expand (macros and includes gone) -> conf_parse.c.
 * A conf_unit owns all of it while one configuration is read: statements, macros, file names, reports.
 */
#ifndef CONF_LEX_H
#define CONF_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include "conf/conf.h"

enum tok_kind { TOK_WORD, TOK_STRING, TOK_TABLE, TOK_OPEN, TOK_CLOSE, TOK_COMMA, TOK_EQUAL, TOK_NOT };

struct conf_pos {
	const char	*file;		/* owned by the unit */
	unsigned	 nr;		/* of the file, in the order of opening: reports are sorted by it */
	unsigned	 line, col;
};
struct conf_tok {
	enum tok_kind	 kind;
	char		*text;		/* word, string, table name; NULL for the others */
	struct conf_pos	 pos;
};
struct conf_stmt {
	struct conf_tok	*v;
	size_t		 n;
};
struct conf_stmts {
	struct conf_stmt *v;
	size_t		 n;
};
struct conf_macro {
	char		*name;
	struct conf_stmt value;
	bool		 fixed;		/* given by -D: the file does not change it */
	bool		 used;
};
struct conf_note {
	struct conf_pos	 pos;
	char		*text;
	bool		 warning;
};

struct parse;
struct conf_unit {
	struct conf_stmts	 stmts;		/* expanded, in order */
	struct conf_macro	*macro;		size_t nmacro;
	char			**file;		size_t nfile;
	struct conf_note	*note;		size_t nnote, nerror;
	size_t			 spent;		/* what macros have grown to */
	unsigned		 depth;		/* of includes */
	bool			 internal;	/* text of ours: statements that begin with a dot are allowed */
	bool			(*is_statement)(const char *word);	/* conf_is_statement: such a word names no macro */
	void			(*include)(struct conf_unit *, const struct conf_stmt *);	/* NULL: not possible */
	void			(*refs)(struct parse *);	/* looks at what it refers to outside of itself; NULL: nobody does */
};

/* An array of n elements with room for one more (zeroed) at its end. */
void	*conf_more(void *, size_t n, size_t size);

const char *conf_unit_file(struct conf_unit *, const char *name, unsigned *nr);
void	 conf_unit_free(struct conf_unit *);
void	 conf_report(struct conf_unit *, const struct conf_pos *, bool warning, const char *, ...) __attribute__((format(printf, 4, 5)));
void	 conf_reports(struct conf_unit *, struct conf_errors *);	/* sorted by place, moved there */

void	 conf_tok_add(struct conf_stmt *, enum tok_kind, const char *text, size_t len, const struct conf_pos *);
struct conf_stmt *conf_stmt_new(struct conf_stmts *);
void	 conf_stmt_free(struct conf_stmt *);
void	 conf_stmts_free(struct conf_stmts *);
bool	 conf_tok_is(const struct conf_tok *, const char *word);	/* an unquoted word */

/* Statements of one file, as written, are added to the list; one that has an error is left out. */
void	 conf_lex(struct conf_unit *, const char *file, const char *, size_t, struct conf_stmts *);
/* Takes the raw statements apart: macros are defined and put in, includes followed, the rest goes to unit->stmts. */
void	 conf_expand(struct conf_unit *, struct conf_stmts *raw);
void	 conf_macro_set(struct conf_unit *, const char *name, struct conf_stmt *value, bool fixed);	/* takes over value */
bool	 conf_macro_name(const char *, size_t);
char	*conf_stmt_text(const struct conf_stmt *);	/* one line, to be freed */
/* The statements as text that conf_parse reads. */
void	 conf_write(const struct conf_unit *, struct buf *);
/* Fills in what only the host knows (conf_host.c). */
void	 conf_host(struct conf_unit *);

#endif
