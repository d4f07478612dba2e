/*
 * links: lookup/resolver/mx_query.c lookup/resolver/dns_parse.c
 * The question for mail hosts, against a DNS that answers when the test says so: what is asked when, shared questions,
 * the two deadlines.
 */
#include <sys/socket.h>
#include <stdlib.h>
#include "resolver/dns.h"
#include "proc/ev.h"
#include "resolver/mx_query.h"
#include "test.h"

/* ---- dummies ---- */

struct dns_req {
	char		 name[300];
	enum dns_type	 type;
	dns_cb		*cb;
	void		*arg;
	bool		 live;
};
static struct dns_req	 asked[500];
static size_t		 nasked, ncancelled;
static struct ev_timer	*timer;

struct dns_req *
dns_ask(const char *name, enum dns_type type, dns_cb *cb, void *arg)
{
	struct dns_req	*r = &asked[nasked++];

	strlcpy(r->name, name, sizeof(r->name));
	r->type = type;
	r->cb = cb;
	r->arg = arg;
	r->live = true;
	return r;
}

void
dns_cancel(struct dns_req *r)
{
	TEST(r->live);
	r->live = false;
	ncancelled++;
}

void
ev_timer_init(struct ev_timer *t, void (*cb)(void *), void *arg)
{
	*t = (struct ev_timer){ NULL, cb, arg, 0 };
	timer = t;
}

void
ev_timer_set(struct ev_timer *t, uint64_t ms)
{
	t->due = ms;
}

void
ev_timer_clear(struct ev_timer *t)
{
	t->due = 0;
}

/* ---- helpers ---- */

static struct {
	int		 n;
	enum dns_status	 status;
	size_t		 nhosts;
	char		 text[500], first[300], address[INET6_ADDRSTRLEN];
	uint32_t	 ttl;
} got;

static void
answered(void *arg, const struct p_mx *mx)
{
	(void)arg;
	got.n++;
	got.status = mx->status;
	got.nhosts = mx->hosts_n;
	got.ttl = mx->ttl;
	strlcpy(got.text, mx->text, sizeof(got.text));
	strlcpy(got.first, mx->hosts_n > 0 ? mx->hosts[0].host : "", sizeof(got.first));
	strlcpy(got.address, mx->hosts_n > 0 ? mx->hosts[0].address : "", sizeof(got.address));
}

static void
ask(const char *domain, bool literal)
{
	memset(&got, 0, sizeof(got));
	nasked = ncancelled = 0;
	mx_ask(domain, literal, answered, NULL);
}

static void
reply(size_t at, enum dns_status status, const void *rr, size_t len, uint32_t ttl)
{
	struct blob		 b = { rr, len };
	struct dns_answer	 a = { status, "a reason", ttl, &b, status == DNS_OK };

	if (!TEST(at < nasked && asked[at].live))
		return;
	asked[at].live = false;
	asked[at].cb(asked[at].arg, &a);
}

static const char	 mx_a[] = "\0\12\1a\1d", mx_null[] = "\0\0", v4[] = "\300\0\2\1";
#define MX_A mx_a, sizeof(mx_a)
#define V4 v4, 4

/* ---- tests ---- */

static void
in_order(void)
{
	ask("D.example", false);
	TEST_INT(nasked, 1);
	TEST_INT(asked[0].type, DNS_MX);
	TEST_STR(asked[0].name, "d.example");
	TEST_INT(timer->due, MX_ENOUGH);
	reply(0, DNS_OK, MX_A, 300);
	TEST_INT(nasked, 3);
	TEST_INT(asked[1].type, DNS_AAAA);
	TEST_INT(asked[2].type, DNS_A);
	reply(1, DNS_NONE, NULL, 0, 60);
	TEST_INT(got.n, 0);
	reply(2, DNS_OK, V4, 200);
	TEST_INT(got.n, 1);
	TEST_INT(got.status, DNS_OK);
	TEST_STR(got.first, "a.d");
	TEST_STR(got.address, "192.0.2.1");
}

static void
without_mx(void)
{
	ask("d.example", false);
	reply(0, DNS_NONE, NULL, 0, 60);
	TEST_INT(nasked, 3);
	TEST_STR(asked[1].name, "d.example");
	reply(1, DNS_NONE, NULL, 0, 60);
	reply(2, DNS_NONE, NULL, 0, 60);
	TEST_INT(got.status, DNS_NONE);
	TEST_INT(got.ttl, 60);
	TEST_STR(got.text, "domain d.example has no MX record and no address: a reason");
	ask("d.example", true);
	TEST_INT(asked[0].type, DNS_AAAA);
	reply(1, DNS_OK, V4, 50);
	reply(0, DNS_NONE, NULL, 0, 60);
	TEST_STR(got.address, "192.0.2.1");
	TEST_INT(got.ttl, 50);
}

/* A failed look-up of MX is never "no MX", and a failed look-up of an address is never "no address". */
static void
failures(void)
{
	ask("d.example", false);
	reply(0, DNS_TEMPFAIL, NULL, 0, 0);
	TEST_INT(nasked, 1);
	TEST_INT(got.status, DNS_TEMPFAIL);
	TEST_STR(got.text, "MX look-up of d.example failed: a reason");
	ask("d.example", false);
	reply(0, DNS_OK, MX_A, 300);
	reply(2, DNS_TEMPFAIL, NULL, 0, 0);
	reply(1, DNS_NONE, NULL, 0, 0);
	TEST_INT(got.status, DNS_TEMPFAIL);
	TEST_INT(got.ttl, 0);
	ask("d.example", false);
	reply(0, DNS_OK, mx_null, 3, 300);
	TEST_INT(got.status, DNS_NULL_MX);
	TEST_INT(nasked, 1);
}

/* Neither is one whose record is none: it is not known what address was meant. A good one beside it will do. */
static void
malformed(void)
{
	ask("d.example", false);
	reply(0, DNS_OK, MX_A, 300);
	reply(2, DNS_OK, V4 - 1, 300);
	reply(1, DNS_NONE, NULL, 0, 300);
	TEST_INT(got.status, DNS_TEMPFAIL);
	TEST_STR(got.text, "look-up of the addresses for d.example failed: malformed address record");
	ask("d.example", false);
	reply(0, DNS_OK, MX_A, 300);
	reply(1, DNS_OK, V4, 300);
	reply(2, DNS_OK, V4, 300);
	TEST_INT(got.status, DNS_OK);
	TEST_INT(got.nhosts, 1);
}

static void
shared(void)
{
	ask("d.example", false);
	mx_ask("D.EXAMPLE", false, answered, NULL);
	TEST_INT(nasked, 1);
	mx_ask("d.example", true, answered, NULL);
	TEST_INT(nasked, 3);
	reply(0, DNS_TEMPFAIL, NULL, 0, 0);
	TEST_INT(got.n, 2);
	reply(1, DNS_NONE, NULL, 0, 0);
	reply(2, DNS_NONE, NULL, 0, 0);
	TEST_INT(got.n, 3);
}

/* What was found by MX_ENOUGH will do; without anything there is time until MX_DEADLINE. */
static void
deadlines(void)
{
	ask("d.example", false);
	reply(0, DNS_OK, MX_A, 300);
	reply(2, DNS_OK, V4, 300);
	TEST_INT(got.n, 0);
	timer->cb(timer->arg);
	TEST_INT(got.status, DNS_OK);
	TEST_INT(ncancelled, 1);
	ask("d.example", false);
	timer->cb(timer->arg);
	TEST_INT(got.n, 0);
	TEST_INT(timer->due, MX_DEADLINE - MX_ENOUGH);
	timer->cb(timer->arg);
	TEST_INT(got.status, DNS_TEMPFAIL);
	TEST_STR(got.text, "look-up of the addresses for d.example failed: no answer in time");
	TEST_INT(ncancelled, 1);
	ask("d.example", false);
	timer->cb(timer->arg);
	reply(0, DNS_OK, MX_A, 300);
	reply(1, DNS_NONE, NULL, 0, 0);
	reply(2, DNS_OK, V4, 0);
	TEST_INT(got.status, DNS_OK);
}

/* Many hosts: a window of look-ups, and never more than the limit. */
static void
window(void)
{
	static char		 rr[200][8];
	static struct blob	 b[200];
	struct dns_answer	 a = { DNS_OK, "", 300, b, 200 };
	size_t			 i;

	for (i = 0; i < 200; i++) {
		memcpy(rr[i], "\0\12\3hXX\0", 8);
		rr[i][1] = (char)(i % 50);
		rr[i][4] = (char)('a' + i % 20);
		rr[i][5] = (char)('a' + i / 20);
		b[i] = (struct blob){ (const uint8_t *)rr[i], 7 };
	}
	ask("d.example", false);
	asked[0].live = false;
	asked[0].cb(asked[0].arg, &a);
	TEST_INT(nasked, 1 + 2 * MX_HOSTS_AT_ONCE);
	for (i = 1; got.n == 0 && i < nasked; i++) {
		TEST(nasked - i <= 2 * MX_HOSTS_AT_ONCE);
		reply(i, DNS_OK, V4, 100);
	}
	TEST_INT(nasked, 1 + 2 * MX_HOSTS);
	TEST_INT(got.nhosts, MX_HOSTS);
	TEST_INT(got.ttl, 100);
}

int
main(void)
{
	in_order();
	without_mx();
	failures();
	malformed();
	shared();
	deadlines();
	window();
	return test_end("mx_query");
}
