/*
 * route: see route.h. The handler of MX stands here.
 *
 * A route is made per domain; or per action with smarthosts and policy, so that what many domains send there by the same policy goes one
 * way. It asks one question per name, and keeps its answer (a destination) for the time the DNS gave, within bounds; a failure is told to
 * the jobs that waited and not kept: the resolver has its own cache. Who only wants to know (explain.c) waits and is told as the jobs are.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mail/addr.h"
#include "program/child.h"
#include "client/hostset.h"
#include "proc/ev.h"
#include "client/explain.h"
#include "base/log.h"
#include "client/mailbox.h"
#include "client/mx.h"
#include "client/pool.h"
#include "client/nexthop.h"
#include "client/self.h"
#include "client/source.h"
#include "base/xmalloc.h"

MSG_PROTOTYPES(RESOLVER_TO_DELIVER)
MSG_SENDER(DELIVER_TO_RESOLVER)

#define SMTP_PORT	25
#define SUSPENDED_MS	(10 * 60 * 1000)	/* what no source is left for asks again; a resumed source does not wait for that */
#define ASK_MS		(60 * 1000)
#define KEEP_LEAST	(5 * 1000)
#define KEEP_MOST	(5 * 60 * 1000)
#define ROUTES_MAX	20000
#define VIA_STEP	0x10000		/* smarthosts in order: above any MX preference */

struct ask {
	RB_ENTRY(ask)	 entry;
	uint32_t	 id;		/* of the open question; 0: none */
	struct route	*route;
	char		*name;
	bool		 literal;
	uint16_t	 port;
	uint32_t	 base;		/* added to preferences */
};

struct route {
	RB_ENTRY(route)	 entry;
	char		*key;
	char		*domain;	/* whose hosts these are; a smarthost's own name */
	bool		 smarthost;
	struct ask	*ask;
	size_t		 nask, open;	/* open: questions without an answer yet */
	uint64_t	 asked;		/* ev_now_ms() */
	uint32_t	 ttl;
	struct mx_set	 set;		/* what came so far */
	bool		 failed;	/* failure is set by an answer */
	struct verdict	 failure;
	char		 failure_text[512];
	struct job_list	 waiting;
	struct inquiry_list inquiries;
	bool		 known;		/* set and policy are the answer, and hold until then */
	uint64_t	 until;
	struct dest_policy policy;	/* by smarthost: from the beginning, for jobs of that configuration alone */
	char		*mx;		/* the best one, by whose name the policy is too; NULL: not known, or a smarthost */
	struct dest	**dest;		/* by source, none in particular first; NULL: not needed yet */
	size_t		 ndest;
};

static int
compare(const struct route *a, const struct route *b)
{
	return strcmp(a->key, b->key);
}

static int
compare_ask(const struct ask *a, const struct ask *b)
{
	return a->id < b->id ? -1 : a->id > b->id;
}

RB_HEAD(route_tree, route);
RB_GENERATE_INTERNAL(route_tree, route, entry, compare, static __attribute__((unused)))
RB_HEAD(ask_tree, ask);
RB_GENERATE_INTERNAL(ask_tree, ask, entry, compare_ask, static __attribute__((unused)))

static struct {
	struct edge		*resolver;
	struct route_tree	 tree;
	struct ask_tree		 asks;
	uint32_t		 last_id;
	size_t			 n;
	bool			 draining;
} routes;

/* ---- life ---- */

static struct route *
route_new(const char *key, const char *domain, bool smarthost)
{
	struct route *r = xcalloc(1, sizeof *r);

	r->key = xstrdup(key);
	r->domain = xstrdup(domain);
	r->smarthost = smarthost;
	TAILQ_INIT(&r->waiting);
	TAILQ_INIT(&r->inquiries);
	RB_INSERT(route_tree, &routes.tree, r);
	routes.n++;
	return r;
}

static void
add_ask(struct route *r, const char *name, bool literal, uint16_t port, uint32_t base)
{
	r->ask = xreallocarray(r->ask, r->nask + 1, sizeof *r->ask);
	r->ask[r->nask++] = (struct ask){ .route = r, .name = xstrdup(name), .literal = literal, .port = port, .base = base };
}

static void
forget_dest(struct route *r)
{
	size_t i;

	if (!r->known)
		return;
	r->known = false;
	for (i = 0; i < r->ndest; i++)
		if (r->dest[i] != NULL)
			dest_drop(r->dest[i]);
	free(r->dest);
	r->dest = NULL;
	r->ndest = 0;
	free(r->mx);
	r->mx = NULL;
	mx_free(&r->set);
}

static void
route_free(struct route *r)
{
	size_t i;

	RB_REMOVE(route_tree, &routes.tree, r);
	routes.n--;
	forget_dest(r);
	for (i = 0; i < r->nask; i++) {
		if (r->ask[i].id != 0)
			RB_REMOVE(ask_tree, &routes.asks, &r->ask[i]);
		free(r->ask[i].name);
	}
	free(r->ask);
	mx_free(&r->set);
	free(r->key);
	free(r->domain);
	free(r->mx);
	free(r);
}

/* ---- an answer for all that wait ---- */

static void
fail(struct route *r, enum outcome outcome, const char *dsn, const char *text)
{
	/* Nobody but the administrator can mend a smarthost. */
	if (r->smarthost && outcome == OUT_BOUNCE) {
		outcome = OUT_DEFER;
		dsn = "4.4.4";
	}
	strlcpy(r->failure_text, text, sizeof r->failure_text);
	r->failure = verdict(outcome, dsn, r->failure_text);
	r->failed = true;
}

static void
tell_failure(struct route *r)
{
	struct job *j;

	while ((j = TAILQ_FIRST(&r->waiting)) != NULL) {
		TAILQ_REMOVE(&r->waiting, j, wait);
		job_mx(j, r->mx);
		job_settle(j, &r->failure);
	}
}

static bool
usable(int source, void *arg)
{
	const struct route *r = arg;
	const struct source *s = source_of((unsigned)source);

	return !source_suspended(s) && source_reaches(s, &r->set);
}

static void
to_dest(struct route *r, struct job *j, int source)
{
	struct dest **d = &r->dest[source + 1];
	struct mx_set set;

	if (*d == NULL) {
		set = mx_copy(&r->set);
		*d = dest_get(&set, &r->policy, r->smarthost, source == -1 ? NULL : source_of((unsigned)source));
	}
	dest_add(*d, j);
}

/* The suspended ones that would do: "no source is left; suspended: a, b (pool p)" -> there are some */
static bool
suspended_of(const struct route *r, const struct conf_pool *pool, char *text, size_t size)
{
	const struct conf_member *m;
	const struct source *s;
	bool some = false;

	strlcpy(text, NO_SOURCE_LEFT, size);
	for (m = pool->member; m < pool->member + pool->nmember; m++) {
		s = source_of((unsigned)m->source);
		if (!source_reaches(s, &r->set))
			continue;
		strlcat(text, some ? ", " : " ", size);
		strlcat(text, s->name, size);
		some = true;
	}
	strlcat(text, " (pool ", size);
	strlcat(text, pool->name, size);
	strlcat(text, ")", size);
	return some;
}

/* Who suspends a source means it: that is no attempt. An address that is missing is trouble. */
static void
sourceless(struct route *r, struct job *j, const struct conf_pool *pool)
{
	struct verdict v;
	char text[400];

	if (suspended_of(r, pool, text, sizeof text)) {
		job_put_off(j, SUSPENDED_MS, DSN_OURS, text);
		return;
	}
	snprintf(text, sizeof text, "no source of pool %s has an address on this host that reaches the mail hosts", pool->name);
	v = verdict(OUT_DEFER, DSN_OURS, text);
	job_settle(j, &v);
}

/* Its action's, else the destination's; -1: none, the system chooses the address. */
static int
pool_of(const struct route *r, const struct conf *conf, unsigned action)
{
	if (conf->action[action].pool != -1)
		return conf->action[action].pool;
	return r->known || r->smarthost ? r->policy.pool : conf_policy(conf, NULL, r->domain, NULL).pool;
}

static void
tell_where(const struct route *r, struct job *j)
{
	char *hosts;

	if (!j->ask)
		return;
	hosts = mx_text(&r->set);
	job_at(j, hosts);
	free(hosts);
}

static void
by_pool(struct route *r, struct job *j)
{
	const struct conf *conf = child_conf();
	int pool, source;

	if (j->generation != conf->generation) {
		job_not_before(j, 200);
		return;
	}
	job_mx(j, r->mx);
	tell_where(r, j);
	pool = pool_of(r, conf, j->action);
	source = pool == -1 ? -1 : pool_pick(&conf->pool[pool], j->id, usable, r);
	if (pool == -1 || source != -1)
		to_dest(r, j, source);
	else
		sourceless(r, j, &conf->pool[pool]);
}

static void
tell_dest(struct route *r)
{
	struct job *j;

	while ((j = TAILQ_FIRST(&r->waiting)) != NULL) {
		TAILQ_REMOVE(&r->waiting, j, wait);
		by_pool(r, j);
	}
}

static void
tell_inquiries(struct route *r)
{
	struct finding f = { .set = &r->set, .mx = r->known && r->mx != NULL ? r->mx : "", .trouble = r->failed ? r->failure_text : "" };
	const struct conf *conf = child_conf();
	struct inquiry *q;

	while ((q = TAILQ_FIRST(&r->inquiries)) != NULL) {
		TAILQ_REMOVE(&r->inquiries, q, wait);
		f.pool = q->generation == conf->generation ? pool_of(r, conf, q->action) : -1;
		explain_answer(q, &f);
	}
}

/* The set is there, so the MX is known. */
static void
policy_by_mx(struct route *r)
{
	free(r->mx);
	r->mx = xstrdup(r->set.v[0].name);
	r->policy = conf_policy(child_conf(), NULL, r->domain, r->mx);
}

/* Smarthosts are meant as they are. */
static bool
nobody(const struct mx_host *h, void *arg)
{
	(void)h;
	(void)arg;
	return false;
}

/* All answers are there: where to, or why nowhere. */
static void
conclude(struct route *r)
{
	static const char *const loop[] = { "its best MX host is this one", "that address is this host's" };
	char text[400];
	enum mx_found found;
	uint64_t keep = (uint64_t)r->ttl * 1000;

	mx_sort(&r->set);
	found = mx_prune(&r->set, r->smarthost ? nobody : self_is, NULL);
	if (found == MX_LOOP) {
		snprintf(text, sizeof text, "mail for %s loops back to myself: %s", r->domain, loop[r->ask[0].literal]);
		fail(r, OUT_BOUNCE, "5.4.6", text);
	} else if (found == MX_NOWHERE && !r->failed) {
		snprintf(text, sizeof text, "the mail hosts of %s have no usable address", r->domain);
		fail(r, OUT_BOUNCE, "5.4.4", text);
	}
	if (found == MX_FINE) {
		if (!r->smarthost)
			policy_by_mx(r);
		mx_keep_family(&r->set, r->policy.family);
		if (r->set.n == 0) {
			snprintf(text, sizeof text, "the mail hosts of %s have no %s address, and no other may be used", r->domain,
			    r->policy.family == AF_INET ? "IPv4" : "IPv6");
			fail(r, OUT_DEFER, "4.4.4", text);
		}
	}
	if (r->set.n == 0 || found != MX_FINE) {
		mx_free(&r->set);
		free(r->mx);
		r->mx = NULL;
		return;
	}
	r->known = true;
	r->ndest = child_conf()->nsource + 1;
	r->dest = xcalloc(r->ndest, sizeof *r->dest);
	r->until = ev_now_ms() + (keep < KEEP_LEAST ? KEEP_LEAST : keep > KEEP_MOST ? KEEP_MOST : keep);
}

static void
settle(struct route *r)
{
	conclude(r);
	if (r->known)
		tell_dest(r);
	else
		tell_failure(r);
	tell_inquiries(r);
}

/* ---- the resolver ---- */

static void
send_ask(struct ask *a)
{
	send_MX_ASK(routes.resolver, a->id, &(struct p_mx_ask){ a->name, a->literal }, -1);
}

/* False: the name is an address, and there is nothing to ask. */
static bool
ask_one(struct route *r, struct ask *a)
{
	if (a->literal && a->name[0] != '\0' && mx_add(&r->set, a->base, a->name, a->name, a->port))
		return false;
	if (a->literal && !r->smarthost) {
		fail(r, OUT_BOUNCE, "5.1.3", "no mail can go to that address literal");
		return false;
	}
	if (++routes.last_id == 0)
		routes.last_id++;
	a->id = routes.last_id;
	RB_INSERT(ask_tree, &routes.asks, a);
	if (routes.resolver != NULL)
		send_ask(a);
	return true;
}

static void
ask_all(struct route *r)
{
	size_t i;

	forget_dest(r);
	r->failed = false;
	r->ttl = UINT32_MAX;
	r->asked = ev_now_ms();
	r->open = 0;
	for (i = 0; i < r->nask; i++)
		r->open += ask_one(r, &r->ask[i]) ? 1 : 0;
	if (r->open == 0)
		settle(r);
}

static const struct {
	enum outcome	 outcome;
	const char	*dsn, *text;
} trouble[] = {
	[DNS_OK] = { OUT_BOUNCE, "5.4.4", "the mail hosts have no address" },
	[DNS_NONE] = { OUT_BOUNCE, "5.1.2", "no such domain" },
	[DNS_NULL_MX] = { OUT_BOUNCE, "5.1.10", "the domain takes no mail (null MX)" },
	[DNS_TEMPFAIL] = { OUT_DEFER, "4.4.3", "look-up failed for now" },
	[DNS_BAD] = { OUT_DEFER, "4.4.3", "the answer is malformed or does not validate" },
};

static void
note_trouble(struct route *r, const struct ask *a, const struct p_mx *p)
{
	unsigned status = p->status <= DNS_BAD ? p->status : DNS_BAD;
	char text[500];

	if (r->failed && r->failure.outcome == OUT_DEFER)
		return;
	snprintf(text, sizeof text, "name service for %s: %s", a->name, p->text[0] != '\0' ? p->text : trouble[status].text);
	fail(r, trouble[status].outcome, trouble[status].dsn, text);
}

void
on_MX(struct edge *resolver, uint32_t id, struct p_mx *p, int fd)
{
	struct ask key = { .id = id }, *a = RB_FIND(ask_tree, &routes.asks, &key);
	struct route *r;
	uint32_t i;
	size_t before;

	(void)resolver;
	(void)fd;
	if (id == 0 || a == NULL)		/* too late */
		return;
	r = a->route;
	RB_REMOVE(ask_tree, &routes.asks, a);
	a->id = 0;
	before = r->set.n;
	for (i = 0; i < p->hosts_n; i++)
		mx_add(&r->set, a->base + p->hosts[i].preference, p->hosts[i].host, p->hosts[i].address, a->port);
	if (p->status != DNS_OK || r->set.n == before)
		note_trouble(r, a, p);
	if (p->ttl < r->ttl)
		r->ttl = p->ttl;
	if (--r->open == 0)
		settle(r);
}

void
route_resolver(struct edge *resolver)
{
	struct ask *a;

	routes.resolver = resolver;
	if (resolver != NULL)
		RB_FOREACH(a, ask_tree, &routes.asks)
			send_ask(a);
}

/* ---- which route ---- */

static void
wait_for(struct route *r, struct job *j)
{
	if (r->known && r->until > ev_now_ms()) {
		by_pool(r, j);
		return;
	}
	TAILQ_INSERT_TAIL(&r->waiting, j, wait);
	if (r->open == 0)
		ask_all(r);
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]" -> the address. */
static bool
literal(const char *domain, char *out, size_t size)
{
	size_t n;

	if (domain[0] != '[')
		return false;
	domain++;
	if (strncasecmp(domain, "IPv6:", 5) == 0)
		domain += 5;
	strlcpy(out, domain, size);
	n = strlen(out);
	if (n > 0 && out[n - 1] == ']')
		out[n - 1] = '\0';
	return true;
}

static struct route *
by_domain(const char *domain)
{
	struct route key, *r;
	char name[ADDR_DOMAIN_MAX + 8], address[ADDR_DOMAIN_MAX + 8];
	size_t i;

	strlcpy(name, domain, sizeof name);
	for (i = 0; name[i] != '\0'; i++)
		if (name[i] >= 'A' && name[i] <= 'Z')
			name[i] += 'a' - 'A';
	key.key = name;
	if ((r = RB_FIND(route_tree, &routes.tree, &key)) != NULL)
		return r;
	r = route_new(name, name, false);
	if (literal(name, address, sizeof address))
		add_ask(r, address, true, SMTP_PORT, 0);
	else
		add_ask(r, name, false, SMTP_PORT, 0);
	return r;
}

/* Which of the configuration's blocks it is; 0: none. */
static size_t
block(const struct conf *conf, const struct conf_dest *d)
{
	return d != NULL ? (size_t)(d - conf->dest) + 1 : 0;
}

/* What deliver makes of a policy, in words: what is the same goes the same way. */
static void
policy_text(const struct conf *conf, const struct dest_policy *p, char *out, size_t size)
{
	snprintf(out, size, "%llu/%llu by %zu, %u by %zu, %u %u, pool %d, family %d, 8bit %u, rest %llu", (unsigned long long)p->rate,
	    (unsigned long long)p->burst, block(conf, p->rate_by), p->concurrency, block(conf, p->concurrency_by), p->messages, p->recipients,
	    p->pool, p->family, p->eightbit, (unsigned long long)p->retry_min);
}

static struct route *
by_action(const struct conf *conf, unsigned action, const char *domain)
{
	const struct conf_action *a = &conf->action[action];
	struct dest_policy policy = conf_policy(conf, a, domain, NULL);
	char text[200], name[240];
	struct route key, *r;
	size_t i;

	policy_text(conf, &policy, text, sizeof text);
	snprintf(name, sizeof name, "via %u %u %s", conf->generation, action, text);
	key.key = name;
	if ((r = RB_FIND(route_tree, &routes.tree, &key)) != NULL)
		return r;
	r = route_new(name, a->via[0].host, true);
	r->policy = policy;
	for (i = 0; i < a->nvia; i++)
		add_ask(r, a->via[i].host, a->via[i].literal, a->via[i].port, (uint32_t)i * VIA_STEP);
	return r;
}

/* ---- actions ---- */

static const char *const no_domain = "the address has no domain to send to";

/* NULL: there is none. */
static struct route *
relay_route(const struct conf *conf, unsigned action, const char *domain)
{
	if (conf->action[action].nvia > 0)
		return by_action(conf, action, domain);
	return domain[0] != '\0' && strlen(domain) <= ADDR_DOMAIN_MAX ? by_domain(domain) : NULL;
}

static void
to_relay(const struct conf *conf, struct job *j)
{
	struct verdict v = verdict(OUT_BOUNCE, "5.1.3", no_domain);
	struct route *r = relay_route(conf, j->action, j->domain);

	if (r != NULL)
		wait_for(r, j);
	else
		job_settle(j, &v);
}

void
route_explain(struct inquiry *q, const char *domain)
{
	static const struct mx_set none;
	struct route *r = relay_route(child_conf(), q->action, domain);

	if (r == NULL) {
		explain_answer(q, &(struct finding){ .set = &none, .mx = "", .trouble = no_domain, .pool = -1 });
		return;
	}
	TAILQ_INSERT_TAIL(&r->inquiries, q, wait);
	if (r->known && r->until > ev_now_ms())
		tell_inquiries(r);
	else if (r->open == 0)
		ask_all(r);
}

static void
to_nowhere(const struct conf *conf, struct job *j)
{
	struct verdict v = verdict(OUT_SENT, "2.0.0", "discarded");

	(void)conf;
	j->local = true;
	job_relay(j, "discard");
	job_settle(j, &v);
}

static void (*const actions[])(const struct conf *, struct job *) = {
	[ACTION_MAILDIR] = mailbox, [ACTION_RELAY] = to_relay, [ACTION_DISCARD] = to_nowhere,
};

void
route(struct job *j)
{
	const struct conf *conf = child_conf();

	if (routes.draining)
		job_not_before(j, DRAIN_MS);
	/* The queue and we learn of a new configuration at slightly different times. */
	else if (j->generation != conf->generation || j->action >= conf->naction)
		job_not_before(j, 200);
	else
		actions[conf->action[j->action].kind](conf, j);
}

void
route_conf(const struct conf *conf)
{
	struct route *r;

	self_init(conf);
	source_conf(conf);
	RB_FOREACH(r, route_tree, &routes.tree)
		forget_dest(r);
}

static void
give_up(struct route *r)
{
	size_t i;

	for (i = 0; i < r->nask; i++)
		if (r->ask[i].id != 0) {
			RB_REMOVE(ask_tree, &routes.asks, &r->ask[i]);
			r->ask[i].id = 0;
		}
	r->open = 0;
	if (!r->failed)
		fail(r, OUT_DEFER, "4.4.3", "no answer from the name service in time");
	settle(r);
}

void
route_sweep(void)
{
	struct route *r, *next;
	uint64_t now = ev_now_ms();

	for (r = RB_MIN(route_tree, &routes.tree); r != NULL; r = next) {
		next = RB_NEXT(route_tree, &routes.tree, r);
		if (r->open > 0) {
			if (now - r->asked > ASK_MS)
				give_up(r);
		} else if (!r->known || r->until <= now || routes.n > ROUTES_MAX)
			route_free(r);
	}
}

void
route_drain(void)
{
	struct route *r;
	struct job *j;

	routes.draining = true;
	RB_FOREACH(r, route_tree, &routes.tree)
		while ((j = TAILQ_FIRST(&r->waiting)) != NULL) {
			TAILQ_REMOVE(&r->waiting, j, wait);
			job_not_before(j, DRAIN_MS);
		}
}
