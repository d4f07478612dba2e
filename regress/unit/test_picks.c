/* test_picks: recipients gathered by message.
   links: queue/control/picks.c */
#include "control/picks.h"
#include "test.h"

int
main(void)
{
	struct picks p = { .v = NULL };
	const struct pick *v;
	uint32_t i;

	TEST_INT(picks_next(&p, &v), 0);
	picks_sort(&p);
	TEST(picks_add(&p, 7, 3) && picks_add(&p, 5, 9) && picks_add(&p, 7, 1) && picks_add(&p, 5, 10));
	picks_sort(&p);
	TEST_INT(picks_next(&p, &v), 2);
	TEST(v[0].id == 5 && v[0].n == 9 && v[1].n == 10);
	TEST_INT(picks_next(&p, &v), 2);
	TEST(v[0].id == 7 && v[0].n == 1 && v[1].n == 3);
	TEST_INT(picks_next(&p, &v), 0);
	picks_free(&p);
	for (i = 0; i < PICKS_MAX; i++)
		TEST(picks_add(&p, PICKS_MAX - i, i));
	TEST(!picks_add(&p, 1, 1));
	picks_sort(&p);
	for (i = 0; picks_next(&p, &v) == 1; i++)
		TEST_INT(v->id, i + 1);
	TEST_INT(i, PICKS_MAX);
	picks_free(&p);
	return test_end("picks");
}
