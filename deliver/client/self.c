/*
 * self: see self.h. The addresses are those that the parent found and put into the configuration: this program may ask for none.
 * A loopback address is ours only where we listen at it: other servers on this machine may be destinations.
 */
#include <sys/types.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <string.h>
#include "program/child.h"
#include "client/self.h"
#include "base/xmalloc.h"

static struct {
	struct sockaddr_storage	*v;
	size_t			 n;
} addresses;

/* The address alone, as bytes; 0: another family. */
static size_t
bytes(const struct sockaddr_storage *ss, const void **p)
{
	if (ss->ss_family == AF_INET) {
		*p = &((const struct sockaddr_in *)(const void *)ss)->sin_addr;
		return sizeof(struct in_addr);
	}
	if (ss->ss_family == AF_INET6) {
		*p = &((const struct sockaddr_in6 *)(const void *)ss)->sin6_addr;
		return sizeof(struct in6_addr);
	}
	return 0;
}

static bool
same(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	const void *pa, *pb;
	size_t n;

	return a->ss_family == b->ss_family && (n = bytes(a, &pa)) > 0 && bytes(b, &pb) == n && memcmp(pa, pb, n) == 0;
}

static bool
is_loopback(const struct sockaddr_storage *ss)
{
	const void *p;

	if (bytes(ss, &p) == sizeof(struct in_addr))
		return *(const uint8_t *)p == 127;
	return bytes(ss, &p) > 0 && IN6_IS_ADDR_LOOPBACK((const struct in6_addr *)p);
}

static bool
is_wildcard(const struct sockaddr_storage *ss)
{
	static const uint8_t zero[16];
	const void *p;
	size_t n = bytes(ss, &p);

	return n > 0 && memcmp(p, zero, n) == 0;
}

static void
add(const struct sockaddr *sa)
{
	struct sockaddr_storage ss;
	size_t n = sa->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);

	if (sa->sa_family != AF_INET && sa->sa_family != AF_INET6)
		return;
	memset(&ss, 0, sizeof ss);
	memcpy(&ss, sa, n);
	if (is_loopback(&ss))
		return;
	addresses.v = xreallocarray(addresses.v, addresses.n + 1, sizeof ss);
	addresses.v[addresses.n++] = ss;
}

static void
add_text(const char *text)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		add((struct sockaddr *)&in);
	else if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1)
		add((struct sockaddr *)&in6);
}

void
self_init(const struct conf *conf)
{
	size_t i;

	addresses.n = 0;
	for (i = 0; i < conf->nlocal_addr; i++)
		add_text(conf->local_addr[i]);
}

static bool
listens_at(const struct conf *conf, const struct mx_host *h)
{
	const struct sockaddr *sa;
	size_t i;

	for (i = 0; i < conf->nlisten; i++) {
		sa = (const struct sockaddr *)&conf->listen[i].sa;
		if (sa->sa_family != AF_UNIX && mx_port(sa) == mx_port((const struct sockaddr *)&h->sa) &&
		    (is_wildcard(&conf->listen[i].sa) || same(&conf->listen[i].sa, &h->sa)))
			return true;
	}
	return false;
}

static bool
is_our_name(const struct conf *conf, const char *name)
{
	size_t i;

	if (strcasecmp(name, conf->hostname) == 0)
		return true;
	for (i = 0; i < conf->nlisten; i++)
		if (conf->listen[i].hostname != NULL && strcasecmp(name, conf->listen[i].hostname) == 0)
			return true;
	return false;
}

bool
self_is(const struct mx_host *h, void *arg)
{
	size_t i;

	(void)arg;
	if (is_our_name(child_conf(), h->name))
		return true;
	if (is_loopback(&h->sa))
		return listens_at(child_conf(), h);
	for (i = 0; i < addresses.n; i++)
		if (same(&addresses.v[i], &h->sa))
			return true;
	return false;
}
