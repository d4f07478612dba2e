/*
 * dns_ptr: forward-confirmed reverse names. Called by resolver; owns the questions that are under way and their requests.
 *
 * PTR of the address, then the addresses of the first few names at once; the first name that has the address is the answer.
 * Without one it is DNS_NONE, or DNS_TEMPFAIL if a look-up that failed might have confirmed it; the name is then "".
 */
#include <netinet/in.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <stdlib.h>
#include <string.h>
#include "resolver/dns.h"
#include "resolver/dns_parse.h"
#include "resolver/dns_ptr.h"
#include "proc/ev.h"
#include "base/xmalloc.h"

struct claim {				/* a name that the PTR record claims */
	struct ptr_query	*q;
	struct dns_req		*req;
	char			 name[DNS_NAME_MAX + 1];
};

struct ptr_query {
	ptr_cb			*cb;
	void			*arg;
	int			 family;
	char			 address[INET6_ADDRSTRLEN];	/* as dns_parse_address spells it */
	struct ev_timer		 timer;
	struct dns_req		*req;
	struct claim		 claim[PTR_NAMES];
	size_t			 nclaim, open;
	bool			 tempfail;
};

static size_t	 in_flight;

static void
answer(struct ptr_query *q, enum dns_status status, const char *name)
{
	struct p_ptr	 ptr = { (uint8_t)status, name };
	size_t		 i;

	q->cb(q->arg, &ptr);
	ev_timer_clear(&q->timer);
	if (q->req != NULL)
		dns_cancel(q->req);
	for (i = 0; i < q->nclaim; i++)
		if (q->claim[i].req != NULL)
			dns_cancel(q->claim[i].req);
	in_flight--;
	free(q);
}

static void
deadline(void *arg)
{
	answer(arg, DNS_TEMPFAIL, "");
}

static bool
contains(const struct ptr_query *q, const struct dns_answer *a)
{
	char	 text[INET6_ADDRSTRLEN];
	size_t	 i;

	for (i = 0; i < a->n; i++)
		if (dns_parse_address(q->family, a->rdata[i], text) && strcmp(text, q->address) == 0)
			return true;
	return false;
}

static void
claim_answered(void *arg, const struct dns_answer *a)
{
	struct claim		*c = arg;
	struct ptr_query	*q = c->q;

	c->req = NULL;
	q->open--;
	if (a->status == DNS_TEMPFAIL)
		q->tempfail = true;
	if (a->status == DNS_OK && contains(q, a))
		answer(q, DNS_OK, c->name);
	else if (q->open == 0)
		answer(q, q->tempfail ? DNS_TEMPFAIL : DNS_NONE, "");
}

static void
ptr_answered(void *arg, const struct dns_answer *a)
{
	struct ptr_query	*q = arg;
	struct claim		*c;
	size_t			 i;

	q->req = NULL;
	for (i = 0; a->status == DNS_OK && i < a->n && q->nclaim < PTR_NAMES; i++) {
		c = &q->claim[q->nclaim];
		if (!dns_parse_name(a->rdata[i], c->name) || c->name[0] == '\0')
			continue;
		c->q = q;
		c->req = dns_ask(c->name, q->family == AF_INET ? DNS_A : DNS_AAAA, claim_answered, c);
		q->nclaim++;
		q->open++;
	}
	if (q->open == 0)
		answer(q, a->status == DNS_TEMPFAIL ? DNS_TEMPFAIL : DNS_NONE, "");
}

/* address as dns_parse_address would spell it, so that equal ones are equal strings. */
static void
normalise(struct ptr_query *q, const char *address)
{
	uint8_t	 raw[16];

	if (q->family == AF_INET && strrchr(address, ':') != NULL)
		address = strrchr(address, ':') + 1;		/* ::ffff:192.0.2.1 */
	if (inet_pton(q->family, address, raw) != 1 || inet_ntop(q->family, raw, q->address, sizeof(q->address)) == NULL)
		q->address[0] = '\0';
}

void
ptr_ask(const char *address, ptr_cb *cb, void *arg)
{
	struct p_ptr		 refused = { DNS_BAD, "" };
	struct ptr_query	*q;
	char			 name[DNS_NAME_MAX + 1];
	int			 family;

	if (!dns_reverse(address, name, &family) || in_flight >= PTR_IN_FLIGHT) {
		refused.status = in_flight >= PTR_IN_FLIGHT ? DNS_TEMPFAIL : DNS_BAD;
		cb(arg, &refused);
		return;
	}
	q = xcalloc(1, sizeof(*q));
	in_flight++;
	q->cb = cb;
	q->arg = arg;
	q->family = family;
	normalise(q, address);
	ev_timer_init(&q->timer, deadline, q);
	ev_timer_set(&q->timer, PTR_DEADLINE);
	q->req = dns_ask(name, DNS_PTR, ptr_answered, q);
}
