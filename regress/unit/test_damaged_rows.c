/* test_damaged_rows: rows of index.db with values that nobody wrote: no reading overflows or goes on for ever; what cannot be read in order is
   put aside, and the index made anew.
   links: queue/core/history.c common/proc/clock.c queue/index/index.c queue/index/vfs.c queue/spool/helper.c queue/spool/order.c queue/index/rows.c queue/index/read.c queue/index/walk.c queue/index/seg.c queue/index/files.c queue/index/history.c queue/spool/lock.c */
#include <limits.h>
#include "program/child.h"
#include "core/history.h"
#include "index/history.h"
#include "index/priv.h"
#include "index/walk.h"
#include "test.h"
#include "spoolkit.h"

#define TURNS	100		/* more than any reading of a few rows takes */

const struct conf *
child_conf(void)
{
	static const struct conf conf = { .limit[LIM_HISTORY] = 3600 * 1000, .limit[LIM_HISTORY_RESULTS] = 1000 };

	return &conf;
}

/* Values as text: SQLite makes numbers of those that are some, and keeps the others. */
static void
msg(struct index *ix, const char *id, const char *arrival)
{
	TEST_INT(index_run(ix, ST_MSG_PUT, "tttttttttt", id, "1", "64", arrival, "a@b.test", "", "", "100", "-1", "1"), 0);
}

static void
rcpt(struct index *ix, const char *id, const char *n, const char *due)
{
	TEST_INT(index_run(ix, ST_RCPT_PUT, "tttttttttttt", id, n, "c@d.test", "d.test", "out", "112", due, "0", "0", "", "", "0"), 0);
}

/* -> recipients that were read, two at a time as load reads them; TURNS: without an end */
static unsigned
in_parts(struct index *ix, uint64_t id)
{
	struct index_msg *m;
	unsigned turns, found = 0;
	uint32_t from = 0, n = 2;

	for (turns = 0; turns < TURNS && n == 2 && (m = index_part(ix, id, from, 2)) != NULL; turns++) {
		n = m->nrcpt;
		found += n;
		from = n > 0 ? m->rcpts[n - 1].n + 1 : 0;
		index_msg_free(m);
	}
	return turns < TURNS ? found : TURNS;
}

static void
nothing(void *arg, const struct index_hit *h)
{
	(void)arg;
	TEST(h->due >= 0 && h->due <= INDEX_TIME_MOST && h->arrival >= 0 && h->arrival <= INDEX_TIME_MOST);
}

/* -> its pages, of one row */
static unsigned
walk(struct index *ix, enum walk_by by)
{
	struct index_walk w = { .by = by, .need = WALK_NEED_BOTH, .text = "", .text2 = "", .value = INT64_MAX, .at = INT64_MIN };
	unsigned turns = 0;

	index_walk_begin(&w);
	while (turns < TURNS && index_walk_page(ix, &w, 1, nothing, NULL))
		turns++;
	index_walk_end(&w);
	return turns;
}

static struct index *
fresh(void)
{
	struct index *ix;

	kit_shell("rm -rf index.db* quarantine && mkdir quarantine");
	ix = index_open();
	index_hold(ix, true);
	TEST_INT(index_begin(ix), 0);
	return ix;
}

static void
numbers_too_large(void)
{
	struct index *ix = fresh();

	msg(ix, "1", "5");
	rcpt(ix, "1", "0", "5");
	rcpt(ix, "1", "4294967295", "5");
	rcpt(ix, "1", "4294967296", "5");	/* 0 in 32 bits: read again and again */
	rcpt(ix, "1", "4294967297", "5");
	TEST_INT(in_parts(ix, 1), 1);
	TEST_INT(walk(ix, WALK_ALL), 4);
	TEST(!index_broken(ix));
	index_close(ix);
}

static void
times(void)
{
	struct index *ix = fresh();
	struct index_msg *m;

	msg(ix, "1", "-9223372036854775808");
	msg(ix, "2", "9223372036854775807");
	rcpt(ix, "1", "0", "9223372036854775807");
	rcpt(ix, "2", "0", "-9223372036854775808");
	m = index_get(ix, 1);
	TEST(m != NULL && m->arrival == 0 && m->nrcpt == 1 && m->rcpts[0].due == INDEX_TIME_MOST);
	index_msg_free(m);
	m = index_get(ix, 2);
	TEST(m != NULL && m->arrival == INDEX_TIME_MOST && m->nrcpt == 1 && m->rcpts[0].due == 0);
	index_msg_free(m);
	TEST_INT(walk(ix, WALK_AGE), 2);
	TEST(!index_broken(ix));
	index_close(ix);
}

/* The index is no use any more: put aside, and an empty one after the next start, which scans. */
static void
put_aside(struct index *ix)
{
	struct index_count c;

	TEST(index_broken(ix));
	TEST(kit_count("quarantine") > 0);
	index_close(ix);
	ix = index_open();
	index_counts(ix, &c);
	TEST(!index_broken(ix) && c.messages == 0);
	index_close(ix);
}

static void
numbers_that_are_none(void)
{
	struct index *ix = fresh();

	msg(ix, "1", "5");
	rcpt(ix, "1", "5", "5");
	rcpt(ix, "1", "many", "5");	/* sorts behind every number, and is read as 0 */
	TEST(walk(ix, WALK_ALL) < TURNS);
	put_aside(ix);
}

static void
texts_that_are_none(void)
{
	struct buf action = BUF_INIT, domain = BUF_INIT;
	struct index *ix = fresh();
	unsigned turns = 0;
	int64_t due;

	msg(ix, "1", "5");
	TEST_INT(index_run(ix, ST_RCPT_PUT, "tttbtttttttt", "1", "0", "c@d.test", "d.test", (uint64_t)6, "out", "112", "5", "0", "0",
	    "", "", "0"), 0);
	while (turns < TURNS && index_next_dest(ix, &action, &domain, &due))
		turns++;
	TEST(turns < TURNS);
	buf_free(&action);
	buf_free(&domain);
	put_aside(ix);
}

static void
result(void *arg, const struct history_result *h)
{
	(*(unsigned *)arg)++;
	TEST(h->when == 0 && h->arrival == INDEX_TIME_MOST);
}

static void
history(void)
{
	struct index *ix = fresh();
	struct buf b = BUF_INIT;
	unsigned i, n = 0;
	uint64_t seq = 0;

	put_u64(&b, 1);
	put_i64(&b, INT64_MIN);
	put_i64(&b, INT64_MAX);
	put_i64(&b, -1);
	put_u8(&b, 255);
	put_u32(&b, UINT32_MAX);
	put_u16(&b, 250);
	for (i = 0; i < 6; i++) {
		put_u16(&b, 0);
		put_u8(&b, 0);
	}
	buf_add(&b, "torn", 4);
	TEST_INT(index_history_put(ix, 5, 1, (struct blob){ buf_data(&b), b.len }), 0);
	buf_free(&b);
	history_init(ix);
	while (history_page(&seq, result, &n))
		;
	TEST_INT(n, 1);
	index_close(ix);
}

int
main(void)
{
	kit_begin();
	numbers_too_large();
	times();
	numbers_that_are_none();
	texts_that_are_none();
	history();
	kit_end();
	return test_end("damaged_rows");
}
