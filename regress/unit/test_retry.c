/*
 * test_retry: back-off, jitter, lifetime.
 * links: queue/core/retry.c
 */
#include "core/retry.h"
#include "test.h"

static const struct dest_policy p = { .retry_min = 300000, .retry_max = 14400000, .lifetime = 432000000 };

static void
waits(void)
{
	uint64_t w, least, last = 0;
	uint32_t n, i;

	for (n = 1; n < 200; n++) {
		least = UINT64_MAX;
		for (i = 0; i < 64; i++) {
			w = retry_wait(&p, n, i * 2654435761u);
			if (!TEST(w >= p.retry_min && w <= p.retry_max))
				return;
			if (w < least)
				least = w;
		}
		TEST(least >= last || least >= p.retry_max / 2);
		last = least;
	}
	TEST(retry_wait(&p, 1, 0) == p.retry_min);
	TEST(retry_wait(&p, 2, 0) == 2 * p.retry_min);
	TEST(retry_wait(&p, UINT32_MAX, 0) == p.retry_max);
	TEST(retry_wait(&p, 0, 0) == p.retry_min);
}

static void
odd_policies(void)
{
	struct dest_policy same = { .retry_min = 5000, .retry_max = 5000, .lifetime = 20000 };
	struct dest_policy less = { .retry_min = 5000, .retry_max = 1000, .lifetime = 20000 };
	uint32_t i;

	for (i = 0; i < 1000; i++) {
		TEST_INT(retry_wait(&same, i, i * 7919), 5000);
		TEST_INT(retry_wait(&less, i, i * 7919), 5000);
	}
}

static void
lifetimes(void)
{
	int64_t now = 1700000000000, arrival = now - (int64_t)p.lifetime + 1;

	TEST(!retry_expired(&p, arrival, now, true));
	TEST(retry_expired(&p, arrival - 1, now, true));
	TEST(!retry_expired(&p, arrival - 1, now, false));
	TEST(!retry_expired(&p, now + 86400000, now, true));
	TEST_INT(retry_age(now + 5, now), 0);
	TEST_INT(retry_age(now - 5, now), 5);
	/* The last attempt is at the end of the lifetime, not hours before it. */
	arrival = now - (int64_t)p.lifetime + 3600000;
	TEST_INT(retry_due(&p, arrival, now, 20, 0), arrival + (int64_t)p.lifetime);
	TEST(retry_due(&p, now, now, 1, 0) == now + (int64_t)p.retry_min);
}

static void
notices(void)
{
	struct dest_policy n = { .retry_min = 300000, .retry_max = 14400000, .lifetime = 432000000, .delay_notice = 14400000 };
	int64_t now = 1700000000000, arrival = now - 9600000;

	/* An attempt is made when the delay is due to be told, and not a second one for it. */
	TEST_INT(retry_due(&n, arrival, now, 6, 0), arrival + 14400000);
	TEST(retry_due(&n, now - 14300000, now, 6, 0) > now + 300000);
	TEST(!retry_delayed(&n, now - 14399999, now) && retry_delayed(&n, now - 14400000, now));
	TEST(!retry_delayed(&n, now + 5, now));
	n.delay_notice = 0;
	TEST(!retry_delayed(&n, 0, now));
	n.delay_notice = n.lifetime;
	TEST(!retry_delayed(&n, 0, now));	/* it is given up then */
}

int
main(void)
{
	waits();
	odd_policies();
	lifetimes();
	notices();
	return test_end("test_retry");
}
