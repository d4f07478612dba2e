/*
 * conf_parse: statements -> struct conf. Private to common/conf*.c.
 *
 * conf_parse.c has the table of statements; conf_parse_*.c have the handlers of one family each, which read by conf_cursor.c (tokens),
 * conf_option.c (options, blocks) and conf_value.c (numbers). A handler that returns false has reported why, and its statement is left
 * there.
 */
#ifndef CONF_PARSE_H
#define CONF_PARSE_H

#include "conf/conf_lex.h"

struct conf_places {		/* where things stand, by their index, for the checks */
	struct conf_pos	*table, *action, *listen, *match, *source, *archive;
	struct conf_pos	**item;		/* of each table that is written in the configuration */
};
struct parse {
	struct conf		*conf;
	struct conf_unit	*unit;
	const struct conf_stmt	*st;
	size_t			 i;		/* next token */
	unsigned		 seen;		/* bits of single statements */
	struct conf_places	 at;
};

const struct conf_tok *conf_peek(const struct parse *);		/* NULL at the end of the statement */
const struct conf_tok *conf_next(struct parse *);
bool	 conf_accept(struct parse *, const char *word);
bool	 conf_accept_kind(struct parse *, enum tok_kind);
/* A word or string, else NULL after a report that says what was expected. */
const char *conf_want(struct parse *, const char *what);
bool	 conf_want_kind(struct parse *, enum tok_kind, const char *what);
/* A word or string that is copied to *out in place of what was there; the latter two look what it is. */
bool	 conf_want_text(struct parse *, char **out, const char *what);
bool	 conf_want_domain(struct parse *, char **out, const char *what);
bool	 conf_want_path(struct parse *, char **out);
bool	 conf_want_address(struct parse *, char **out, const char *what);	/* with or without a domain */
/* A name for a new "table" or the like; index finds those that are there already. */
const char *conf_want_name(struct parse *, const char *what, int (*index)(const struct conf *, const char *));
bool	 conf_want_end(struct parse *);
/* Reports at a token (NULL: behind the last one); false. */
bool	 conf_bad(struct parse *, const struct conf_tok *, const char *, ...) __attribute__((format(printf, 3, 4)));
bool	 conf_expected(struct parse *, const struct conf_tok *, const char *what);
const struct conf_tok *conf_last(const struct parse *);		/* the one taken last */

bool	 conf_is_statement(const char *);

/* Options: a word, and what reads the rest of it. No function: of the contract, but not available yet. */
struct opt_row {
	const char	*word;
	bool		(*fn)(struct parse *, void *obj);
	unsigned	 once;		/* a bit: may stand once (rows may share it); 0: any number of times */
};
bool	 conf_option(struct parse *, const struct opt_row *, size_t n, void *obj, unsigned *seen);	/* one of them */
bool	 conf_options(struct parse *, const struct opt_row *, size_t n, void *obj, unsigned *seen);
#define ROWS(v)	(v), sizeof(v) / sizeof((v)[0])
/* { item, item ... }: one is called at each item; after a bad one reading goes on behind the next separator. */
bool	 conf_items(struct parse *, bool (*one)(struct parse *, void *), void *obj);

/* Numbers; NULL or what is wrong. */
const char *conf_size(const char *, uint64_t *);
const char *conf_time(const char *, uint64_t *);		/* ms */
const char *conf_rate(const char *, uint64_t *);		/* events a minute */
const char *conf_rate_hour(const char *, uint64_t *);		/* events an hour: what the other is made from */
const char *conf_count(const char *, uint64_t *);
bool	 conf_address(const char *, uint16_t port, struct sockaddr_storage *, socklen_t *);	/* [addr] or addr, numeric */
bool	 conf_valid_name(const char *);			/* of tables, actions, tags */

/* The families. */
bool	 parse_hostname(struct parse *);
bool	 parse_domain(struct parse *);
bool	 parse_postmaster(struct parse *);
bool	 parse_spool(struct parse *);
bool	 parse_runtime(struct parse *);
bool	 parse_log(struct parse *);
bool	 parse_resolver(struct parse *);
bool	 parse_listeners(struct parse *);
bool	 parse_local_address(struct parse *);	/* conf_host.c wrote it */
bool	 parse_me(struct parse *);		/* likewise */
bool	 parse_limit(struct parse *);
void	 conf_limit_defaults(struct conf *);
bool	 parse_listen(struct parse *);
void	 conf_finish(struct parse *);		/* the submission socket is the last listener */
bool	 parse_table(struct parse *);
int	 conf_want_table(struct parse *);	/* <name> -> index of the table, -1 after a report */
bool	 parse_source(struct parse *);
bool	 parse_pool(struct parse *);
int	 conf_want_pool(struct parse *);		/* a pool's name -> its index, -1 after a report */
bool	 parse_destination(struct parse *);
bool	 parse_bulk(struct parse *);
bool	 parse_bounces(struct parse *);
void	 conf_class_defaults(struct conf *);
bool	 parse_action_name(struct parse *);	/* first pass: the name gets its index */
bool	 parse_action(struct parse *);
bool	 parse_match(struct parse *);
bool	 conf_want_pattern(struct parse *, struct pattern *, bool table_too);
bool	 parse_archive(struct parse *);
const char *conf_reply_bad(const char *, char class);	/* is "550 5.7.1 text" not a reply of that class? what is wrong */

void	 conf_check(struct parse *);		/* what only the whole can tell */
/* Is the second rule never reached because of the first? */
bool	 conf_covers(const struct conf *, const struct conf_match *, const struct conf_match *);
unsigned conf_table_uses(const struct conf *, size_t table);	/* how it is asked: bits, 1 << enum ask_kind */
/* An entry of that table, against all its uses (conf_table_uses): reports what it does not mean. */
void	 conf_table_entry(struct parse *, size_t table, unsigned uses, const struct conf_pos *, const char *key);
void	 conf_refs(struct parse *);		/* the parent's (conf_refs.c): what is outside of it, is it there, and of use? */
/* Of the words the one that this one is meant to be, or NULL: at most two letters are wrong. */
const char *conf_nearest(const char *word, const char *const *words, size_t n);
struct conf *conf_build(struct conf_unit *, uint32_t generation);	/* NULL with errors */

#endif
