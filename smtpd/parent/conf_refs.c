/*
 * conf_refs: what a configuration refers to outside of itself, and whether it is there and of use: tables, addresses of sources, who takes what
 * the archive is sent.
 *
 * Called by conf_build for conf_load alone (posternd at start, at a reload, with -n), when the rest is without errors. Reads files and
 * accounts; reports what would not work as an error, what may come later as a warning.
 */
#include <stdlib.h>
#include "proc/account.h"
#include "conf/conf_parse.h"
#include "conf/match.h"
#include "parent/conf_tables.h"
#include "base/xmalloc.h"

static void
check_ways(struct parse *p)
{
	const struct conf *c = p->conf;
	struct conf_pos pos = { .file = p->unit->file[0] };

	if (c->nmatch == 0)
		conf_report(p->unit, &pos, false, "there is no rule, so nothing would be taken; add match from ... for ... action ...");
	if (c->nlisten == 1 && p->at.listen[0].file == NULL)
		conf_report(p->unit, &pos, true, "nothing listens on the network: mail comes in by the local socket alone; add listen on all, or listen on socket "
		    "if this is meant");
}

static void
check_source(struct parse *p, size_t i)
{
	const struct conf_source *s = &p->conf->source[i];
	const struct sockaddr_storage *in[] = { &s->in4, &s->in6 };

	for (size_t k = 0; k < sizeof(in) / sizeof(in[0]); k++)
		if (in[k]->ss_family != 0 && !conf_is_own_address(p->conf, (const struct sockaddr *)in[k]))
			conf_report(p->unit, &p->at.source[i], true, "the source \"%s\" has an %s address that is not on this host: nothing is sent from it "
			    "until it is", s->name, in[k]->ss_family == AF_INET ? "IPv4" : "IPv6");
}

static enum answer_status
answer_account(const struct conf *c, const char *key, bool named)
{
	const struct passwd *pw;
	enum account_kind kind;
	int r = account_get(key, &pw);

	if (r == -1)
		return ANSWER_TEMPFAIL;
	kind = r == 1 ? account_kind(pw, c->limit[LIM_FIRST_UID]) : ACCOUNT_NEVER;
	return kind == ACCOUNT_USER || (kind == ACCOUNT_SYSTEM && named) ? ANSWER_YES : ANSWER_NO;
}

/* Accounts and tables are asked here as lookup would be; of a network nothing is asked, as there is no client. False: nothing was asked. */
static bool
answer(const struct conf *c, struct answers *as)
{
	struct p_ask ask = answers_ask(as, c->generation);
	struct p_answer a = { .values_n = ask.questions_n, .values = xcalloc(ask.questions_n + 1, sizeof(*a.values)) };
	const struct p_question *q;
	bool all;

	for (uint32_t i = 0; i < ask.questions_n; i++) {
		q = &ask.questions[i];
		a.values[i].value = "";
		a.values[i].status = q->kind >= ASK_ACCOUNT ? answer_account(c, q->key, q->kind == ASK_ACCOUNT_NAMED) : conf_tables_ask(c, q->kind, q->table, q->key);
	}
	all = ask.questions_n > 0 && answers_take(as, &a) == 0;
	free(ask.questions);
	free(a.values);
	return all;
}

/* What cannot be archived is not taken: with a target that is refused no mail would be. */
static void
check_archive(struct parse *p, size_t i)
{
	static const struct match_facts own = { .socket = true, .helo = "", .mail_from = "", .tag = "" };
	const char *to = p->conf->archive[i].to;
	struct answers as = { 0 };
	enum match_result r;
	struct match m;

	do
		r = match_rcpt(p->conf, &own, to, &as, &m);
	while (r == MATCH_NEED && answer(p->conf, &as));
	if (r == MATCH_REFUSED && m.code >= 500)
		conf_report(p->unit, &p->at.archive[i], false, "nobody takes what is archived to <%s> (%u %s %s); add a rule for it, from socket", to,
		    m.code, m.dsn, m.text);
	answers_free(&as);
}

void
conf_refs(struct parse *p)
{
	const struct conf *c = p->conf;

	account_refresh();
	conf_tables(p);
	check_ways(p);
	for (size_t i = 0; i < c->nsource; i++)
		check_source(p, i);
	for (size_t i = 0; i < c->narchive && p->unit->nerror == 0; i++)
		check_archive(p, i);
}
