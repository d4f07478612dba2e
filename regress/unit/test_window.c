/*
 * test_window: slow start and back-off of the number of connections.
 * links: deliver/client/window.c
 */
#include "test.h"
#include "client/window.h"

static void
good(struct window *w, unsigned n, unsigned limit, uint64_t now)
{
	while (n-- > 0)
		window_good(w, limit, now);
}

static void
grows(void)
{
	struct window w;

	window_init(&w);
	TEST_INT(w.size, WINDOW_FIRST);
	good(&w, 3, 20, 1);
	TEST_INT(w.size, WINDOW_FIRST + 3);
	good(&w, 100, 20, 1);
	TEST_INT(w.size, 20);
	good(&w, 100, 10, 1);			/* a limit that came down is the caller's business */
	TEST_INT(w.size, 20);
}

static void
backs_off(void)
{
	struct window w;

	window_init(&w);
	good(&w, 100, 20, 1);
	window_bad(&w, 5000);
	TEST_INT(w.size, 10);
	window_bad(&w, 5500);			/* the same trouble, told by another connection */
	TEST_INT(w.size, 10);
	good(&w, 9, 20, 5600);
	TEST_INT(w.size, 10);
	good(&w, 1, 20, 5600);
	TEST_INT(w.size, 11);			/* slowly from now on */
	window_bad(&w, 7000);
	window_bad(&w, 8000);
	window_bad(&w, 9000);
	window_bad(&w, 10000);
	window_bad(&w, 11000);
	TEST_INT(w.size, 1);
	good(&w, 1, 20, 12000);
	TEST_INT(w.size, 2);
}

static void
full_and_down(void)
{
	struct window w;

	window_init(&w);
	good(&w, 100, 20, 1);
	window_full(&w, 4, 1000);
	TEST_INT(w.size, 4);
	good(&w, 100, 20, 60999);
	TEST_INT(w.size, 4);
	good(&w, 4, 20, 61000);
	TEST_INT(w.size, 5);
	window_full(&w, 0, 70000);
	TEST_INT(w.size, 1);
	window_init(&w);
	good(&w, 100, 20, 1);
	window_down(&w, 1);
	TEST(w.size == 1 && w.goal == 10);
	window_down(&w, 2);
	TEST(w.size == 1 && w.goal == 10);
	good(&w, 9, 20, 3);
	TEST_INT(w.size, 10);
}

int
main(void)
{
	grows();
	backs_off();
	full_and_down();
	return test_end("window");
}
