/*
 * conf_parse: statements -> struct conf, by a table of statements.
 *
 * Called by the parent (through conf_load) and by every child with the text that conf_load made. Pure code. Tables come
 * first, then actions, then the rest, so that a name may be used above its definition. Every mistake is reported; a
 * configuration with one is not built (NULL).
 */
#include <sys/un.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "addr.h"
#include "conf_parse.h"
#include "xmalloc.h"

/* ---- the cursor ---- */

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

bool
conf_valid_name(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

	return n > 0 && n <= 64 && s[n] == '\0';
}

int
conf_table_index(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->ntable; i++)
		if (strcmp(c->table[i].name, name) == 0)
			return (int)i;
	return -1;
}

int
conf_want_table(struct parse *p)
{
	const struct conf_tok *t = conf_peek(p);
	int i;

	if (t == NULL || t->kind != TOK_TABLE) {
		conf_expected(p, t, "a table, written <name>");
		return -1;
	}
	p->i++;
	if ((i = conf_table_index(p->conf, t->text)) == -1)
		conf_bad(p, t, "there is no table \"%s\"; add a statement: table %s { ... }", t->text, t->text);
	return i;
}

static char *
fold(const char *s)
{
	char *copy = xstrdup(s);

	for (char *q = copy; *q != '\0'; q++)
		if (*q >= 'A' && *q <= 'Z')
			*q += 'a' - 'A';
	return copy;
}

bool
conf_want_pattern(struct parse *p, struct pattern *pat, bool table_too)
{
	const char *what = table_too ? "a word, .domain, a glob or <table>" : "a word or a glob", *s;
	const struct conf_tok *t;

	pat->negate = conf_accept_kind(p, TOK_NOT);
	pat->table = -1;
	t = conf_peek(p);
	if (table_too && t != NULL && t->kind == TOK_TABLE) {
		pat->kind = PAT_TABLE;
		return (pat->table = conf_want_table(p)) != -1;
	}
	if ((s = conf_want(p, what)) == NULL)
		return false;
	pat->kind = strpbrk(s, "*?") != NULL ? PAT_GLOB : s[0] == '.' && s[1] != '\0' ? PAT_SUFFIX : PAT_WORD;
	pat->text = fold(s);
	return true;
}

/* ---- options and items ---- */

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

/* ---- the small statements ---- */

static bool
want_domain(struct parse *p, char **out, const char *what)
{
	const char *s = conf_want(p, what);

	if (s == NULL)
		return false;
	if (!addr_valid_domain(s, false))
		return conf_bad(p, conf_last(p), "\"%s\" is not a valid domain name", s);
	free(*out);
	*out = xstrdup(s);
	return conf_want_end(p);
}

static bool
parse_hostname(struct parse *p)
{
	return want_domain(p, &p->conf->hostname, "the full name of this host");
}

static bool
parse_domain(struct parse *p)
{
	return want_domain(p, &p->conf->domain, "a domain");
}

static bool
want_path(struct parse *p, char **out)
{
	const char *s = conf_want(p, "a full path");

	if (s == NULL)
		return false;
	if (s[0] != '/')
		return conf_bad(p, conf_last(p), "\"%s\" is not a full path; begin it with /", s);
	free(*out);
	*out = xstrdup(s);
	return true;
}

static bool
parse_spool(struct parse *p)
{
	return want_path(p, &p->conf->spool) && conf_want_end(p);
}

static bool
parse_runtime(struct parse *p)
{
	const struct conf_tok *t = conf_peek(p);

	if (!want_path(p, &p->conf->runtime))
		return false;
	if (strlen(p->conf->runtime) + sizeof("/control.sock.new") > sizeof(((struct sockaddr_un *)0)->sun_path))
		return conf_bad(p, t, "this path is too long for the sockets in it; 90 bytes are the most");
	return conf_want_end(p);
}

static bool
log_format_opt(struct parse *p, void *obj)
{
	struct conf *c = obj;

	if (conf_accept(p, "text"))
		c->log_format = LOG_TEXT;
	else if (conf_accept(p, "json"))
		c->log_format = LOG_JSON;
	else
		return conf_expected(p, conf_peek(p), "text or json");
	return true;
}

static bool
log_level_opt(struct parse *p, void *obj)
{
	static const char *const names[] = {
		[LOG_LV_ERROR] = "error", [LOG_LV_WARN] = "warn", [LOG_LV_INFO] = "info", [LOG_LV_DEBUG] = "debug"
	};
	struct conf *c = obj;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (conf_accept(p, names[i])) {
			c->log_level = (enum log_level)i;
			return true;
		}
	}
	return conf_expected(p, conf_peek(p), "error, warn, info or debug");
}

static bool
parse_log(struct parse *p)
{
	static const struct opt_row rows[] = { { "format", log_format_opt, 1 }, { "level", log_level_opt, 2 } };
	unsigned seen = 0;

	if (conf_accept(p, "syslog"))
		p->conf->log_kind = LOG_TO_SYSLOG;
	else if (conf_accept(p, "stderr"))
		p->conf->log_kind = LOG_TO_STDERR;
	else if (!conf_accept(p, "file"))
		return conf_expected(p, conf_peek(p), "syslog, stderr or file \"/path\"");
	else if (p->conf->log_kind = LOG_TO_FILE, !want_path(p, &p->conf->log_path))
		return false;
	return conf_options(p, rows, sizeof(rows) / sizeof(rows[0]), p->conf, &seen);
}

/* ADDRESS[@PORT] */
static bool
parse_resolver(struct parse *p)
{
	struct conf *c = p->conf;
	struct sockaddr_storage ss;
	const char *s, *at;
	uint64_t port = 53;
	char addr[64];
	socklen_t len;

	do {
		if ((s = conf_want(p, "the address of a resolver, such as 127.0.0.1 or 127.0.0.1@5353")) == NULL)
			return false;
		at = strchr(s, '@');
		if (at != NULL && (conf_count(at + 1, &port) != NULL || port > 65535))
			return conf_bad(p, conf_last(p), "\"%s\": behind the @ stands a port from 1 to 65535", s);
		snprintf(addr, sizeof(addr), "%.*s", at != NULL ? (int)(at - s) : (int)strlen(s), s);
		if (!conf_address(addr, (uint16_t)port, &ss, &len))
			return conf_bad(p, conf_last(p), "\"%s\" is not the address of a resolver; write it like 127.0.0.1@5353", s);
		c->resolvers = conf_more(c->resolvers, c->nresolvers, sizeof(*c->resolvers));
		c->resolvers[c->nresolvers++] = xstrdup(s);
		while (conf_accept_kind(p, TOK_COMMA))
			;
	} while (conf_peek(p) != NULL);
	return true;
}

static bool
parse_listeners(struct parse *p)
{
	const char *s = conf_want(p, "a number of processes");
	uint64_t n;

	if (s == NULL)
		return false;
	if (conf_count(s, &n) != NULL || n > 64)
		return conf_bad(p, conf_last(p), "\"%s\": from 1 to 64 listener processes are possible", s);
	p->conf->listeners = (unsigned)n;
	return conf_want_end(p);
}

enum unit { UNIT_SIZE, UNIT_COUNT, UNIT_RATE, UNIT_TIME };
static const char *(*const unit_fn[])(const char *, uint64_t *) = {
	[UNIT_SIZE] = conf_size, [UNIT_COUNT] = conf_count, [UNIT_RATE] = conf_rate, [UNIT_TIME] = conf_time
};
static const struct limit_row {
	const char	*name;
	enum unit	 unit;
	uint64_t	 dflt;
} limits[] = {
#define LIMIT_ROW(name, id, unit, dflt)	[LIM_##id] = { name, UNIT_##unit, dflt },
	CONF_LIMITS(LIMIT_ROW)
};

static bool
limit_value(struct parse *p, size_t i)
{
	const char *s = conf_want(p, "the limit's value"), *wrong;

	if (s == NULL)
		return false;
	if ((wrong = unit_fn[limits[i].unit](s, &p->conf->limit[i])) != NULL)
		return conf_bad(p, conf_last(p), "limit %s \"%s\": %s", limits[i].name, s, wrong);
	if (i == LIM_LINE_LENGTH && p->conf->limit[i] < 998)
		return conf_bad(p, conf_last(p), "limit line-length \"%s\": lines of 998 bytes must pass", s);
	return conf_want_end(p);
}

static bool
parse_limit(struct parse *p)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < LIM__MAX; i++)
		if (conf_accept(p, limits[i].name))
			return limit_value(p, i);
	for (size_t i = 0; i < LIM__MAX; i++)
		buf_addf(&b, "%s%s", i == 0 ? "" : ", ", limits[i].name);
	conf_expected(p, conf_peek(p), buf_str(&b));
	buf_free(&b);
	return false;
}

/* ---- statements of ours, in the text for children ---- */

static bool
parse_local_address(struct parse *p)
{
	struct conf *c = p->conf;
	const char *s;

	while (conf_peek(p) != NULL) {
		if ((s = conf_want(p, "an address")) == NULL)
			return false;
		c->local_addr = conf_more(c->local_addr, c->nlocal_addr, sizeof(*c->local_addr));
		c->local_addr[c->nlocal_addr++] = xstrdup(s);
	}
	return true;
}

static bool
parse_me(struct parse *p)
{
	const char *s = conf_want(p, "an account");

	if (s == NULL)
		return false;
	free(p->conf->me);
	p->conf->me = xstrdup(s);
	return conf_want_end(p);
}

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
	{ "bounces",		parse_bounces,		PASS_REST,		ONCE(6) },
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

static void
unknown_statement(struct parse *p)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < NSTATEMENTS; i++)
		if (statements[i].fn != NULL && statements[i].word[0] != '.' && statements[i].pass != PASS_ACTION_NAME)
			buf_addf(&b, "%s, ", statements[i].word);
	buf_adds(&b, "include, or name = value");
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

void
conf_defaults(struct parse *p)
{
	struct conf *c = p->conf;

	c->log_kind = LOG_TO_SYSLOG;
	c->log_format = LOG_TEXT;
	c->log_level = LOG_LV_INFO;
	for (size_t i = 0; i < LIM__MAX; i++)
		c->limit[i] = limits[i].dflt;
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
	for (size_t i = 0; i < c->narchive; i++)
		if (c->archive[i].to != NULL && addr_domain(c->archive[i].to)[0] == '\0')
			with_domain(&c->archive[i].to, c->domain);
}

struct conf *
conf_build(struct conf_unit *u, uint32_t generation)
{
	struct parse p = { .unit = u, .conf = xcalloc(1, sizeof(struct conf)) };
	struct conf *c = p.conf;

	c->generation = generation;
	conf_defaults(&p);
	for (unsigned pass = 0; pass < PASS__MAX; pass++) {
		for (size_t i = 0; i < u->stmts.n; i++) {
			p.st = &u->stmts.v[i];
			parse_statement(&p, pass);
		}
	}
	conf_finish(&p);
	conf_rest(c);
	conf_check(&p);
	free(p.at.table);
	free(p.at.action);
	free(p.at.listen);
	free(p.at.match);
	free(p.at.source);
	if (u->nerror == 0)
		return c;
	conf_free(c);
	return NULL;
}

struct conf *
conf_parse(const char *text, size_t len, uint32_t generation, struct conf_errors *errors)
{
	struct conf_unit u = { .internal = true };
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
