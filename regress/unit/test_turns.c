/* test_turns: the new goes first, the old is not forgotten. */
#include "test.h"
#include "mail/lanes.h"

int
main(void)
{
	struct turns t = { 0 };
	unsigned i, old = 0;
	enum line line;

	TEST_INT(turns_next(&t, true, false), LINE_NEW);
	TEST_INT(turns_next(&t, false, true), LINE_OLD);
	for (i = 0; i < 1000; i++)		/* nobody waits in the other line: that earns it nothing */
		turns_took(&t, LINE_NEW, false);
	TEST_INT(turns_next(&t, true, true), LINE_NEW);
	for (i = 0; i < 100; i++) {
		line = turns_next(&t, true, true);
		old += line == LINE_OLD;
		turns_took(&t, line, true);
	}
	TEST_INT(old, 10);
	return test_end("turns");
}
