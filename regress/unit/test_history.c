/* test_history: what goes in comes out, in order, over a restart; it is bounded in time and number; a broken index costs nothing else.
   links: queue/core/history.c common/proc/clock.c queue/index/index.c queue/index/vfs.c queue/spool/helper.c queue/spool/order.c queue/index/rows.c queue/index/read.c queue/index/seg.c queue/index/files.c queue/index/history.c queue/spool/lock.c */
#include <time.h>
#include "program/child.h"
#include "proc/clock.h"
#include "core/history.h"
#include "test.h"
#include "spoolkit.h"

static struct conf conf;

const struct conf *
child_conf(void)
{
	return &conf;
}

static void
add(uint64_t id, enum history_what what, const char *text)
{
	struct p_env_rcpt to = { .addr = "x@far.test" };
	struct rcpt r = { .attempts = 2 };
	struct message m = { .id = id, .message_id = "<m@x>", .rcpts = &r,
	    .env = { .sender = "a@one.test", .arrival = 77, .uid = 1000, .rcpts = &to, .rcpts_n = 1 } };

	history_add(&m, 0, what, 451, "4.4.1", text, "host[192.0.2.1]:25");
}

struct seen { uint64_t n, first, last; bool right; const char *text; };

static void
one(void *arg, const struct history_result *h)
{
	struct seen *s = arg;

	if (s->n++ == 0) {
		s->first = h->id;
		s->right = h->arrival == 77 && h->uid == 1000 && h->code == 451 && h->attempt == 3 && h->what == HISTORY_DEFERRED &&
		    h->when <= clock_now() && strcmp(h->sender, "a@one.test") == 0 && strcmp(h->addr, "x@far.test") == 0 &&
		    strcmp(h->message_id, "<m@x>") == 0 && strcmp(h->relay, "host[192.0.2.1]:25") == 0 &&
		    strcmp(h->dsn, "4.4.1") == 0 && (s->text == NULL || strcmp(h->text, s->text) == 0);
	}
	s->last = h->id;
}

static struct seen
all(const char *text)
{
	struct seen s = { .text = text };
	uint64_t seq = 0;

	while (history_page(&seq, one, &s))
		;
	return s;
}

static void
measure(struct index *ix)
{
	struct timespec a, b;
	uint32_t i, n = 200000;

	clock_gettime(CLOCK_MONOTONIC, &a);
	for (i = 1; i <= n; i++) {
		add(i, HISTORY_SENT, "2.0.0 Ok: queued as 12345678 by the other server, which is polite");
		history_run(false);
		if (i % 100 == 0)
			index_turn(ix, true);
	}
	history_run(true);
	index_turn(ix, true);
	clock_gettime(CLOCK_MONOTONIC, &b);
	if (getenv("V") != NULL)
		printf("%.0f ns a result\n", ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / n);
}

int
main(void)
{
	struct index *ix;
	struct seen s;
	char longest[3000];
	uint32_t i;

	conf.limit[LIM_HISTORY] = 3600 * 1000;
	conf.limit[LIM_HISTORY_RESULTS] = 3000;
	kit_begin();
	kit_shell("mkdir quarantine");
	memset(longest, 'y', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	ix = index_open();
	history_init(ix);
	TEST_INT(all(NULL).n, 0);
	add(5, HISTORY_DEFERRED, "refused \"\x01\xff");
	add(6, HISTORY_SENT, longest);
	s = all("refused \"\x01\xff");
	TEST(s.n == 2 && s.first == 5 && s.last == 6 && s.right);
	history_run(true);
	index_close(ix);
	ix = index_open();
	history_init(ix);
	s = all(NULL);
	TEST(s.n == 2 && s.right);
	for (i = 10; i < 20000; i++) {
		add(i, HISTORY_DEFERRED, "no");
		history_run(false);
	}
	s = all(NULL);
	TEST(s.n >= 2000 && s.n <= 3000 + 600 && s.last == 19999);
	conf.limit[LIM_HISTORY_RESULTS] = 1000000;
	measure(ix);
	TEST_INT(all(NULL).last, 200000);
	conf.limit[LIM_HISTORY] = 1;
	add(7, HISTORY_SENT, "the timer of the block ends the turn");
	ev_turn();
	for (i = 0; i < 2000; i++) {
		add(7, HISTORY_SENT, "again");
		history_run(true);
	}
	TEST(all(NULL).n < 2100);
	history_run(true);
	index_close(ix);
	kit_end();
	return test_end("history");
}
