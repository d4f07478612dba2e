/*
 * table_net: the networks of a table, by address.
 *
 * Called by table.c. Each key that is a network is kept under its masked address and length; a look-up tries the lengths that
 * occur, longest first, with one hash probe each. Keys that are no network are passed over, and counted in the log once.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "conf/match.h"
#include "tables/table_store.h"
#include "base/xmalloc.h"

struct net {
	uint8_t		 addr[16];
	uint8_t		 bits, family;		/* family: 4, 6, or 0 for a free slot */
	uint32_t	 value;
};
struct table_nets {
	struct net	*slot;
	size_t		 nslot;
	bool		 has4[33], has6[129];	/* which lengths occur */
};

static void
mask(uint8_t *addr, unsigned bits)
{
	for (unsigned i = 0; i < 16; i++, bits = bits > 8 ? bits - 8 : 0)
		if (bits < 8)
			addr[i] &= (uint8_t)(0xff00 >> bits);
}

static size_t
hash_net(const uint8_t *addr, unsigned bits, unsigned family)
{
	uint64_t h = 14695981039346656037ULL ^ (bits << 8 | family);

	for (unsigned i = 0; i < 16; i++)
		h = (h ^ addr[i]) * 1099511628211ULL;
	return (size_t)(h ^ h >> 29);
}

static struct net *
slot_of(const struct table_nets *ns, const uint8_t *addr, unsigned bits, unsigned family)
{
	size_t i = hash_net(addr, bits, family) & (ns->nslot - 1);
	struct net *n;

	for (;; i = (i + 1) & (ns->nslot - 1)) {
		n = &ns->slot[i];
		if (n->family == 0 || (n->family == family && n->bits == bits && memcmp(n->addr, addr, 16) == 0))
			return n;
	}
}

static bool
add_net(struct table_nets *ns, const char *key, uint32_t value)
{
	struct cidr c;
	struct net *n;
	unsigned family;

	if (!cidr_parse(key, &c))
		return false;
	family = c.family == AF_INET ? 4 : 6;
	mask(c.addr, c.bits);
	n = slot_of(ns, c.addr, c.bits, family);
	if (n->family != 0)
		return true;
	memcpy(n->addr, c.addr, sizeof(n->addr));
	n->bits = (uint8_t)c.bits;
	n->family = (uint8_t)family;
	n->value = value;
	if (family == 4)
		ns->has4[c.bits] = true;
	else
		ns->has6[c.bits] = true;
	return true;
}

static struct table_nets *
make_nets(const struct table *t)
{
	struct table_nets *ns = xcalloc(1, sizeof(*ns));
	size_t bad = 0;

	for (ns->nslot = 16; ns->nslot < t->n * 2; ns->nslot *= 2)
		;
	ns->slot = xcalloc(ns->nslot, sizeof(*ns->slot));
	for (size_t i = 0; i < t->n; i++)
		bad += !add_net(ns, table_at(t, t->entry[i].key), t->entry[i].value);
	if (bad > 0)
		log_warn("a table of networks has %zu entries that are no network; they are passed over", bad);
	return ns;
}

static const char *
find(const struct table *t, const uint8_t *addr, unsigned family, const bool *has, unsigned longest)
{
	uint8_t masked[16];
	const struct net *n;

	for (unsigned bits = longest + 1; bits-- > 0;) {
		if (!has[bits])
			continue;
		memcpy(masked, addr, sizeof(masked));
		mask(masked, bits);
		n = slot_of(t->nets, masked, bits, family);
		if (n->family != 0)
			return table_at(t, n->value);
	}
	return NULL;
}

const char *
table_net(struct table *t, const char *text)
{
	struct in6_addr in6;
	uint8_t addr[16] = { 0 };

	if (t->nets == NULL)
		t->nets = make_nets(t);
	if (inet_pton(AF_INET, text, addr) == 1)
		return find(t, addr, 4, t->nets->has4, 32);
	if (inet_pton(AF_INET6, text, &in6) != 1)
		return NULL;
	if (!IN6_IS_ADDR_V4MAPPED(&in6))
		return find(t, in6.s6_addr, 6, t->nets->has6, 128);
	memcpy(addr, in6.s6_addr + 12, 4);
	return find(t, addr, 4, t->nets->has4, 32);
}

void
table_nets_free(struct table_nets *ns)
{
	if (ns == NULL)
		return;
	free(ns->slot);
	free(ns);
}
