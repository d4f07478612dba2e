/*
 * test_rate: the token bucket: never more than the rate in any window, and hardly less.
 * links:
 */
#include <stdint.h>
#include "base/rate.h"
#include "test.h"

#define S	1000000000ULL
#define EVENTS	20000

static uint64_t at[EVENTS];

/* Events as fast as they may come, looked at every step ns. -> how many in that time */
static unsigned
run(uint64_t per_hour, uint64_t burst, uint64_t step, uint64_t until)
{
	struct rate r;
	unsigned n = 0;
	uint64_t now;

	rate_set(&r, per_hour, burst);
	for (now = 5 * S; now < 5 * S + until; now += step)
		while (n < EVENTS && rate_wait(&r, now) == 0) {
			rate_take(&r, now);
			at[n++] = now;
		}
	return n;
}

static unsigned
most_in(unsigned n, uint64_t window)
{
	unsigned i, first = 0, most = 0;

	for (i = 0; i < n; i++) {
		while (at[i] - at[first] >= window)
			first++;
		if (i - first + 1 > most)
			most = i - first + 1;
	}
	return most;
}

static unsigned
least_in(unsigned n, uint64_t window)
{
	unsigned i, last = 0, least = UINT32_MAX;

	for (i = 0; i < n && at[i] + window <= at[n - 1]; i++) {
		while (at[last] < at[i] + window)
			last++;
		if (last - i < least)
			least = last - i;
	}
	return least;
}

static void
windows(void)
{
	static const struct {
		uint64_t	per_hour, per_10s;
	} rates[] = { { 20 * 3600, 200 }, { 100 * 3600, 1000 }, { 600 * 60, 100 }, { 12 * 3600, 120 } };
	unsigned i, n;

	for (i = 0; i < sizeof rates / sizeof rates[0]; i++) {
		n = run(rates[i].per_hour, 0, S / 500, 60 * S);
		TEST(most_in(n, 10 * S) <= rates[i].per_10s * 105 / 100);
		TEST(least_in(n, 10 * S) >= rates[i].per_10s * 95 / 100);
	}
	/* A lazy timer loses nothing while the slack covers it. */
	n = run(20 * 3600, 5, S / 8, 60 * S);
	TEST(n >= 1200 && n <= 1205);
}

static void
slow_ones(void)
{
	TEST_INT(run(60, 0, S / 10, 600 * S), 10);	/* one a minute, the first at once */
	TEST_INT(run(5000, 0, S / 100, 3600 * S), 5000);
	TEST_INT(run(1, 0, S, 3600 * S), 1);
	TEST_INT(run(0, 0, S, S), EVENTS);		/* no rate */
}

static void
bursts(void)
{
	struct rate r;
	unsigned i;

	rate_set(&r, 3600, 10);
	for (i = 0; i < 10; i++) {
		TEST(rate_wait(&r, 100 * S) == 0);
		rate_take(&r, 100 * S);
	}
	TEST_INT(rate_wait(&r, 100 * S), S);
	TEST_INT(rate_wait(&r, 100 * S + S / 4), S / 4 * 3);
	rate_give(&r);
	TEST(rate_wait(&r, 100 * S) == 0);
	rate_take(&r, 100 * S);
	rate_take(&r, 100 * S);			/* in debt */
	TEST_INT(rate_wait(&r, 100 * S), 2 * S);
	for (i = 0; i < 20; i++)
		rate_give(&r);
	TEST(rate_wait(&r, 0) > 0 || r.next <= r.slack);
	TEST_INT(rate_burst(3600, 10), 10);
	TEST_INT(rate_burst(3600, 0), 1);
	TEST_INT(rate_burst(40 * 3600, 0), 10);
}

int
main(void)
{
	windows();
	slow_ones();
	bursts();
	return test_end("rate");
}
