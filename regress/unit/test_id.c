/*
 * test_id: queue ids are leased once, used once, and never come again.
 * links: queue/core/id.c
 */
#include <unistd.h>
#include <stdlib.h>
#include "core/id.h"
#include "test.h"

static void
uses(void)
{
	uint64_t a, b, other;

	id_begin(100);
	a = id_lease(256);
	b = id_lease(256);
	TEST(a >> 32 == 100 && b >= a + 256 && b < a + 256 + 64);
	TEST(a <= INT64_MAX);
	TEST(id_use(a));
	TEST(!id_use(a));
	TEST(id_use(a + 255));
	TEST(id_use(b + 255));
	TEST(!id_use(b + 256));
	TEST(!id_use(0));
	TEST(!id_use(UINT64_MAX));
	other = (uint64_t)101 << 32 | (a & UINT32_MAX);
	TEST(!id_use(other));
	id_begin(101);
	TEST(!id_use(a + 1));
}

/* Ids far behind the newest count as used: memory is bounded. */
static void
old_ones(void)
{
	uint64_t first, last = 0;
	int i;

	id_begin(7);
	first = id_lease(10);
	for (i = 0; i < 70; i++) {
		last = id_lease(1 << 20);
		TEST(id_use(last));
	}
	for (i = 0; i < 2000; i++)
		id_use((last & ~(uint64_t)UINT32_MAX) | ((last & UINT32_MAX) - (uint64_t)i * 32768));
	TEST(!id_use(first + (uint64_t)64 * 1024 * 1024 * 1024));
	TEST(id_use(last + 1));
}

static void
run_out(void)
{
	uint64_t a, b = 0;
	int i;

	id_begin(5);
	a = id_lease(1);
	for (i = 0; i < 5000; i++)
		b = id_lease(1 << 20);
	TEST(b >> 32 > a >> 32);
	TEST(id_use(b));
}

static void
runs(void)
{
	TEST_INT(id_run(1577836800000 + 5000, 0), 5);
	TEST_INT(id_run(1577836800000 + 5000, 5), 6);
	TEST_INT(id_run(1577836800000 + 5000, 900), 901);
	TEST_INT(id_run(0, 0), 1);
	TEST(id_run(1795302540761, 0) > 200000000);
}

static bool
never(uint32_t run)
{
	(void)run;
	return false;
}

static bool
twice(uint32_t run)
{
	static unsigned n;

	(void)run;
	return n++ < 2;
}

static void
files(void)
{
	char dir[] = "/tmp/postern-id-XXXXXX";
	uint64_t a, b;

	if (!TEST(mkdtemp(dir) != NULL && chdir(dir) == 0))
		return;
	id_open(0, 0, never);
	a = id_lease(1);
	id_open(0, 0, never);
	b = id_lease(1);
	TEST(b >> 32 > a >> 32);
	/* The file is lost and the clock was set back. */
	unlink("last-run");
	id_begin(0);
	id_open((uint32_t)(b >> 32) + 5000, 0, never);
	TEST_INT(id_lease(1) >> 32, (b >> 32) + 5001);
	unlink("last-run");
	id_begin(0);
	id_open(0, ((int64_t)(b >> 32) + 1577836800 + 7000) * 1000, twice);
	TEST_INT(id_lease(1) >> 32, (b >> 32) + 7003);
	unlink("last-run");
	id_begin(0);
	id_open(UINT32_MAX, INT64_MAX, never);
	TEST(id_lease(1) >> 32 < (b >> 32) + 1000);
	unlink("last-run");
	TEST(chdir("/") == 0 && rmdir(dir) == 0);
}

static void
births(void)
{
	uint64_t a = id_birth(1, 1, 0);

	TEST_INT(a, id_birth(1, 1, 0));
	TEST(a != id_birth(1, 1, 1) && a != id_birth(1, 2, 0) && a != id_birth(2, 1, 0));
	TEST(a != 0 && a <= INT64_MAX);
}

int
main(void)
{
	uses();
	old_ones();
	run_out();
	runs();
	files();
	births();
	return test_end("test_id");
}
