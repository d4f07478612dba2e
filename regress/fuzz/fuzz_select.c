/* links: queue/control/select.c queue/index/walk.c */
/*
 * fuzz_select: what a local user asks of the queue: a control line's words, split at TABs, and rows they are held against.
 * Each word is a condition or is answered in words; a row that fits without a condition fits with none; a walk that answers everything
 * itself is one for which nothing else was asked.
 */
#include <stdlib.h>
#include <string.h>
#include "index/priv.h"
#include "control/select.h"

#define WORDS	320		/* CONTROL_WORDS */
#define LINE	4096		/* CONTROL_LINE */
#define NOW	1700000000000

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check(bool ok)
{
	if (!ok)
		abort();
}

/* The walk itself is not made here. */
struct sqlite3_stmt *
index_ask(struct index *ix, enum st st, const char *types, ...)
{
	(void)ix;
	(void)st;
	(void)types;
	abort();
}

bool
index_row(struct index *ix, struct sqlite3_stmt *st)
{
	(void)ix;
	(void)st;
	abort();
}

void
index_end(struct sqlite3_stmt *st)
{
	(void)st;
	abort();
}

void
index_damaged(struct index *ix)
{
	(void)ix;
	abort();
}

int64_t
index_int(struct sqlite3_stmt *st, int column)
{
	(void)st;
	(void)column;
	abort();
}

const char *
index_text(struct sqlite3_stmt *st, int column)
{
	(void)st;
	(void)column;
	abort();
}

static void
rows(const struct select *s)
{
	static const struct index_hit hits[] = {
		{ .id = 5, .addr = "a@b.test", .domain = "b.test", .mark = MARK_PENDING, .due = NOW + 1, .relay = "", .reply = "4.4.1 no",
		    .action = "out", .sender = "s@one.test", .arrival = NOW - 5000, .size = 100, .tag = "t", .uid = 1000, .weight = 1 },
		{ .id = UINT64_MAX, .n = UINT32_MAX, .addr = "", .domain = "", .mark = MARK_HELD, .due = INT64_MIN, .relay = "", .reply = "",
		    .action = "", .sender = "", .arrival = INT64_MAX, .size = UINT64_MAX, .tag = "", .uid = -1, .weight = 1 },
	};
	size_t i;

	for (i = 0; i < sizeof hits / sizeof hits[0]; i++)
		check(select_match(s, &hits[i], NOW) || !s->whole);
}

static void
walks(const struct select *s)
{
	struct index_walk w;
	int need;

	for (need = 0; need < WALK_NEED__N; need++) {
		w = select_walk(s, (enum walk_need)need, NOW);
		check(w.by != WALK_ALL || w.need != WALK_NEED_KEY);
		check(!s->whole || w.by == WALK_ALL);
		check((s->nids > 0) == (w.by == WALK_ID));
		(void)select_ordered(&w);
		index_walk_end(&w);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char line[LINE + 1], *rest = line, *word, *v[WORDS + 1], *wrong;
	struct select s;
	int count = 0;

	if (n > LINE)
		return 0;
	memcpy(line, p, n);
	line[n] = '\0';
	while ((word = strsep(&rest, "\t")) != NULL && count < WORDS)
		v[count++] = word;
	wrong = select_parse(&s, v, count);
	check(wrong == NULL || *wrong != '\0');
	check(s.nids <= (size_t)count);
	if (wrong == NULL) {
		rows(&s);
		walks(&s);
	}
	free(wrong);
	select_free(&s);
	return 0;
}
