/*
 * conf_parse: statements -> struct conf: the table of statements, and the passes over it.
 *
 * Called by the parent (through conf_load) and by every child with the text that conf_load made. Pure code. Tables come
 * first, then actions, then the rest, so that a name may be used above its definition. Every mistake is reported; a
 * configuration with one is not built (NULL).
 */
#include <stdlib.h>
#include <string.h>
#include "mail/addr.h"
#include "conf/conf_parse.h"
#include "base/xmalloc.h"

/* ---- the table ---- */

enum pass { PASS_TABLE, PASS_SOURCE, PASS_POOL, PASS_ACTION_NAME, PASS_REST, PASS__MAX };
#define ONCE(n) (1U << (n))

static const struct stmt_row {
	const char	*word;
	bool		(*fn)(struct parse *);	/* NULL: of the contract, but not available yet */
	enum pass	 pass;
	unsigned	 once;
} statements[] = {
	{ "hostname",		parse_hostname,		PASS_REST,		ONCE(0) },
	{ "domain",		parse_domain,		PASS_REST,		ONCE(1) },
	{ "postmaster",		parse_postmaster,	PASS_REST,		ONCE(8) },
	{ "spool",		parse_spool,		PASS_REST,		ONCE(2) },
	{ "runtime",		parse_runtime,		PASS_REST,		ONCE(3) },
	{ "log",		parse_log,		PASS_REST,		ONCE(4) },
	{ "resolver",		parse_resolver,		PASS_REST,		0 },
	{ "listeners",		parse_listeners,	PASS_REST,		ONCE(5) },
	{ "limit",		parse_limit,		PASS_REST,		0 },
	{ "listen",		parse_listen,		PASS_REST,		0 },
	{ "table",		parse_table,		PASS_TABLE,		0 },
	{ "source",		parse_source,		PASS_SOURCE,		0 },
	{ "pool",		parse_pool,		PASS_POOL,		0 },
	{ "destination",	parse_destination,	PASS_REST,		0 },
	{ "bulk",		parse_bulk,		PASS_REST,		ONCE(6) },
	{ "bounces",		parse_bounces,		PASS_REST,		ONCE(7) },
	{ "action",		parse_action_name,	PASS_ACTION_NAME,	0 },
	{ "action",		parse_action,		PASS_REST,		0 },
	{ "match",		parse_match,		PASS_REST,		0 },
	{ "archive",		parse_archive,		PASS_REST,		0 },
	{ ".local-address",	parse_local_address,	PASS_REST,		0 },
	{ ".me",		parse_me,		PASS_REST,		0 },
	{ "trust-anchor",	NULL,			PASS_REST,		0 },
	{ "pki",		NULL,			PASS_REST,		0 },
	{ "dkim",		NULL,			PASS_REST,		0 },
	{ "masquerade",		NULL,			PASS_REST,		0 },
};
#define NSTATEMENTS (sizeof(statements) / sizeof(statements[0]))

/* ---- a statement ---- */

static void
unknown_statement(struct parse *p)
{
	struct buf b = BUF_INIT;
	const char *words[NSTATEMENTS + 1], *near;
	size_t n = 0;

	for (size_t i = 0; i < NSTATEMENTS; i++)
		if (statements[i].fn != NULL && statements[i].word[0] != '.' && statements[i].pass != PASS_ACTION_NAME)
			buf_addf(&b, "%s, ", words[n++] = statements[i].word);
	words[n++] = "include";
	buf_adds(&b, "include, or name = value");
	if (conf_peek(p)->text != NULL && (near = conf_nearest(conf_peek(p)->text, words, n)) != NULL)
		buf_addf(&b, "; is it %s?", near);
	conf_expected(p, conf_peek(p), buf_str(&b));
	buf_free(&b);
}

bool
conf_is_statement(const char *word)
{
	for (size_t i = 0; i < NSTATEMENTS; i++)
		if (strcmp(word, statements[i].word) == 0)
			return true;
	return false;
}

static bool
known(const struct parse *p)
{
	const struct conf_tok *t = &p->st->v[0];

	return t->kind == TOK_WORD && conf_is_statement(t->text) && (t->text[0] != '.' || p->unit->internal);
}

static void
parse_statement(struct parse *p, enum pass pass)
{
	const struct stmt_row *row;

	p->i = 0;
	if (!known(p)) {
		if (pass == PASS_REST)
			unknown_statement(p);
		return;
	}
	for (row = statements; row < statements + NSTATEMENTS; row++) {
		if (row->pass != pass || !conf_tok_is(&p->st->v[0], row->word))
			continue;
		if (row->fn == NULL) {
			conf_bad(p, &p->st->v[0], "\"%s\" is not available yet; take this statement out", row->word);
		} else if (p->seen & row->once) {
			conf_bad(p, &p->st->v[0], "a second \"%s\"; keep one of them", row->word);
		} else {
			p->seen |= row->once;
			p->i = 1;
			row->fn(p);
		}
	}
}

/* ---- the whole ---- */

static void
defaults(struct conf *c)
{
	c->log_kind = LOG_TO_SYSLOG;
	c->log_format = LOG_TEXT;
	c->log_level = LOG_LV_INFO;
	conf_limit_defaults(c);
	conf_class_defaults(c);
}

static void
or_default(char **s, const char *dflt)
{
	if (*s == NULL)
		*s = xstrdup(dflt);
}

static void
with_domain(char **addr, const char *domain)
{
	char *full = xasprintf("%s@%s", *addr, domain);

	free(*addr);
	*addr = full;
}

/* What the statements did not say. conf_load puts host facts in as statements, so these are for bare texts. */
static void
conf_rest(struct conf *c)
{
	or_default(&c->hostname, "localhost");
	or_default(&c->domain, c->hostname);
	or_default(&c->spool, "/var/spool/postern");
	or_default(&c->runtime, "/run/postern");
	if (c->listeners == 0)
		c->listeners = 1;
	for (size_t i = 0; i < c->nlisten; i++)
		or_default(&c->listen[i].hostname, c->hostname);
	if (c->postmaster != NULL && addr_domain(c->postmaster)[0] == '\0')
		with_domain(&c->postmaster, c->domain);
	for (size_t i = 0; i < c->narchive; i++)
		if (c->archive[i].to != NULL && addr_domain(c->archive[i].to)[0] == '\0')
			with_domain(&c->archive[i].to, c->domain);
}

static void
places_free(struct conf_places *at, size_t ntable)
{
	for (size_t i = 0; i < ntable; i++)
		free(at->item[i]);
	free(at->item);
	free(at->archive);
	free(at->table);
	free(at->action);
	free(at->listen);
	free(at->match);
	free(at->source);
}

struct conf *
conf_build(struct conf_unit *u, uint32_t generation)
{
	struct parse p = { .unit = u, .conf = xcalloc(1, sizeof(struct conf)) };
	struct conf *c = p.conf;

	c->generation = generation;
	defaults(c);
	for (unsigned pass = 0; pass < PASS__MAX; pass++) {
		for (size_t i = 0; i < u->stmts.n; i++) {
			p.st = &u->stmts.v[i];
			parse_statement(&p, pass);
		}
	}
	conf_finish(&p);
	conf_rest(c);
	conf_check(&p);
	if (u->refs != NULL && u->nerror == 0)
		u->refs(&p);
	places_free(&p.at, c->ntable);
	if (u->nerror == 0)
		return c;
	conf_free(c);
	return NULL;
}

struct conf *
conf_parse(const char *text, size_t len, uint32_t generation, struct conf_errors *errors)
{
	struct conf_unit u = { .is_statement = conf_is_statement, .internal = true };
	struct conf_stmts raw = { 0 };
	struct conf *c;

	conf_lex(&u, "configuration", text, len, &raw);
	conf_expand(&u, &raw);
	conf_stmts_free(&raw);
	c = conf_build(&u, generation);
	conf_reports(&u, errors);
	conf_unit_free(&u);
	return c;
}
