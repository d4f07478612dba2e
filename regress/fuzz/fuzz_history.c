/* links: queue/core/history.c common/proc/clock.c */
/*
 * fuzz_history: the blocks of the history as they may lie on a damaged disk. What is told of them is bounded, and ends; what history itself
 * wrote behind one that is damaged is read as ever.
 */
#include <stdlib.h>
#include <string.h>
#include "program/child.h"
#include "proc/ev.h"
#include "core/history.h"
#include "index/history.h"

#define OURS	77		/* the message of the block that is in order */
#define TIME_MOST	253402300799999		/* the end of the year 9999 */

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct {
	struct blob	 input;		/* the block that is read first */
	struct buf	 ours;		/* ... and the one behind it */
	size_t		 told;
	bool		 right;
} fz;

static void
check(bool ok)
{
	if (!ok)
		abort();
}

/* ---- what history uses ---- */

const struct conf *
child_conf(void)
{
	static const struct conf conf = { .limit[LIM_HISTORY] = 1000, .limit[LIM_HISTORY_RESULTS] = 1000 };

	return &conf;
}

int
index_history_put(struct index *ix, int64_t at, uint32_t results, struct blob block)
{
	(void)ix;
	(void)at;
	check(results == 1);
	buf_reset(&fz.ours, 0);
	buf_add(&fz.ours, block.p, block.len);
	return 0;
}

uint64_t
index_history_sum(struct index *ix)
{
	(void)ix;
	return 0;
}

uint32_t
index_history_trim(struct index *ix, int64_t before, bool anyhow)
{
	(void)ix;
	(void)before;
	(void)anyhow;
	return 0;
}

bool
index_history_next(struct index *ix, uint64_t *seq, void (*cb)(void *, struct blob), void *arg)
{
	(void)ix;
	if (*seq == 2)
		return false;
	cb(arg, (*seq)++ == 0 ? fz.input : (struct blob){ buf_data(&fz.ours), fz.ours.len });
	return true;
}

/* ---- what is told ---- */

static size_t
length(const char *s)
{
	size_t n = strlen(s);

	check(n <= UINT16_MAX);
	return n;
}

static void
one(void *arg, const struct history_result *h)
{
	(void)arg;
	fz.told += 50 + length(h->sender) + length(h->addr) + length(h->message_id) + length(h->relay) + length(h->dsn) + length(h->text);
	check(history_word(h->what) != NULL && h->code <= UINT16_MAX);
	check(h->when >= 0 && h->when <= TIME_MOST && h->arrival >= 0 && h->arrival <= TIME_MOST);
	fz.right = h->id == OURS && h->attempt == 3 && strcmp(h->sender, "a@one.test") == 0 && strcmp(h->text, "no") == 0;
}

static void
begin(void)
{
	static bool begun;
	struct p_env_rcpt to = { .addr = "x@far.test" };
	struct rcpt r = { .attempts = 2 };
	struct message m = { .id = OURS, .message_id = "<m@x>", .rcpts = &r,
	    .env = { .sender = "a@one.test", .arrival = 5, .uid = 1000, .rcpts = &to, .rcpts_n = 1 } };

	if (begun)
		return;
	begun = true;
	ev_init();
	history_init((struct index *)&fz);
	history_add(&m, 0, HISTORY_DEFERRED, 451, "4.4.1", "no", "host[192.0.2.1]:25");
	history_run(true);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint64_t seq = 0;

	begin();
	fz.input = (struct blob){ p, n };
	fz.told = 0;
	fz.right = false;
	while (history_page(&seq, one, NULL))
		;
	check(fz.right && fz.told <= n + fz.ours.len + 100);
	return 0;
}
