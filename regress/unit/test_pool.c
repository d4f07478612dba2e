/*
 * test_pool: sources by weight, always the same for a message.
 * links: deliver/client/pool.c
 */
#include <stdlib.h>
#include "client/pool.h"
#include "test.h"

#define MESSAGES	100000

static bool
usable(int source, void *arg)
{
	return !(*(unsigned *)arg & 1U << source);
}

static bool
near(unsigned n, unsigned want)
{
	return n > want - want / 20 && n < want + want / 20;
}

int
main(void)
{
	struct conf_member members[] = { { 0, 1 }, { 1, 3 }, { 2, 6 } };
	struct conf_pool pool = { .name = NULL, .member = members, .nmember = 3 };
	unsigned count[3] = { 0 }, less[3] = { 0 }, none = 0, without = 2, all = 7, moved = 0;
	uint64_t id;
	int a, b;

	for (id = 0; id < MESSAGES; id++) {
		a = pool_pick(&pool, id, usable, &none);
		b = pool_pick(&pool, id, usable, &without);
		count[a]++;
		less[b]++;
		moved += a != pool_pick(&pool, id, usable, &none);
		moved += a != 1 && a != b;		/* only its own messages leave a source that is gone */
	}
	TEST(near(count[0], MESSAGES / 10) && near(count[1], MESSAGES * 3 / 10) && near(count[2], MESSAGES * 6 / 10));
	TEST(near(less[0], MESSAGES / 7) && less[1] == 0 && near(less[2], MESSAGES / 7 * 6));
	TEST_INT(moved, 0);
	TEST_INT(pool_pick(&pool, 1, usable, &all), -1);
	return test_end("pool");
}
