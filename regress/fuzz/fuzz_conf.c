/* links: */
/*
 * fuzz_conf: the text of a configuration, and what is read from it: patterns, globs, networks, rules, destinations.
 * A text without errors gives a configuration in which every index is in range; rules end with a verdict or ask finitely.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "conf/match.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check(bool ok)
{
	if (!ok)
		abort();
}

static void
check_pattern(const struct conf *c, const struct pattern *p)
{
	if (p->kind == PAT_TABLE)
		check(p->table >= 0 && (size_t)p->table < c->ntable);
	else if (p->kind != PAT_NONE)
		check(p->text != NULL);
}

static void
check_conf(const struct conf *c)
{
	const struct conf_match *m;

	check(c->hostname != NULL && c->domain != NULL && c->spool != NULL && c->runtime != NULL && c->listeners > 0);
	check(c->nlisten > 0 && c->listen[c->nlisten - 1].sa.ss_family == AF_UNIX);
	for (size_t i = 0; i < c->nlisten; i++)
		check(c->listen[i].text != NULL && c->listen[i].hostname != NULL && (i + 1 == c->nlisten || c->listen[i].sa.ss_family != AF_UNIX));
	for (size_t i = 0; i < c->naction; i++)
		check(c->action[i].users < (int)c->ntable && (c->action[i].kind != ACTION_MAILDIR || c->action[i].path != NULL));
	for (size_t i = 0; i < c->nmatch; i++) {
		m = &c->match[i];
		check(m->from != FROM_TABLE || (m->from_table >= 0 && (size_t)m->from_table < c->ntable));
		check(m->verdict != VERDICT_ACTION || (m->action >= 0 && (size_t)m->action < c->naction));
		check_pattern(c, &m->helo);
		check_pattern(c, &m->mail_from);
		check_pattern(c, &m->tag);
		check_pattern(c, &m->for_pattern);
	}
}

/* Each question is answered by what its key hashes to. */
static void
reply(struct answers *as, uint32_t generation)
{
	struct p_ask ask = answers_ask(as, generation);
	struct p_answer a = { .values_n = ask.questions_n };

	check(ask.questions_n > 0);
	a.values = calloc(ask.questions_n, sizeof(*a.values));
	check(a.values != NULL);
	for (uint32_t i = 0; i < ask.questions_n; i++)
		a.values[i] = (struct p_value){ (uint8_t)((strlen(ask.questions[i].key) + ask.questions[i].table) % 3), "" };
	check(answers_take(as, &a) == 0);
	free(a.values);
	free(ask.questions);
}

static void
try_rules(const struct conf *c, const char *addr)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000001) };
	struct match_facts f = { .client = (struct sockaddr *)&sin, .helo = "a.example", .mail_from = addr, .tag = "t" };
	struct answers as = { 0 };
	enum match_result r;
	unsigned rounds = 0;
	struct match m;

	while ((r = match_rcpt(c, &f, addr, &as, &m)) == MATCH_NEED) {
		check(rounds++ < 4);
		reply(&as, 1);
	}
	if (r == MATCH_OK)
		check(m.held ? m.action == -1 : m.action >= 0 && (size_t)m.action < c->naction);
	else
		check(m.code >= 400 && m.code < 600 && m.dsn[0] == (char)('0' + m.code / 100) && m.text[0] != '\0');
	answers_free(&as);
}

int
LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	struct conf_errors e = { 0 };
	struct conf *c = conf_parse((const char *)in, n, 1, &e);

	check((c == NULL) == (e.nerror > 0));
	if (c != NULL) {
		check_conf(c);
		try_rules(c, "bob+tag@example.org");
		try_rules(c, "postmaster");
		try_rules(c, "");
		check(conf_policy(c, NULL, "a.example.org", "mx.example.org").concurrency > 0);
		conf_is_local_domain(c, "[IPv6:::1]");
	}
	conf_free(c);
	conf_errors_free(&e);
	return 0;
}
