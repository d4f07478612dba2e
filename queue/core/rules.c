/*
 * route: questions to lookup on behalf of match_rcpt, one struct per recipient that is being routed.
 *
 * Called by bounce and sched; on_QANSWER by lookup's edge. Owns the open questions. An answer that does not fit its question is
 * lookup's fault and drops that edge's answer: the recipient is asked for again.
 */
#include <sys/queue.h>
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include "program/child.h"
#include "base/log.h"
#include "core/rules.h"
#include "base/xmalloc.h"

MSG_PROTOTYPES(LOOKUP_TO_QUEUE)
MSG_SENDER(QUEUE_TO_LOOKUP)

#define ROUNDS 16			/* of questions for one recipient */

struct route {
	TAILQ_ENTRY(route)	 link;
	uint32_t		 number;
	unsigned		 rounds;
	struct match_facts	 facts;
	struct sockaddr_storage	 client;
	char			*helo, *mail_from, *tag, *addr;
	struct answers		 answers;
	route_decider		*decider;		/* NULL: match_rcpt */
	void			*decider_arg;
	route_done		*done;
	void			*arg;
};

static struct {
	TAILQ_HEAD(, route)	 open;
	struct edge		*lookup;
	uint32_t		 number;
} rt = { .open = TAILQ_HEAD_INITIALIZER(rt.open) };

struct match_facts
route_own(void)
{
	return (struct match_facts){ .socket = true, .helo = "", .mail_from = "", .tag = "" };
}

static const struct sockaddr *
parse_client(const char *text, struct sockaddr_storage *ss)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (strncasecmp(text, "IPv6:", 5) == 0)
		text += 5;
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1)
		ss->ss_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1)
		ss->ss_family = AF_INET6;
	else
		return NULL;
	return (const struct sockaddr *)ss;
}

struct match_facts
route_facts(const struct p_env *env, struct sockaddr_storage *ss)
{
	const struct sockaddr *sa = parse_client(env->client_addr, ss);

	return (struct match_facts){ .client = sa, .socket = sa == NULL, .auth = *env->user != '\0',
	    .tls = strchr(env->proto, 'S') != NULL && strcmp(env->proto, "ESMTPSA") <= 0 && strncmp(env->proto, "ESMTPS", 6) == 0,
	    .helo = env->helo, .mail_from = env->sender, .tag = env->tag };
}

static void
route_free(struct route *r)
{
	TAILQ_REMOVE(&rt.open, r, link);
	answers_free(&r->answers);
	free(r->helo);
	free(r->mail_from);
	free(r->tag);
	free(r->addr);
	free(r);
}

static void
finish(struct route *r, enum match_result result, const struct match *m)
{
	route_done *done = r->done;
	void *arg = r->arg;

	route_free(r);
	done(arg, result, m);
}

static void
send_questions(struct route *r)
{
	struct p_ask ask;

	if (rt.lookup == NULL)
		return;
	ask = answers_ask(&r->answers, child_conf()->generation);
	r->number = ++rt.number;
	send_QASK(rt.lookup, r->number, &ask, -1);
	free(ask.questions);
}

static void
step(struct route *r)
{
	struct match m;
	enum match_result result;

	memset(&m, 0, sizeof(m));
	if (r->decider != NULL)
		result = r->decider(r->decider_arg, &r->answers, &m);
	else
		result = match_rcpt(child_conf(), &r->facts, r->addr, &r->answers, &m);
	if (result == MATCH_NEED && ++r->rounds <= ROUNDS) {
		send_questions(r);
		return;
	}
	if (result == MATCH_NEED) {
		result = MATCH_REFUSED;
		m.code = 451;
		strlcpy(m.dsn, "4.4.3", sizeof(m.dsn));
		strlcpy(m.text, "too many questions for one recipient", sizeof(m.text));
	}
	finish(r, result, &m);
}

void
route_ask(const struct match_facts *f, const char *addr, route_done *done, void *arg)
{
	struct route *r = xcalloc(1, sizeof(*r));

	r->facts = *f;
	if (f->client != NULL) {
		memcpy(&r->client, f->client, f->client->sa_family == AF_INET ? sizeof(struct sockaddr_in) :
		    sizeof(struct sockaddr_in6));
		r->facts.client = (const struct sockaddr *)&r->client;
	}
	r->facts.helo = r->helo = xstrdup(f->helo);
	r->facts.mail_from = r->mail_from = xstrdup(f->mail_from);
	r->facts.tag = r->tag = xstrdup(f->tag);
	r->addr = xstrdup(addr);
	r->done = done;
	r->arg = arg;
	TAILQ_INSERT_TAIL(&rt.open, r, link);
	step(r);
}

void
route_decide(route_decider *decider, void *decider_arg, route_done *done, void *arg)
{
	struct route *r = xcalloc(1, sizeof(*r));

	r->decider = decider;
	r->decider_arg = decider_arg;
	r->done = done;
	r->arg = arg;
	TAILQ_INSERT_TAIL(&rt.open, r, link);
	step(r);
}

void
on_QANSWER(struct edge *e, uint32_t id, struct p_answer *p, int fd)
{
	struct route *r;

	(void)e;
	(void)fd;
	TAILQ_FOREACH(r, &rt.open, link)
		if (r->number == id)
			break;
	if (r == NULL)
		return;			/* asked before a reload */
	if (answers_take(&r->answers, p) == -1) {
		log_error("lookup's answer does not fit the question");
		answers_free(&r->answers);
	}
	step(r);
}

static void
ask_all_again(void)
{
	TAILQ_HEAD(, route) all = TAILQ_HEAD_INITIALIZER(all);
	struct route *r;

	TAILQ_CONCAT(&all, &rt.open, link);
	while ((r = TAILQ_FIRST(&all)) != NULL) {
		TAILQ_REMOVE(&all, r, link);
		TAILQ_INSERT_TAIL(&rt.open, r, link);
		answers_free(&r->answers);
		r->number = 0;
		r->rounds = 0;
		step(r);
	}
}

void
route_lookup(struct edge *e)
{
	rt.lookup = e;
	if (e != NULL)
		ask_all_again();
}

void
route_conf(void)
{
	ask_all_again();
}
