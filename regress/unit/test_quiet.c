/* links: smtpd/listener/quiet.c */
/*
 * test_quiet: a client's first line is due, the others are counted, and no number of clients takes more room.
 */
#include <string.h>
#include "listener/quiet.h"
#include "test.h"

static unsigned told, lines;
static char last[QUIET_NAME];

static void
tell(unsigned more, const char *name)
{
	told += more;
	lines++;
	strlcpy(last, name, sizeof(last));
}

int
main(void)
{
	static struct quiet q;
	unsigned i, due = 0;

	for (i = 0; i < 1000; i++)
		due += quiet_due(&q, 1, "a[1]", 5);
	TEST_INT(due, 1);
	TEST(quiet_due(&q, 2, "b[2]", 5));
	TEST(quiet_tell(&q, 5 + QUIET_MS - 1, tell));
	TEST_INT(lines, 0);
	TEST(quiet_tell(&q, 5 + QUIET_MS, tell));
	TEST_INT(told, 999);
	TEST_STR(last, "a[1]");
	TEST(quiet_due(&q, 2, "b[2]", 6 + QUIET_MS));
	TEST(!quiet_due(&q, 1, "a[1]", 6 + QUIET_MS));
	/* It goes on: one line each ten seconds. */
	TEST(quiet_tell(&q, 7 + 2 * QUIET_MS, tell));
	TEST_INT(told, 1000);
	TEST(!quiet_tell(&q, 8 + 4 * QUIET_MS, tell));
	for (i = 0; i < 100000; i++)
		due += quiet_due(&q, 10 + i, "x", 8 + 4 * QUIET_MS);
	TEST_INT(due, 1 + QUIET_CLIENTS);
	TEST(!quiet_tell(&q, 9 + 6 * QUIET_MS, tell));
	TEST_STR(last, "other clients");
	TEST_INT(told, 1000 + 100000 - QUIET_CLIENTS);
	return test_end("quiet");
}
