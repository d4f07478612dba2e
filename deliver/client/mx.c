/*
 * mx: see mx.h. No question is asked and no clock or random number taken here, so that every rule can be tested alone.
 * A set may come from a hostile domain: thousands of hosts, odd addresses, our own; nothing of that is an error.
 */
#include <netinet/in.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "client/mx.h"
#include "base/xmalloc.h"

#define MX_ADD_MAX	4096		/* what one destination may make us hold before sorting */

static bool
usable4(const struct in_addr *a)
{
	uint32_t h = ntohl(a->s_addr);

	return h >> 24 != 0 && !IN_MULTICAST(h) && h != INADDR_BROADCAST;
}

static bool
usable6(const struct in6_addr *a)
{
	return !IN6_IS_ADDR_UNSPECIFIED(a) && !IN6_IS_ADDR_MULTICAST(a) && !IN6_IS_ADDR_V4MAPPED(a) && !IN6_IS_ADDR_V4COMPAT(a);
}

/* IN6_IS_ADDR_V4COMPAT leaves ::1 alone. */
static bool
parse(const char *address, uint16_t port, struct mx_host *h)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	if (inet_pton(AF_INET, address, &in.sin_addr) == 1 && usable4(&in.sin_addr)) {
		h->salen = sizeof in;
		memcpy(&h->sa, &in, sizeof in);
		return true;
	}
	if (inet_pton(AF_INET6, address, &in6.sin6_addr) == 1 && usable6(&in6.sin6_addr)) {
		h->salen = sizeof in6;
		memcpy(&h->sa, &in6, sizeof in6);
		return true;
	}
	return false;
}

bool
mx_add(struct mx_set *set, uint32_t preference, const char *name, const char *address, uint16_t port)
{
	struct mx_host h;

	memset(&h, 0, sizeof h);
	if (set->n >= MX_ADD_MAX || (address[0] != '\0' && !parse(address, port, &h)))
		return false;
	h.preference = preference;
	h.rank = set->n;
	h.name = xstrdup(name);
	set->v = xreallocarray(set->v, set->n + 1, sizeof *set->v);
	set->v[set->n++] = h;
	return true;
}

static void
cut(struct mx_set *set, size_t n)
{
	while (set->n > n)
		free(set->v[--set->n].name);
}

void
mx_free(struct mx_set *set)
{
	cut(set, 0);
	free(set->v);
	set->v = NULL;
}

struct mx_set
mx_copy(const struct mx_set *set)
{
	struct mx_set copy = { xcalloc(set->n > 0 ? set->n : 1, sizeof *copy.v), set->n };
	size_t i;

	for (i = 0; i < set->n; i++) {
		copy.v[i] = set->v[i];
		copy.v[i].name = xstrdup(set->v[i].name);
	}
	return copy;
}

void
mx_keep_family(struct mx_set *set, int family)
{
	size_t i, kept = 0;

	for (i = 0; i < set->n; i++) {
		if (family != AF_UNSPEC && set->v[i].sa.ss_family != family)
			free(set->v[i].name);
		else
			set->v[kept++] = set->v[i];
	}
	set->n = kept;
}

bool
mx_has_family(const struct mx_set *set, int family)
{
	size_t i;

	for (i = 0; i < set->n; i++)
		if (set->v[i].sa.ss_family == family)
			return true;
	return false;
}

static int
compare(const void *va, const void *vb)
{
	const struct mx_host *a = va, *b = vb;
	int d;

	if (a->preference != b->preference)
		return a->preference < b->preference ? -1 : 1;
	if ((d = strcasecmp(a->name, b->name)) != 0)
		return d;
	if (a->sa.ss_family != b->sa.ss_family)
		return a->sa.ss_family == AF_INET6 ? -1 : 1;
	return memcmp(&a->sa, &b->sa, a->salen);
}

/* The same address twice stands where it came first. */
static int
compare_ranked(const void *va, const void *vb)
{
	const struct mx_host *a = va, *b = vb;
	int d = compare(a, b);

	return d != 0 ? d : a->rank < b->rank ? -1 : 1;
}

void
mx_sort(struct mx_set *set)
{
	size_t i, kept = 0;

	if (set->n == 0)
		return;
	qsort(set->v, set->n, sizeof *set->v, compare_ranked);
	for (i = 0; i < set->n; i++) {
		if (kept > 0 && compare(&set->v[kept - 1], &set->v[i]) == 0)
			free(set->v[i].name);		/* the same address twice */
		else
			set->v[kept++] = set->v[i];
	}
	set->n = kept;
	if (set->n > MX_MAX)
		cut(set, MX_MAX);
}

void
mx_rank(struct mx_set *set, const struct mx_set *fresh)
{
	size_t i;

	for (i = 0; i < set->n && i < fresh->n; i++)
		set->v[i].rank = fresh->v[i].rank;
}

static void
drop_addressless(struct mx_set *set)
{
	size_t i, kept = 0;

	for (i = 0; i < set->n; i++) {
		if (set->v[i].salen == 0)
			free(set->v[i].name);
		else
			set->v[kept++] = set->v[i];
	}
	set->n = kept;
}

enum mx_found
mx_prune(struct mx_set *set, bool (*ours)(const struct mx_host *, void *), void *arg)
{
	size_t i, first;

	for (i = 0; i < set->n && !ours(&set->v[i], arg); i++)
		;
	if (i < set->n) {
		for (first = i; first > 0 && set->v[first - 1].preference == set->v[i].preference; first--)
			;
		cut(set, first);
		if (set->n == 0)
			return MX_LOOP;
	}
	drop_addressless(set);
	return set->n > 0 ? MX_FINE : MX_NOWHERE;
}

/* The addresses from at on that belong to the same host at the same preference. */
static size_t
same_host(const struct mx_set *set, size_t at)
{
	size_t i = at + 1;

	while (i < set->n && set->v[i].preference == set->v[at].preference && strcasecmp(set->v[i].name, set->v[at].name) == 0)
		i++;
	return i - at;
}

/* The hosts of equal preference from at on: where each begins. -> how many; *end is behind the last. */
static size_t
equals(const struct mx_set *set, size_t at, uint16_t begins[MX_MAX], size_t *end)
{
	uint32_t preference = set->v[at].preference;
	size_t n = 0;

	while (at < set->n && n < MX_MAX && set->v[at].preference == preference) {
		begins[n++] = (uint16_t)at;
		at += same_host(set, at);
	}
	*end = at;
	return n;
}

static void
shuffle(uint16_t *v, size_t n, uint32_t (*uniform)(uint32_t))
{
	size_t j;
	uint16_t t;

	for (; n > 1; n--) {
		j = uniform((uint32_t)n);
		t = v[j];
		v[j] = v[n - 1];
		v[n - 1] = t;
	}
}

/* The addresses of one family of the host from at on. */
static size_t
same_family(const struct mx_set *set, size_t at, size_t end)
{
	size_t i = at + 1;

	while (i < end && set->v[i].sa.ss_family == set->v[at].sa.ss_family)
		i++;
	return i - at;
}

/* n addresses from at on, in the order they came, beginning with the turn-th. */
static void
put_family(const struct mx_set *set, size_t at, size_t n, unsigned turn, uint16_t *out)
{
	uint16_t came[MX_MAX], t;
	size_t i, k;

	for (i = 0; i < n; i++) {
		t = (uint16_t)(at + i);
		for (k = i; k > 0 && set->v[came[k - 1]].rank > set->v[t].rank; k--)
			came[k] = came[k - 1];
		came[k] = t;
	}
	for (i = 0; i < n; i++)
		out[i] = came[(i + turn) % n];
}

size_t
mx_order(const struct mx_set *set, unsigned turn, uint16_t order[MX_MAX], uint32_t (*uniform)(uint32_t))
{
	uint16_t begins[MX_MAX];
	size_t at = 0, n = 0, hosts, i, k, end, many;

	while (at < set->n && n < MX_MAX) {
		hosts = equals(set, at, begins, &at);
		shuffle(begins, hosts, uniform);
		for (i = 0; i < hosts; i++) {
			end = begins[i] + same_host(set, begins[i]);
			for (k = begins[i]; k < end && n < MX_MAX; k += many, n += many) {
				many = same_family(set, k, end);
				many = many < MX_MAX - n ? many : MX_MAX - n;
				put_family(set, k, many, turn, order + n);
			}
		}
	}
	return n;
}

char *
mx_text(const struct mx_set *set)
{
	struct buf b = BUF_INIT;
	char address[INET6_ADDRSTRLEN], *text;
	size_t i;

	for (i = 0; i < set->n; i++) {
		mx_address((const struct sockaddr *)&set->v[i].sa, address, sizeof address);
		buf_addf(&b, "%s%u %s[%s]:%u", i > 0 ? ", " : "", set->v[i].preference, set->v[i].name, address,
		    mx_port((const struct sockaddr *)&set->v[i].sa));
	}
	text = xstrdup(buf_str(&b));
	buf_free(&b);
	return text;
}

void
mx_address(const struct sockaddr *sa, char *out, size_t size)
{
	const void *addr = &((const struct sockaddr_in *)(const void *)sa)->sin_addr;

	if (sa->sa_family == AF_INET6)
		addr = &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
	if (inet_ntop(sa->sa_family, addr, out, (socklen_t)size) == NULL)
		strlcpy(out, "?", size);
}

uint16_t
mx_port(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)(const void *)sa)->sin6_port);
	return ntohs(((const struct sockaddr_in *)(const void *)sa)->sin_port);
}

void
mx_relay(const struct mx_host *h, char *out, size_t size)
{
	const struct sockaddr *sa = (const struct sockaddr *)&h->sa;
	char address[46];

	mx_address(sa, address, sizeof address);
	snprintf(out, size, "%s[%s]:%u", h->name, address, mx_port(sa));
}
