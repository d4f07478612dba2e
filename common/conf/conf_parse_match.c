/*
 * conf_parse_match: `match from ... for ... action NAME | reject | defer`, and the patterns in it and elsewhere.
 *
 * Called by conf_parse after all actions and tables are known. Pure code. What a rule means is in match.c.
 */
#include <stdlib.h>
#include <string.h>
#include "conf/conf_parse.h"
#include "conf/match.h"
#include "base/xmalloc.h"

enum { SEEN_FROM = 1, SEEN_FOR = 2, SEEN_VERDICT = 4, SEEN_AUTH = 8, SEEN_TLS = 16, SEEN_HELO = 32, SEEN_MAIL = 64, SEEN_TAG = 128 };

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

static bool
from_network(struct parse *p, struct conf_match *m)
{
	const struct conf_tok *t = conf_peek(p);
	const char *s;

	if (t != NULL && t->kind == TOK_TABLE) {
		m->from = FROM_TABLE;
		return (m->from_table = conf_want_table(p)) != -1;
	}
	m->from = FROM_CIDR;
	if ((s = conf_want(p, "any, local, socket, auth, <table> or a network such as 192.0.2.0/24")) == NULL)
		return false;
	if (!cidr_parse(s, &m->from_cidr))
		return conf_bad(p, t, "\"%s\" is no client; expected any, local, socket, auth, <table> or a network such as 192.0.2.0/24", s);
	return true;
}

static bool
opt_from(struct parse *p, void *obj)
{
	static const struct { const char *word; enum match_from from; } words[] = {
		{ "any", FROM_ANY }, { "local", FROM_LOCAL }, { "socket", FROM_SOCKET }, { "auth", FROM_AUTH }
	};
	struct conf_match *m = obj;

	m->from_not = conf_accept_kind(p, TOK_NOT);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!conf_accept(p, words[i].word))
			continue;
		m->from = words[i].from;
		if (m->from_not && m->from == FROM_ANY)
			return conf_bad(p, conf_last(p), "a rule from !any never matches; take it out");
		return true;
	}
	return from_network(p, m);
}

static bool
opt_for(struct parse *p, void *obj)
{
	struct conf_match *m = obj;

	if (conf_accept(p, "any"))
		m->for_ = FOR_ANY;
	else if (conf_accept(p, "local"))
		m->for_ = FOR_LOCAL;
	else if (conf_accept(p, "domain"))
		m->for_ = FOR_DOMAIN;
	else if (conf_accept(p, "rcpt"))
		m->for_ = FOR_RCPT;
	else
		return conf_expected(p, conf_peek(p), "any, local, domain P or rcpt P");
	return m->for_ == FOR_ANY || m->for_ == FOR_LOCAL || conf_want_pattern(p, &m->for_pattern, true);
}

static bool
opt_auth(struct parse *p, void *obj)
{
	(void)p;
	((struct conf_match *)obj)->auth = true;
	return true;
}

static bool
opt_tls(struct parse *p, void *obj)
{
	(void)p;
	((struct conf_match *)obj)->tls = true;
	return true;
}

static bool
opt_helo(struct parse *p, void *obj)
{
	return conf_want_pattern(p, &((struct conf_match *)obj)->helo, true);
}

static bool
opt_mail_from(struct parse *p, void *obj)
{
	return conf_want_pattern(p, &((struct conf_match *)obj)->mail_from, true);
}

static bool
opt_tag(struct parse *p, void *obj)
{
	return conf_want_pattern(p, &((struct conf_match *)obj)->tag, false);
}

static bool
opt_action(struct parse *p, void *obj)
{
	struct conf_match *m = obj;
	const char *s = conf_want(p, "the name of an action");

	if (s == NULL)
		return false;
	m->verdict = VERDICT_ACTION;
	if ((m->action = conf_action(p->conf, s)) == -1)
		return conf_bad(p, conf_last(p), "there is no action \"%s\"; add a statement: action %s ...", s, s);
	return true;
}

/* RFC 5321 4.2, RFC 3463: "550 5.7.1 text". */
const char *
conf_reply_bad(const char *s, char class)
{
	const char *q = s + 3;
	size_t n;

	if (s[0] != class || strspn(s, "0123456789") != 3 || s[1] > '5' || s[3] != ' ')
		return class == '5' ? "it begins with a code from 500 to 559 and a blank" : "it begins with a code from 400 to 459 and a blank";
	if (strncmp(s, "421", 3) == 0)
		return "421 would end the session; use 450 or 451";
	if (*++q != class || q[1] != '.')
		return class == '5' ? "behind the code stands an enhanced code 5.x.y" : "behind the code stands an enhanced code 4.x.y";
	for (unsigned part = 0; part < 2; part++) {
		q += part == 0 ? 1 : 0;
		if (*q != '.' || (n = strspn(q + 1, "0123456789")) == 0 || n > 3 || (n > 1 && q[1] == '0'))
			return "the enhanced code is three numbers with dots between, such as 5.7.1";
		q += n + 1;
	}
	if (*q != ' ' || q[1] == '\0')
		return "behind the enhanced code stand a blank and a text";
	for (; *q != '\0'; q++)
		if (*q < 0x20 || *q > 0x7e)
			return "the text may only have printable ASCII characters";
	return strlen(s) > 200 ? "it is too long; 200 bytes are the most" : NULL;
}

static bool
verdict_reply(struct parse *p, struct conf_match *m, enum match_verdict verdict, char class)
{
	const struct conf_tok *t = conf_peek(p);
	const char *wrong;

	m->verdict = verdict;
	if (t == NULL || (t->kind != TOK_STRING && (t->kind != TOK_WORD || t->text[0] < '0' || t->text[0] > '9')))
		return true;
	p->i++;
	if ((wrong = conf_reply_bad(t->text, class)) != NULL)
		return conf_bad(p, t, "\"%s\" is not a reply for this: %s", t->text, wrong);
	m->reply = xstrdup(t->text);
	return true;
}

static bool
opt_reject(struct parse *p, void *obj)
{
	return verdict_reply(p, obj, VERDICT_REJECT, '5');
}

static bool
opt_defer(struct parse *p, void *obj)
{
	return verdict_reply(p, obj, VERDICT_DEFER, '4');
}

static const struct opt_row match_rows[] = {
	{ "from",	opt_from,	SEEN_FROM },
	{ "auth",	opt_auth,	SEEN_AUTH },
	{ "tls",	opt_tls,	SEEN_TLS },
	{ "helo",	opt_helo,	SEEN_HELO },
	{ "mail-from",	opt_mail_from,	SEEN_MAIL },
	{ "tag",	opt_tag,	SEEN_TAG },
	{ "for",	opt_for,	SEEN_FOR },
	{ "action",	opt_action,	SEEN_VERDICT },
	{ "reject",	opt_reject,	SEEN_VERDICT },
	{ "defer",	opt_defer,	SEEN_VERDICT },
};

bool
parse_match(struct parse *p)
{
	struct conf *c = p->conf;
	const struct conf_tok *first = conf_last(p);
	struct conf_match *m;
	unsigned seen = 0;

	c->match = conf_more(c->match, c->nmatch, sizeof(*c->match));
	p->at.match = conf_more(p->at.match, c->nmatch, sizeof(*p->at.match));
	p->at.match[c->nmatch] = first->pos;
	m = &c->match[c->nmatch++];
	m->line = first->pos.line;
	m->file = xstrdup(first->pos.file);
	m->text = conf_stmt_text(p->st);
	m->from_table = m->for_pattern.table = m->helo.table = m->mail_from.table = m->tag.table = m->action = -1;
	if (!conf_options(p, ROWS(match_rows), m, &seen))
		return false;
	if (!(seen & SEEN_FROM))
		return conf_bad(p, first, "this match says nothing of the client; add from any, local, socket, auth or a network");
	if (!(seen & SEEN_FOR))
		return conf_bad(p, first, "this match says nothing of the recipient; add for any, local, domain P or rcpt P");
	if (!(seen & SEEN_VERDICT))
		return conf_bad(p, first, "this match does nothing; end it with action NAME, reject or defer");
	return true;
}
