/* links: smtpd/listener/client_count.c common/proc/client_limits.c */
/*
 * test_counts: connections and rates of clients, summed over the listeners.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include "proc/client_limits.h"
#include "listener/client_count.h"
#include "proc/ev.h"
#include "test.h"

static uint64_t now = 10 * 60000;

uint64_t
ev_now_ms(void)
{
	return now;
}

static uint64_t
key4(const char *text)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };

	inet_pton(AF_INET, text, &sin.sin_addr);
	return counts_key((const struct sockaddr *)&sin);
}

static uint64_t
key6(const char *text)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };

	inet_pton(AF_INET6, text, &six.sin6_addr);
	return counts_key((const struct sockaddr *)&six);
}

static void
test_keys(void)
{
	TEST(key4("192.0.2.1") != key4("192.0.2.2"));
	TEST(key6("2001:db8::1") == key6("2001:db8::ffff:2"));
	TEST(key6("2001:db8::1") != key6("2001:db8:0:1::1"));
	TEST(counts_key_uid(0) != counts_key_uid(1));
	TEST(counts_key_uid(0) != key4("0.0.0.0"));
}

static void
test_connections(struct limits_map *map)
{
	uint64_t a = key4("192.0.2.1"), b = key4("192.0.2.2");

	counts_map(map, 0, 2);
	counts_open(a, POOL_NET);
	counts_open(a, POOL_NET);
	counts_open(b, POOL_NET);
	counts_map(map, 1, 2);
	counts_open(a, POOL_NET);
	counts_open(counts_key_uid(7), POOL_SOCKET);
	TEST_INT(counts_total(POOL_NET), 4);
	TEST_INT(counts_total(POOL_SOCKET), 1);
	TEST_INT(counts_client(a), 3);
	TEST_INT(counts_client(b), 1);
	counts_close(a, POOL_NET);
	TEST_INT(counts_client(a), 2);
	/* The other listener died: its clients are gone. */
	limits_clear(map, 0);
	TEST_INT(counts_total(POOL_NET), 0);
	TEST_INT(counts_client(a), 0);
	counts_close(counts_key_uid(7), POOL_SOCKET);
	counts_close(counts_key_uid(7), POOL_SOCKET);
	TEST_INT(counts_total(POOL_SOCKET), 0);
}

static void
test_rate(struct limits_map *map)
{
	uint64_t a = key4("198.51.100.1");
	unsigned i, n = 0;

	counts_map(map, 0, 2);
	for (i = 0; i < 10; i++)
		n = counts_event(a, RATE_MAIL);
	TEST_INT(n, 10);
	counts_map(map, 1, 2);
	TEST_INT(counts_event(a, RATE_MAIL), 11);
	now += 90000;		/* half of the minute before still counts */
	TEST_INT(counts_event(a, RATE_MAIL), 6);
	now += 120000;
	TEST_INT(counts_event(a, RATE_MAIL), 1);
}

static void
test_connects(struct limits_map *map)
{
	uint64_t a = key4("198.51.100.2");
	unsigned i, n = 0;

	counts_map(map, 0, 2);
	for (i = 0; i < 7; i++)
		n = counts_event(a, RATE_CONNECT);
	TEST_INT(n, 7);
	TEST_INT(counts_event(a, RATE_MAIL), 1);
	counts_map(map, 1, 2);
	TEST_INT(counts_event(a, RATE_CONNECT), 8);
	TEST(!counts_greeted(a));
	counts_set_greeted(a, true);
	counts_map(map, 0, 2);
	TEST(counts_greeted(a));
	now += 25 * 3600000;
	TEST(!counts_greeted(a));
	TEST(counts_set_stress(POOL_LOOPBACK, true) && !counts_set_stress(POOL_LOOPBACK, true));
	TEST(counts_stress(POOL_LOOPBACK) && !counts_stress(POOL_NET));
	TEST(counts_set_stress(POOL_LOOPBACK, false));
}

/* More clients than there is room for: nobody is counted too high, and memory stays what it is. */
static void
test_crowd(struct limits_map *map)
{
	unsigned i, wrong = 0;

	counts_map(map, 0, 2);
	limits_clear(map, 0);
	limits_clear(map, 1);
	for (i = 0; i < 100000; i++)
		counts_open(0x2001000000000000 + i, POOL_NET);
	for (i = 0; i < 100000; i++)
		wrong += counts_client(0x2001000000000000 + i) > 1;
	TEST_INT(wrong, 0);
	TEST_INT(counts_total(POOL_NET), 100000);
	for (i = 0; i < 100000; i++)
		counts_close(0x2001000000000000 + i, POOL_NET);
	TEST_INT(counts_total(POOL_NET), 0);
	counts_open(5, POOL_NET);
	TEST_INT(counts_client(5), 1);
}

int
main(void)
{
	struct limits_map *map = calloc(1, limits_size(2));

	if (map == NULL)
		return 1;
	TEST_INT(counts_event(1, RATE_MAIL), 0);
	TEST_INT(counts_total(POOL_NET), 0);
	limits_clear(map, 0);
	limits_clear(map, 1);
	test_keys();
	test_connections(map);
	test_rate(map);
	test_connects(map);
	test_crowd(map);
	free(map);
	return test_end("counts");
}
