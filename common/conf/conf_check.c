/*
 * conf_check: what only the whole configuration can tell: clashes of listeners, open relays, what is never used.
 *
 * Called at the end of conf_build. Pure code: it reads the struct and reports errors and warnings with their places.
 */
#include <stdlib.h>
#include <string.h>
#include "conf/conf_parse.h"
#include "conf/match.h"
#include "conf/table_key.h"
#include "base/xmalloc.h"

/* ---- listeners ---- */

static uint16_t
port_of(const struct conf_listen *l)
{
	return l->sa.ss_family == AF_INET ? ((const struct sockaddr_in *)&l->sa)->sin_port : ((const struct sockaddr_in6 *)&l->sa)->sin6_port;
}

static bool
is_wildcard(const struct conf_listen *l)
{
	if (l->sa.ss_family == AF_INET)
		return ((const struct sockaddr_in *)&l->sa)->sin_addr.s_addr == INADDR_ANY;
	return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)&l->sa)->sin6_addr);
}

/* Could not both be bound. */
static bool
clash(const struct conf_listen *a, const struct conf_listen *b)
{
	if (a->sa.ss_family != b->sa.ss_family || a->sa.ss_family == AF_UNSPEC || a->sa.ss_family == AF_UNIX)
		return false;
	return port_of(a) == port_of(b) && (is_wildcard(a) || is_wildcard(b) || memcmp(&a->sa, &b->sa, sizeof(a->sa)) == 0);
}

static void
check_listeners(struct parse *p)
{
	const struct conf *c = p->conf;

	if (c->nlisten > UINT16_MAX)
		conf_report(p->unit, &p->at.listen[0], false, "too many listeners");
	for (size_t i = 0; i < c->nlisten; i++) {
		for (size_t j = 0; j < i; j++) {
			if (!clash(&c->listen[i], &c->listen[j]))
				continue;
			conf_report(p->unit, &p->at.listen[i], false, "%s is already listened on by the statement in line %u; take one out",
			    c->listen[i].text, p->at.listen[j].line);
			break;
		}
	}
}

/* ---- open relay ---- */

static bool
all_networks(const struct cidr *c)
{
	return c->bits <= 1;
}

static bool
from_anyone(const struct conf_match *m)
{
	if (m->auth || m->from == FROM_AUTH)
		return m->from_not && m->from == FROM_AUTH && !m->auth;
	return m->from == FROM_ANY || m->from_not || (m->from == FROM_CIDR && all_networks(&m->from_cidr));
}

static bool
for_anywhere(const struct conf_match *m)
{
	const struct pattern *pat = &m->for_pattern;

	if (m->for_ == FOR_ANY)
		return true;
	if (m->for_ == FOR_LOCAL)
		return false;
	if (pat->negate)
		return true;
	return pat->kind == PAT_GLOB && strspn(pat->text, "*?@") == strlen(pat->text);
}

/* The tag of a rule keeps strangers out only if no listener of that tag is on the network. */
static bool
tag_on_network(const struct conf *c, const struct conf_match *m)
{
	struct answers none = { 0 };
	const char *tag;
	bool yes;

	if (m->tag.kind == PAT_NONE)
		return true;
	for (size_t i = 0; i < c->nlisten; i++) {
		tag = c->listen[i].tag != NULL ? c->listen[i].tag : "";
		if (c->listen[i].sa.ss_family != AF_UNIX && match_pattern(&m->tag, tag, ASK_DOMAIN, &none, &yes) == MATCH_OK && yes)
			return true;
	}
	return false;
}

static void
check_rules(struct parse *p)
{
	const struct conf *c = p->conf;
	const struct conf_match *m, *above;

	for (size_t i = 0; i < c->nmatch; i++) {
		m = &c->match[i];
		for (above = c->match; above < m && !conf_covers(c, above, m); above++)
			;
		if (above < m) {
			conf_report(p->unit, &p->at.match[i], true, "this rule is never reached: the one in line %u of %s takes all that it would; put it "
			    "before that one", above->line, above->file);
			continue;
		}
		if (m->verdict == VERDICT_ACTION && m->action >= 0 && c->action[m->action].kind == ACTION_RELAY &&
		    from_anyone(m) && for_anywhere(m) && tag_on_network(c, m))
			conf_report(p->unit, &p->at.match[i], true,
			    "this rule makes an open relay: strangers may send to any domain; narrow it by from or for");
	}
}

static void
check_postmaster(struct parse *p)
{
	struct conf_pos pos = { .file = p->unit->nfile > 0 ? p->unit->file[0] : "configuration" };

	if (match_holds_postmaster(p->conf, false))
		conf_report(p->unit, &pos, true, "mail for root and postmaster is held in the queue, as nobody is named for it; add postmaster ADDRESS");
}

/* ---- never used ---- */

static bool
is_in(const struct pattern *pat, size_t table)
{
	return pat->kind == PAT_TABLE && pat->table == (int)table;
}

unsigned
conf_table_uses(const struct conf *c, size_t table)
{
	const struct conf_match *m;
	unsigned uses = 0;

	for (size_t i = 0; i < c->naction; i++)
		if (c->action[i].users == (int)table)
			uses |= 1u << ASK_LOCAL;
	for (size_t i = 0; i < c->nmatch; i++) {
		m = &c->match[i];
		if (m->from == FROM_TABLE && m->from_table == (int)table)
			uses |= 1u << ASK_NETWORK;
		if (is_in(&m->helo, table) || (m->for_ == FOR_DOMAIN && is_in(&m->for_pattern, table)))
			uses |= 1u << ASK_DOMAIN;
		if (is_in(&m->mail_from, table) || (m->for_ == FOR_RCPT && is_in(&m->for_pattern, table)))
			uses |= 1u << ASK_ADDRESS;
	}
	for (size_t i = 0; i < c->narchive; i++)
		if (is_in(&c->archive[i].from, table) || is_in(&c->archive[i].for_, table))
			uses |= 1u << ASK_ADDRESS;
	return uses;
}

/* What means something in one of its uses is not held against the others. */
void
conf_table_entry(struct parse *p, size_t table, unsigned uses, const struct conf_pos *at, const char *key)
{
	const char *bad, *first = NULL;
	bool warning, mild = false;

	for (enum ask_kind kind = ASK_ADDRESS; kind <= ASK_NETWORK; kind++) {
		if ((uses & 1u << kind) == 0)
			continue;
		if ((bad = table_key_bad(kind, key, &warning)) == NULL)
			return;
		if (first == NULL || (warning && !mild)) {
			first = bad;
			mild = warning;
		}
	}
	if (first != NULL)
		conf_report(p->unit, at, mild, "\"%s\" in the table <%s> %s", key, p->conf->table[table].name, first);
}

static void
check_tables(struct parse *p)
{
	const struct conf *c = p->conf;

	for (size_t i = 0; i < c->ntable; i++)
		if (conf_table_uses(c, i) == 0)
			conf_report(p->unit, &p->at.table[i], true, "the table \"%s\" is never used", c->table[i].name);
}

static void
check_actions(struct parse *p)
{
	const struct conf *c = p->conf;
	bool *used = xcalloc(c->naction + 1, sizeof(*used));

	for (size_t i = 0; i < c->nmatch; i++)
		if (c->match[i].verdict == VERDICT_ACTION && c->match[i].action >= 0)
			used[c->match[i].action] = true;
	for (size_t i = 0; i < c->naction; i++)
		if (!used[i])
			conf_report(p->unit, &p->at.action[i], true, "the action \"%s\" is never used", c->action[i].name);
	free(used);
}

static void
check_sources(struct parse *p)
{
	const struct conf *c = p->conf;
	bool used;

	for (size_t i = 0; i < c->nsource; i++) {
		used = false;
		for (size_t k = 0; k < c->npool && !used; k++)
			for (size_t n = 0; n < c->pool[k].nmember; n++)
				used = used || c->pool[k].member[n].source == (int)i;
		if (!used)
			conf_report(p->unit, &p->at.source[i], true, "the source \"%s\" is in no pool", c->source[i].name);
	}
}

/* The entries that are written here can be looked through here. */
static void
check_entries(struct parse *p)
{
	unsigned uses;

	for (size_t i = 0; i < p->conf->ntable; i++) {
		uses = conf_table_uses(p->conf, i);
		for (size_t k = 0; k < p->conf->table[i].n; k++)
			conf_table_entry(p, i, uses, &p->at.item[i][k], p->conf->table[i].keys[k]);
	}
}

void
conf_check(struct parse *p)
{
	check_listeners(p);
	check_entries(p);
	if (p->unit->nerror > 0)		/* half of a configuration would get misleading warnings */
		return;
	check_rules(p);
	check_postmaster(p);
	check_tables(p);
	check_actions(p);
	check_sources(p);
}
