/*
 * mx_query: the question for a domain's mail hosts as a small state machine. Called by resolver; owns the questions that
 * are under way and their requests to dns.
 *
 * MX first. Without an MX record the domain itself is the host; with one its addresses are not asked for (RFC 5321 5.1), and
 * a failed MX look-up is a temporary failure, never "no MX". Then A and AAAA of the hosts, a window of them at a time.
 * Hosts without addresses are left out. Whatever the DNS does, there is an answer before the deadline.
 */
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mail/addr.h"
#include "resolver/dns.h"
#include "resolver/dns_parse.h"
#include "proc/ev.h"
#include "resolver/mx_query.h"
#include "base/xmalloc.h"

#define TEXT_MAX	400
#define TTL_NONE	900	/* longest that a domain without hosts is believed to be one */

struct look {				/* the addresses of one family of one host */
	struct mx_query	*q;
	struct mx_host	*host;
	struct dns_req	*req;
	int		 family;
	char		(*addr)[INET6_ADDRSTRLEN];
	size_t		 n;
};

struct mx_host {
	struct dns_mx	 mx;
	struct look	 look[2];	/* IPv6, IPv4 */
};

struct waiter {
	SLIST_ENTRY(waiter)	 next;
	mx_cb			*cb;
	void			*arg;
};

struct mx_query {
	RB_ENTRY(mx_query)	 entry;
	char			 domain[ADDR_DOMAIN_MAX + 1];
	bool			 literal;
	SLIST_HEAD(, waiter)	 waiters;
	struct ev_timer		 timer;
	bool			 late;		/* MX_ENOUGH has passed */
	struct dns_req		*mx_req;
	struct mx_host		*host;
	size_t			 nhost;
	size_t			 next;		/* first host that was not asked for yet */
	size_t			 open;		/* look-ups under way */
	bool			 no_mx;		/* the domain itself is the host */
	uint32_t		 ttl;
	enum dns_status		 worst;		/* of the look-ups of addresses */
	char			 why[64];
};

static int
query_cmp(struct mx_query *a, struct mx_query *b)
{
	int	 c = strcasecmp(a->domain, b->domain);

	return c != 0 ? c : (int)a->literal - (int)b->literal;
}

RB_HEAD(mx_tree, mx_query);
RB_GENERATE_INTERNAL(mx_tree, mx_query, entry, query_cmp, static __attribute__((unused)))

static struct {
	struct mx_tree	 tree;
	size_t		 n;
} queries = { RB_INITIALIZER(&queries.tree), 0 };

static void	 look_up_more(struct mx_query *);

/* ---- the end of a question ---- */

static void
query_free(struct mx_query *q)
{
	size_t	 i, f;

	ev_timer_clear(&q->timer);
	if (q->mx_req != NULL)
		dns_cancel(q->mx_req);
	for (i = 0; i < q->nhost; i++) {
		for (f = 0; f < 2; f++) {
			if (q->host[i].look[f].req != NULL)
				dns_cancel(q->host[i].look[f].req);
			free(q->host[i].look[f].addr);
		}
	}
	free(q->host);
	free(q);
}

static void
answer(struct mx_query *q, struct p_mx *mx)
{
	struct waiter	*w;

	RB_REMOVE(mx_tree, &queries.tree, q);
	queries.n--;
	while ((w = SLIST_FIRST(&q->waiters)) != NULL) {
		SLIST_REMOVE_HEAD(&q->waiters, next);
		w->cb(w->arg, mx);
		free(w);
	}
	query_free(q);
}

/* An answer without hosts: BEFORE domain AFTER why. */
static void
answer_none(struct mx_query *q, enum dns_status status, const char *before, const char *after, const char *why)
{
	struct p_mx	 mx = { .status = (uint8_t)status };
	char		 text[TEXT_MAX];

	snprintf(text, sizeof(text), "%s%s%s%s", before, q->domain, after, why);
	mx.text = text;
	mx.ttl = status == DNS_TEMPFAIL ? 0 : q->ttl < TTL_NONE ? q->ttl : TTL_NONE;
	answer(q, &mx);
}

/* How many addresses of a host go into the answer, by family: both have their share. */
static void
shares(const struct mx_host *h, size_t n[2])
{
	n[1] = h->look[1].n < MX_ADDRESSES / 2 ? h->look[1].n : MX_ADDRESSES / 2;
	n[0] = h->look[0].n < MX_ADDRESSES - n[1] ? h->look[0].n : MX_ADDRESSES - n[1];
	n[1] = h->look[1].n < MX_ADDRESSES - n[0] ? h->look[1].n : MX_ADDRESSES - n[0];
}

static size_t
flatten(const struct mx_query *q, struct p_mx_host *out)
{
	const struct mx_host	*h;
	size_t			 i, f, a, share[2], n = 0;

	for (i = 0; i < q->nhost; i++) {
		h = &q->host[i];
		shares(h, share);
		for (f = 0; f < 2; f++) {
			for (a = 0; a < share[f] && n < MX_ALL; a++)
				out[n++] = (struct p_mx_host){ h->mx.preference, h->mx.host, h->look[f].addr[a] };
		}
	}
	return n;
}

static void
answer_nothing_found(struct mx_query *q)
{
	if (q->worst == DNS_TEMPFAIL)
		answer_none(q, DNS_TEMPFAIL, "look-up of the addresses for ", " failed: ", q->why);
	else if (q->literal)
		answer_none(q, DNS_NONE, "host ", " has no address: ", q->why);
	else if (q->no_mx)
		answer_none(q, DNS_NONE, "domain ", " has no MX record and no address: ", q->why);
	else
		answer_none(q, DNS_NONE, "no MX host of ", " has an address: ", q->why);
}

static void
answer_hosts(struct mx_query *q)
{
	static struct p_mx_host	 hosts[MX_ALL];
	struct p_mx		 mx = { .status = DNS_OK, .text = "", .ttl = q->ttl, .hosts = hosts };

	mx.hosts_n = (uint32_t)flatten(q, hosts);
	if (mx.hosts_n > 0)
		answer(q, &mx);
	else
		answer_nothing_found(q);
}

static bool
has_addresses(const struct mx_query *q)
{
	size_t	 i;

	for (i = 0; i < q->nhost; i++)
		if (q->host[i].look[0].n + q->host[i].look[1].n > 0)
			return true;
	return false;
}

static void
deadline(void *arg)
{
	struct mx_query	*q = arg;

	if (!q->late && !has_addresses(q)) {
		q->late = true;
		ev_timer_set(&q->timer, MX_DEADLINE - MX_ENOUGH);
		return;
	}
	q->worst = DNS_TEMPFAIL;
	strlcpy(q->why, "no answer in time", sizeof(q->why));
	answer_hosts(q);
}

/* ---- addresses ---- */

static void
note(struct mx_query *q, const struct dns_answer *a)
{
	if (a->status == DNS_OK || (q->worst == DNS_TEMPFAIL && a->status != DNS_TEMPFAIL))
		return;
	q->worst = a->status;
	strlcpy(q->why, a->why, sizeof(q->why));
}

static void
take_addresses(struct look *l, const struct dns_answer *a)
{
	size_t	 i, max = a->n < MX_ADDRESSES ? a->n : MX_ADDRESSES;

	l->addr = xcalloc(max, sizeof(*l->addr));
	for (i = 0; i < a->n && l->n < max; i++)
		if (dns_parse_address(l->family, a->rdata[i], l->addr[l->n]))
			l->n++;
}

static void
addresses(void *arg, const struct dns_answer *answered)
{
	static const struct dns_answer malformed = { .status = DNS_TEMPFAIL, .why = "malformed address record" };
	const struct dns_answer	*a = answered;
	struct look	*l = arg;
	struct mx_query	*q = l->q;

	l->req = NULL;
	q->open--;
	if (a->status == DNS_OK)
		take_addresses(l, a);
	if (a->status == DNS_OK && l->n == 0)
		a = &malformed;
	note(q, a);
	if (a->status != DNS_TEMPFAIL && (a->status == DNS_OK || !has_addresses(q)) && a->ttl < q->ttl)
		q->ttl = a->ttl;
	look_up_more(q);
}

static void
look_up(struct mx_query *q, struct mx_host *h, struct look *l, int family)
{
	l->q = q;
	l->host = h;
	l->family = family;
	l->req = dns_ask(h->mx.host, family == AF_INET ? DNS_A : DNS_AAAA, addresses, l);
	q->open++;
}

static void
look_up_more(struct mx_query *q)
{
	struct mx_host	*h;

	while (q->next < q->nhost && q->open + 2 <= 2 * MX_HOSTS_AT_ONCE) {
		h = &q->host[q->next++];
		look_up(q, h, &h->look[0], AF_INET6);
		look_up(q, h, &h->look[1], AF_INET);
	}
	if (q->open == 0 || (q->late && has_addresses(q)))
		answer_hosts(q);
}

/* ---- MX ---- */

static void
domain_is_host(struct mx_query *q)
{
	q->no_mx = true;
	q->nhost = 1;
	q->host = xcalloc(1, sizeof(*q->host));
	strlcpy(q->host[0].mx.host, q->domain, sizeof(q->host[0].mx.host));
	look_up_more(q);
}

static int
by_preference(const void *a, const void *b)
{
	return (int)((const struct dns_mx *)a)->preference - (int)((const struct dns_mx *)b)->preference;
}

/* The well-formed records, best first. *null: one of them was the null MX. -> how many */
static size_t
parse_all(const struct dns_answer *a, struct dns_mx *mx, bool *null)
{
	size_t	 i, n = 0;

	*null = false;
	for (i = 0; i < a->n; i++) {
		if (!dns_parse_mx(a->rdata[i], &mx[n]))
			continue;
		if (mx[n].host[0] == '\0')
			*null = true;
		else
			n++;
	}
	qsort(mx, n, sizeof(*mx), by_preference);
	return n;
}

static bool
is_double(const struct dns_mx *mx, size_t i)
{
	size_t	 j;

	for (j = 0; j < i; j++)
		if (strcasecmp(mx[j].host, mx[i].host) == 0)
			return true;
	return false;
}

static void
take_hosts(struct mx_query *q, const struct dns_mx *mx, size_t n)
{
	size_t	 i;

	q->host = xcalloc(MX_HOSTS < n ? MX_HOSTS : n, sizeof(*q->host));
	for (i = 0; i < n && q->nhost < MX_HOSTS; i++)
		if (!is_double(mx, i))
			q->host[q->nhost++].mx = mx[i];
	look_up_more(q);
}

static void
mx_found(struct mx_query *q, const struct dns_answer *a)
{
	struct dns_mx	*mx = xcalloc(a->n, sizeof(*mx));
	size_t		 n;
	bool		 null;

	n = parse_all(a, mx, &null);
	if (n > 0)
		take_hosts(q, mx, n);
	else if (null && a->n == 1)
		answer_none(q, DNS_NULL_MX, "domain ", " does not accept mail (null MX)", "");
	else
		answer_none(q, DNS_TEMPFAIL, "domain ", " has no usable MX record", "");
	free(mx);
}

static void
mx_answered(void *arg, const struct dns_answer *a)
{
	struct mx_query	*q = arg;

	q->mx_req = NULL;
	if (a->status != DNS_TEMPFAIL)
		q->ttl = a->ttl;
	if (a->status == DNS_OK)
		mx_found(q, a);
	else if (a->status == DNS_NONE)
		domain_is_host(q);		/* also without such a name in the DNS: it may be in /etc/hosts */
	else
		answer_none(q, DNS_TEMPFAIL, "MX look-up of ", " failed: ", a->why);
}

/* ---- the question ---- */

/* Why it cannot even be asked, or NULL. */
static const char *
not_askable(const char *domain, enum dns_status *status)
{
	*status = DNS_BAD;
	for (const char *s = domain; *s != '\0'; s++)
		if ((unsigned char)*s > 0x7e)
			return "an internationalized domain name cannot be looked up in this form";
	if (strlen(domain) > DNS_NAME_MAX || !addr_valid_domain(domain, false))
		return "malformed domain name";
	*status = DNS_TEMPFAIL;
	return queries.n >= MX_IN_FLIGHT ? "too many DNS look-ups are under way" : NULL;
}

static struct mx_query *
query_find(const char *domain, bool literal)
{
	struct mx_query	 key;

	key.literal = literal;
	if (strlcpy(key.domain, domain, sizeof(key.domain)) >= sizeof(key.domain))
		return NULL;
	return RB_FIND(mx_tree, &queries.tree, &key);
}

static struct mx_query *
query_new(const char *domain, bool literal)
{
	struct mx_query	*q = xcalloc(1, sizeof(*q));
	size_t		 i;

	for (i = 0; domain[i] != '\0' && i + 1 < sizeof(q->domain); i++)
		q->domain[i] = domain[i] >= 'A' && domain[i] <= 'Z' ? (char)(domain[i] + 'a' - 'A') : domain[i];
	q->literal = literal;
	q->ttl = UINT32_MAX;
	q->worst = DNS_NONE;
	SLIST_INIT(&q->waiters);
	ev_timer_init(&q->timer, deadline, q);
	ev_timer_set(&q->timer, MX_ENOUGH);
	RB_INSERT(mx_tree, &queries.tree, q);
	queries.n++;
	return q;
}

void
mx_ask(const char *domain, bool literal_host, mx_cb *cb, void *arg)
{
	struct mx_query	*q = query_find(domain, literal_host);
	struct p_mx	 refused = { .ttl = 0 };
	struct waiter	*w;
	enum dns_status	 status;
	bool		 fresh = q == NULL;

	if (fresh && (refused.text = not_askable(domain, &status)) != NULL) {
		refused.status = (uint8_t)status;
		cb(arg, &refused);
		return;
	}
	if (fresh)
		q = query_new(domain, literal_host);
	w = xcalloc(1, sizeof(*w));
	w->cb = cb;
	w->arg = arg;
	SLIST_INSERT_HEAD(&q->waiters, w, next);
	if (!fresh)
		return;
	if (literal_host)
		domain_is_host(q);
	else
		q->mx_req = dns_ask(q->domain, DNS_MX, mx_answered, q);
}
