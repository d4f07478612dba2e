/*
 * match: which rule takes a recipient.
 *
 * Called by the listener at RCPT, by the queue for its own mail, and by conf_check. Pure code. A rule's inline conditions come
 * first; only a rule that they leave open asks tables. When an answer is missing the rules below it are looked through as well,
 * so that all questions of a recipient go out at once.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mail/addr.h"
#include "conf/match_word.h"

/* What a condition or a rule says; the higher one of two wins, but for NO, which ends it. */
enum truth { YES, TEMPFAIL, UNKNOWN, NO };

static enum truth
both(enum truth a, enum truth b)
{
	return a > b ? a : b;
}

static enum truth
truth_of(bool yes)
{
	return yes ? YES : NO;
}

static enum truth
negated(enum truth t, bool negate)
{
	return !negate ? t : t == YES ? NO : t == NO ? YES : t;
}

struct ctx {
	const struct conf		*conf;
	const struct match_facts	*facts;
	struct answers			*answers;
	const char			*addr;		/* as given */
	char				 full[ADDR_PATH_MAX + ADDR_DOMAIN_MAX + 2];	/* with a domain */
	const char			*domain;	/* in full */
	bool				 local;		/* its domain is one of ours */
	bool				 postmaster;	/* it is postmaster at a local domain */
	bool				 root;		/* ... or root, which goes the same way */
	bool				 statement;	/* it is what the statement `postmaster` names */
};

/* ---- look-ups ---- */

static enum truth
ask(struct answers *as, enum ask_kind kind, int table, const char *key, const struct answer **out)
{
	const struct answer *a = answers_find(as, kind, (uint16_t)table, key);

	if (out != NULL)
		*out = a;
	if (a->state != Q_KNOWN)
		return UNKNOWN;
	return a->status == ANSWER_TEMPFAIL ? TEMPFAIL : truth_of(a->status == ANSWER_YES);
}

static enum truth
pattern_truth(const struct pattern *pat, const char *value, enum ask_kind kind, struct answers *as)
{
	enum truth t = YES;

	if (pat->kind == PAT_NONE)
		return YES;
	if (pat->kind == PAT_TABLE)
		t = ask(as, kind, pat->table, kind == ASK_ADDRESS && value[0] == '\0' ? "<>" : value, NULL);
	else if (kind == ASK_ADDRESS || kind == ASK_LOCAL)
		t = truth_of(pattern_address(pat, value));
	else
		t = truth_of(pattern_word(pat, value));
	return negated(t, pat->negate);
}

enum match_result
match_pattern(const struct pattern *pat, const char *value, enum ask_kind kind, struct answers *as, bool *yes)
{
	enum truth t = pattern_truth(pat, value, kind, as);

	if (t == UNKNOWN)
		return MATCH_NEED;
	if (t == TEMPFAIL)
		return MATCH_REFUSED;
	*yes = t == YES;
	return MATCH_OK;
}

/* ---- the conditions of a rule ---- */

static enum truth
from_network_table(const struct ctx *x, const struct conf_match *m)
{
	const struct sockaddr *sa = x->facts->client;
	char text[INET6_ADDRSTRLEN];

	if (sa == NULL)
		return NO;
	if (sa->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, text, sizeof(text));
	else if (sa->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, text, sizeof(text));
	else
		return NO;
	return ask(x->answers, ASK_NETWORK, m->from_table, text, NULL);
}

static enum truth
cond_from(const struct ctx *x, const struct conf_match *m)
{
	const struct match_facts *f = x->facts;

	switch (m->from) {
	case FROM_ANY:
		return YES;
	case FROM_LOCAL:
		return truth_of(f->socket || (f->client != NULL && conf_is_own_address(x->conf, f->client)));
	case FROM_SOCKET:
		return truth_of(f->socket);
	case FROM_AUTH:
		return truth_of(f->auth);
	case FROM_CIDR:
		return truth_of(f->client != NULL && cidr_match(&m->from_cidr, f->client));
	case FROM_TABLE:
		return from_network_table(x, m);
	}
	return NO;
}

static enum truth
cond_for(const struct ctx *x, const struct conf_match *m)
{
	switch (m->for_) {
	case FOR_ANY:
		return YES;
	case FOR_LOCAL:
		return truth_of(x->local);
	case FOR_DOMAIN:
		return pattern_truth(&m->for_pattern, x->domain, ASK_DOMAIN, x->answers);
	case FOR_RCPT:
		return pattern_truth(&m->for_pattern, x->full, ASK_ADDRESS, x->answers);
	}
	return NO;
}

/* A row for each condition that may need a table: inline tells whether it does not, for this rule. */
static enum truth
rule_conditions(const struct ctx *x, const struct conf_match *m, bool tables)
{
	const struct match_facts *f = x->facts;
	enum truth t = YES;

	if ((m->from == FROM_TABLE) == tables)
		t = both(t, negated(cond_from(x, m), m->from_not));
	if (((m->for_ == FOR_DOMAIN || m->for_ == FOR_RCPT) && m->for_pattern.kind == PAT_TABLE) == tables)
		t = both(t, cond_for(x, m));
	if ((m->helo.kind == PAT_TABLE) == tables)
		t = both(t, pattern_truth(&m->helo, f->helo, ASK_DOMAIN, x->answers));
	if ((m->mail_from.kind == PAT_TABLE) == tables)
		t = both(t, pattern_truth(&m->mail_from, f->mail_from, ASK_ADDRESS, x->answers));
	return t;
}

static enum truth
rule_truth(const struct ctx *x, const struct conf_match *m)
{
	if ((m->auth && !x->facts->auth) || (m->tls && !x->facts->tls))
		return NO;
	if (pattern_truth(&m->tag, x->facts->tag, ASK_DOMAIN, x->answers) != YES)
		return NO;
	if (rule_conditions(x, m, false) == NO)
		return NO;
	return rule_conditions(x, m, true);
}

/* ---- verdicts ---- */

static enum match_result
refuse(struct match *out, enum match_of of, unsigned code, const char *dsn, const char *text)
{
	out->of = of;
	out->action = -1;
	out->code = code;
	snprintf(out->dsn, sizeof(out->dsn), "%s", dsn);
	snprintf(out->text, sizeof(out->text), "%s", text);
	return MATCH_REFUSED;
}

static enum match_result
accept_as(struct match *out, const char *account)
{
	snprintf(out->account, sizeof(out->account), "%s", account);
	return MATCH_OK;
}

static enum match_result
lookup_failed(struct match *out)
{
	return refuse(out, MATCH_OF_NOTHING, 451, "4.4.3", "look-up failed for now; try again later");
}

static enum match_result
no_such_user(struct match *out)
{
	return refuse(out, MATCH_OF_RCPT, 550, "5.1.1", "User unknown in local recipient table");
}

static enum match_result
no_relay(struct match *out)
{
	return refuse(out, MATCH_OF_NOTHING, 550, "5.7.1", "Relay access denied");
}

/* What a rule looks at beside the recipient. */
static enum match_of
rule_of(const struct conf_match *m)
{
	if (m->helo.kind != PAT_NONE)
		return MATCH_OF_HELO;
	if (m->mail_from.kind != PAT_NONE)
		return MATCH_OF_SENDER;
	if (m->for_ == FOR_ANY && (m->from == FROM_TABLE || m->from == FROM_CIDR))
		return MATCH_OF_CLIENT;
	return MATCH_OF_RCPT;
}

/* "550 5.7.1 text", which the parser has checked. */
static enum match_result
refuse_by_rule(const struct conf_match *m, struct match *out)
{
	const char *dflt = m->verdict == VERDICT_REJECT ? "550 5.7.1 Access denied" : "450 4.7.1 Access denied for now, try again later";
	const char *s = m->reply != NULL ? m->reply : dflt, *text = strchr(s + 4, ' ');
	char dsn[12];

	snprintf(dsn, sizeof(dsn), "%.*s", (int)(text - (s + 4)), s + 4);
	out->own = m->reply != NULL;
	return refuse(out, rule_of(m), (unsigned)strtoul(s, NULL, 10), dsn, text + 1);
}

/* ---- root and postmaster ---- */

static enum match_result all_rules(const struct ctx *, struct match *);
static void ctx_address(struct ctx *, const char *);

static bool
is_mailbox(const struct conf *conf, const struct conf_action *a, bool me)
{
	return a->kind == ACTION_MAILDIR && (a->user != NULL || (me && conf->me != NULL));
}

bool
match_holds_postmaster(const struct conf *conf, bool me)
{
	const struct conf_action *a;
	const struct conf_match *m;

	for (size_t i = 0; i < conf->nmatch; i++) {
		m = &conf->match[i];
		if (m->verdict != VERDICT_ACTION || (m->for_ != FOR_LOCAL && m->for_ != FOR_ANY))
			continue;
		a = &conf->action[m->action];
		if (a->kind == ACTION_MAILDIR ? is_mailbox(conf, a, me) : m->for_ == FOR_LOCAL || m->from == FROM_ANY)
			return false;
	}
	return conf->postmaster == NULL;
}

/* By the statement; MATCH_REFUSED with 5xx: there is none, or nobody takes what it names. */
static enum match_result
by_statement(const struct ctx *x, struct match *out)
{
	static const struct match_facts own = { .socket = true, .helo = "", .mail_from = "", .tag = "" };
	struct ctx to = { .conf = x->conf, .facts = &own, .answers = x->answers, .statement = true };
	enum match_result r;

	if (x->conf->postmaster == NULL || x->statement)
		return no_such_user(out);
	ctx_address(&to, x->conf->postmaster);
	r = all_rules(&to, out);
	if (r == MATCH_OK && out->held)
		return no_such_user(out);
	if (r == MATCH_OK)
		strlcpy(out->to, to.full, sizeof(out->to));
	return r;
}

/* There is no agent for root, and postmaster must not be refused: what nobody is named for waits until somebody is. */
static enum match_result
hold(struct match *out)
{
	memset(out, 0, sizeof(*out));
	out->action = -1;
	out->held = true;
	return MATCH_OK;
}

/* a: what a rule would do with its mail; NULL: no rule takes it. */
static enum match_result
to_root(const struct ctx *x, const struct conf_action *a, struct match *out)
{
	struct match named = { .action = -1 };
	enum match_result r = by_statement(x, &named);

	if (r != MATCH_REFUSED || named.code < 500) {
		*out = named;
		return r;
	}
	if (a == NULL || (a->kind == ACTION_MAILDIR && !is_mailbox(x->conf, a, true)))
		return hold(out);
	return accept_as(out, a->kind != ACTION_MAILDIR ? "" : x->conf->me != NULL ? x->conf->me : a->user);
}

/* ---- mailboxes ---- */

/* A rule for this very address may deliver to an account that is the system's. */
static bool
names_one(const struct conf_match *m)
{
	const struct pattern *pat = &m->for_pattern;

	return m->for_ == FOR_RCPT && pat->kind == PAT_WORD && !pat->negate && strchr(pat->text, '@') != NULL && pat->text[0] != '@';
}

bool
match_names_account(const struct conf *conf, const struct conf_action *a, const char *account)
{
	char key[ADDR_LOCAL_MAX + 1];
	const struct conf_match *m;

	for (size_t i = 0; i < conf->nmatch; i++) {
		m = &conf->match[i];
		if (m->verdict != VERDICT_ACTION || &conf->action[m->action] != a || !names_one(m))
			continue;
		addr_key(m->for_pattern.text, key, sizeof(key), true);
		if (strcasecmp(key, account) == 0)
			return true;
	}
	return false;
}

static enum match_result
to_account(const struct ctx *x, struct match *out)
{
	const struct answer *a;
	char key[ADDR_LOCAL_MAX + 1];

	addr_key(x->addr, key, sizeof(key), true);
	switch (ask(x->answers, names_one(out->rule) ? ASK_ACCOUNT_NAMED : ASK_ACCOUNT, 0, key, &a)) {
	case UNKNOWN:
		return MATCH_NEED;
	case TEMPFAIL:
		return lookup_failed(out);
	case YES:
		return accept_as(out, a->value != NULL && a->value[0] != '\0' ? a->value : key);
	case NO:
		break;
	}
	return no_such_user(out);
}

static enum match_result
to_maildir(const struct ctx *x, const struct conf_action *a, struct match *out)
{
	const char *owner = x->conf->me != NULL ? x->conf->me : a->user;
	enum truth t = YES;

	if (x->postmaster || (x->root && owner == NULL))
		return to_root(x, a, out);
	if (owner == NULL)
		return to_account(x, out);
	if (a->users >= 0)
		t = ask(x->answers, ASK_LOCAL, a->users, x->full, NULL);
	if (t == UNKNOWN)
		return MATCH_NEED;
	if (t == TEMPFAIL)
		return lookup_failed(out);
	return t == YES ? accept_as(out, owner) : no_such_user(out);
}

static enum match_result
to_action(const struct ctx *x, const struct conf_match *m, struct match *out)
{
	const struct conf_action *a = &x->conf->action[m->action];

	out->action = m->action;
	out->rule = m;
	if (x->root && x->conf->postmaster != NULL)
		return to_root(x, a, out);
	return a->kind == ACTION_MAILDIR ? to_maildir(x, a, out) : accept_as(out, "");
}

/* ---- postmaster ---- */

/* A refusal that names the client or the recipient holds for postmaster too (RFC 5321 4.5.1), a general one does not. */
static bool
refuses_postmaster(const struct conf_match *m)
{
	return m->from == FROM_TABLE || m->from == FROM_CIDR || m->helo.kind != PAT_NONE || m->mail_from.kind != PAT_NONE ||
	    m->for_ == FOR_RCPT;
}

/* No rule takes postmaster from this client: the first one by which a local address is delivered does. */
static enum match_result
postmaster_anyway(const struct ctx *x, struct match *out)
{
	const struct conf_match *m;

	for (size_t i = 0; i < x->conf->nmatch; i++) {
		m = &x->conf->match[i];
		if (m->verdict != VERDICT_ACTION)
			continue;
		if (m->for_ == FOR_LOCAL || (m->for_ == FOR_ANY && x->conf->action[m->action].kind == ACTION_MAILDIR))
			return to_action(x, m, out);
	}
	return to_root(x, NULL, out);
}

/* ---- all rules ---- */

static enum match_result
rule_verdict(const struct ctx *x, const struct conf_match *m, struct match *out)
{
	out->rule = m;
	if (m->verdict == VERDICT_ACTION)
		return to_action(x, m, out);
	return refuse_by_rule(m, out);
}

static enum match_result
all_rules(const struct ctx *x, struct match *out)
{
	const struct conf_match *m;
	enum match_result r;
	bool need = false;
	enum truth t;

	for (size_t i = 0; i < x->conf->nmatch; i++) {
		m = &x->conf->match[i];
		if (x->postmaster && m->verdict != VERDICT_ACTION && !refuses_postmaster(m))
			continue;
		t = rule_truth(x, m);
		if (t == NO)
			continue;
		if (t == UNKNOWN) {
			need = true;
			continue;
		}
		r = t == TEMPFAIL ? lookup_failed(out) : rule_verdict(x, m, out);
		return need ? MATCH_NEED : r;
	}
	if (need)
		return MATCH_NEED;
	return x->postmaster ? postmaster_anyway(x, out) : no_relay(out);
}

static void
ctx_address(struct ctx *x, const char *addr)
{
	char key[ADDR_LOCAL_MAX + 1];

	x->addr = addr;
	x->local = conf_is_local_domain(x->conf, addr_domain(addr));
	if (addr_domain(addr)[0] != '\0')
		snprintf(x->full, sizeof(x->full), "%s", addr);
	else
		snprintf(x->full, sizeof(x->full), "%s@%s", addr, x->conf->domain);
	x->domain = addr_domain(x->full);
	addr_key(addr, key, sizeof(key), true);
	x->postmaster = x->local && strcmp(key, "postmaster") == 0;
	x->root = x->postmaster || (x->local && strcmp(key, "root") == 0);
}

enum match_result
match_rcpt(const struct conf *conf, const struct match_facts *facts, const char *addr, struct answers *as, struct match *out)
{
	struct ctx x = { .conf = conf, .facts = facts, .answers = as };

	memset(out, 0, sizeof(*out));
	out->action = -1;
	ctx_address(&x, addr);
	return all_rules(&x, out);
}
