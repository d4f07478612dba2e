/* test_walk: selections and their walks: what they find, that each has its index, and that no page takes long.
   WALK_N=1000000 in the environment makes so many deferred recipients and prints how long each question takes over them.
   links: queue/index/index.c queue/index/vfs.c queue/spool/helper.c queue/spool/order.c queue/index/rows.c queue/index/read.c queue/index/seg.c queue/index/files.c queue/index/walk.c queue/spool/lock.c queue/control/select.c queue/control/idset.c */
#include <sqlite3.h>
#include <time.h>
#include "control/idset.h"
#include "index/sql.h"
#include "control/select.h"
#include "test.h"
#include "spoolkit.h"

#define PAGE	256
#define NOW	(1000 * 1000 * 1000LL)
#define HOUR	(3600 * 1000LL)

static struct index *ix;
static uint32_t total;

/* ---- EXPLAIN QUERY PLAN ---- */

static const struct { const char *name, *sql; } statements[] = {
#define PLAN(name, sql)	{ #name, sql },
	INDEX_STATEMENTS(PLAN)
};

/* What visits many rows on purpose; everything else has an index, and nothing sorts. */
static bool
may_scan(const char *name)
{
	static const char *const all[] = { "SEG_ALL", "SEG_MSGS", "TOTALS_GET", "TOTALS_PUT", "COUNT_MSG", "COUNT_RCPT", "MSG_LAST",
	    "HISTORY_OLD", "HISTORY_SUM", NULL };
	size_t i;

	for (i = 0; all[i] != NULL; i++)
		if (strcmp(all[i], name) == 0)
			return true;
	return false;
}

static void
plan(sqlite3 *db, const char *name, const char *sql)
{
	char *text = xasprintf("EXPLAIN QUERY PLAN %s", sql);
	sqlite3_stmt *st;
	const char *line;

	if (TEST_INT(sqlite3_prepare_v2(db, text, -1, &st, NULL), SQLITE_OK))
		while (sqlite3_step(st) == SQLITE_ROW) {
			line = (const char *)sqlite3_column_text(st, 3);
			if (!TEST(strstr(line, "TEMP B-TREE") == NULL) || !TEST(may_scan(name) || strncmp(line, "SCAN ", 5) != 0 ||
			    strncmp(line, "SCAN (subquery", 14) == 0 || strcmp(line, "SCAN r") == 0))
				fprintf(stderr, "%s: %s\n", name, line);
		}
	sqlite3_finalize(st);
	free(text);
}

/* The index that a walk is named after is the one that SQLite takes. */
static void
plan_has(sqlite3 *db, const char *which, const char *want)
{
	bool found = false;
	sqlite3_stmt *st;
	char *text;
	size_t i;

	for (i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		if (strcmp(statements[i].name, which) != 0)
			continue;
		text = xasprintf("EXPLAIN QUERY PLAN %s", statements[i].sql);
		sqlite3_prepare_v2(db, text, -1, &st, NULL);
		while (sqlite3_step(st) == SQLITE_ROW)
			found = found || strstr((const char *)sqlite3_column_text(st, 3), want) != NULL;
		sqlite3_finalize(st);
		free(text);
	}
	if (!TEST(found))
		fprintf(stderr, "%s does not say %s\n", which, want);
}

static void
plans(void)
{
	static const struct { const char *which, *want; } indices[] = {
		{ "WALK_ALL_MSG", "SEARCH m USING INTEGER PRIMARY KEY" }, { "WALK_ALL_BOTH", "SEARCH r USING PRIMARY KEY" },
		{ "WALK_ALL_RCPT", "SEARCH r USING PRIMARY KEY" }, { "WALK_ID_BOTH", "SEARCH r USING PRIMARY KEY (id=? AND n>?)" },
		{ "WALK_TO_KEY", "COVERING INDEX rcpt_domain (domain=? AND addr=?" },
		{ "WALK_TO_BOTH", "INDEX rcpt_domain (domain=? AND addr=?" }, { "WALK_DOMAIN_KEY", "COVERING INDEX rcpt_domain (domain=?" },
		{ "WALK_DOMAIN_BOTH", "INDEX rcpt_domain (domain=?" }, { "WALK_DOMAINS_KEY", "COVERING INDEX rcpt_domain" },
		{ "WALK_HELD_KEY", "COVERING INDEX rcpt_held" }, { "WALK_HELD_BOTH", "INDEX rcpt_held" },
		{ "DUE", "INDEX rcpt_dest (domain=? AND action=? AND (due,id)>(?,?))" }, { "NEXT_DEST", "COVERING INDEX rcpt_dest" },
		{ "BEFORE", "COVERING INDEX rcpt_dest (domain=? AND action=? AND (due,id)<(?,?))" },
		{ "WALK_FROM_KEY", "COVERING INDEX msg_sender (sender=? AND id>?)" },
		{ "WALK_AGE_KEY", "COVERING INDEX msg_arrival" }, { "WALK_FROM_MSG", "INDEX msg_sender (sender=? AND id>?)" }, { "WALK_FROM_BOTH", "INDEX msg_sender (sender=? AND id>?)" },
		{ "WALK_FROM_BOTH", "SEARCH r USING PRIMARY KEY (id=? AND n>?)" }, { "WALK_AGE_MSG", "INDEX msg_arrival" },
		{ "WALK_AGE_BOTH", "INDEX msg_arrival" }, { "WALK_UID_MSG", "INDEX msg_uid (uid=?" }, { "WALK_UID_BOTH", "INDEX msg_uid (uid=?" },
	};
	sqlite3 *db;
	size_t i;

	if (!TEST_INT(sqlite3_open(":memory:", &db), SQLITE_OK) || !TEST_INT(sqlite3_exec(db, index_pragmas, 0, 0, 0), SQLITE_OK) ||
	    !TEST_INT(sqlite3_exec(db, index_schema, 0, 0, 0), SQLITE_OK))
		return;
	for (i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
		plan(db, statements[i].name, statements[i].sql);
	for (i = 0; i < sizeof(indices) / sizeof(indices[0]); i++)
		plan_has(db, indices[i].which, indices[i].want);
	sqlite3_close(db);
}

/* ---- a queue ---- */

/* Recipient i: one in four messages has five, at five domains; a thousand domains, a hundred senders; one in a hundred is held. */
static void
make(uint32_t n)
{
	char addr[5][64], domain[5][32], sender[32], reply[64];
	struct index_rcpt r[5];
	struct index_msg m;
	uint32_t id, i;

	for (id = 1; total < n; id++) {
		snprintf(sender, sizeof sender, "sender%u@src.test", id % 100);
		snprintf(reply, sizeof reply, "4.4.1 connection to host%u refused", id % 50);
		m = (struct index_msg){ .id = id, .loc = { id / 1000, id }, .arrival = NOW - (int64_t)(id % 48) * HOUR / 2 - id, .sender = sender,
		    .tag = id % 10 == 0 ? "bulk" : "", .message_id = "<x@y>", .size = 1000 + id % 1000, .uid = id % 7 == 0 ? 1000 : -1,
		    .rcpts = r, .nrcpt = id % 4 == 0 ? 5 : 1 };
		for (i = 0; i < m.nrcpt; i++) {
			snprintf(domain[i], sizeof domain[i], "D%u.test", (id * 7 + i) % 1000);
			snprintf(addr[i], sizeof addr[i], "User%u@%s", id, domain[i]);
			r[i] = (struct index_rcpt){ .n = i, .addr = addr[i], .domain = domain[i], .action = "out",
			    .mark = id % 100 == 3 ? MARK_HELD : MARK_PENDING, .due = NOW + (int64_t)(id % 60) - 9, .attempts = 2, .code = 451,
			    .relay = "host.test[192.0.2.1]:25", .reply = reply };
		}
		total += m.nrcpt;
		if (!TEST_INT(index_put(ix, &m), 0))
			return;
		if (id % 10000 == 0)
			index_turn(ix, true);
	}
	index_turn(ix, true);
}

/* ---- questions ---- */

struct found { uint64_t recipients, messages, last, same; const struct select *s; struct idset *set; char domain[64]; bool ordered; };

static void
one(void *arg, const struct index_hit *h)
{
	struct found *f = arg;

	if (f->s != NULL && !select_match(f->s, h, NOW))
		return;
	f->recipients += h->weight;
	if (f->ordered ? h->id != f->last : idset_add(f->set, h->id))
		f->messages++;
	f->last = h->id;
	if (strcasecmp(f->domain, h->domain) != 0) {
		strlcpy(f->domain, h->domain, sizeof f->domain);
		f->same++;
	}
}

static double
ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static struct found
walk(struct index_walk w, const struct select *s, const char *name)
{
	struct found f = { .s = s, .last = UINT64_MAX, .set = xcalloc(1, sizeof *f.set), .ordered = select_ordered(&w) };
	double begin = ms(), longest = 0, before, took;
	bool more;

	do {
		before = ms();
		more = index_walk_page(ix, &w, PAGE, one, &f);
		took = ms() - before;
		longest = took > longest ? took : longest;
	} while (more);
	index_walk_end(&w);
	idset_free(f.set);
	free(f.set);
	if (getenv("WALK_N") != NULL)
		printf("%-28s %8llu recipients %8llu messages  %6.0f ms, longest page %.2f ms\n", name, (unsigned long long)f.recipients,
		    (unsigned long long)f.messages, ms() - begin, longest);
	return f;
}

static struct found
ask(const char *words)
{
	char *copy = xstrdup(words), *p = copy, *argv[8], *wrong;
	struct select s;
	struct found f = { .recipients = 0 };
	int argc = 0;

	while (argc < 8 && p != NULL)
		argv[argc++] = strsep(&p, " ");
	wrong = select_parse(&s, argv, argc);
	if (!TEST(wrong == NULL))
		fprintf(stderr, "%s: %s\n", words, wrong);
	else
		f = walk(select_walk(&s, WALK_NEED_KEY, NOW), &s, words);
	free(wrong);
	select_free(&s);
	free(copy);
	return f;
}

/* The same question without an index: everything is read and asked. */
static struct found
slowly(const char *words)
{
	char *copy = xstrdup(words), *p = copy, *argv[8];
	struct index_walk w = { .by = WALK_ALL, .need = WALK_NEED_BOTH };
	struct select s;
	struct found f;
	int argc = 0;

	while (argc < 8 && p != NULL)
		argv[argc++] = strsep(&p, " ");
	free(select_parse(&s, argv, argc));
	index_walk_begin(&w);
	f = walk(w, &s, "the same, all read");
	select_free(&s);
	free(copy);
	return f;
}

static void
questions(void)
{
	static const char *const v[] = { "all", "state=deferred", "state=active", "state=held", "from=SENDER7@src.test", "from=nobody@x",
	    "domain=d7.TEST", "domain=nowhere", "to=user1@d7.test", "to=USER4@d29.test", "age>6h", "age<6h", "age>20h age<22h",
	    "size>1500", "size<1001", "tag=bulk", "reason~HOST7", "domain=d7.test state=held", "from=sender7@src.test domain=d49.test",
	    "from=sender3@src.test state=held", "age>6h domain=d7.test", "tag=bulk state=deferred" };
	struct found a, b;
	size_t i;

	for (i = 0; i < sizeof v / sizeof v[0]; i++) {
		a = ask(v[i]);
		b = slowly(v[i]);
		if (!TEST_INT(a.recipients, b.recipients) || !TEST_INT(a.messages, b.messages))
			fprintf(stderr, "%s\n", v[i]);
	}
	TEST_INT(ask("all").recipients, total);
	TEST_INT(ask("to=user1@d7.test").recipients, 1);
	TEST_INT(ask("id=0000000000008 0000000000001 id=0000000000008 0000000000004").messages, 3);
	TEST_INT(ask("0000000000008 0000000000001 to=user1@d7.test").recipients, 1);
	TEST(ask("domain=d7.test").recipients > 0 && ask("state=held").recipients > 0 && ask("age>6h").recipients > 0);
}

static void
domains(void)
{
	struct index_walk w = { .by = WALK_DOMAINS, .need = WALK_NEED_KEY };
	struct found f;

	index_walk_begin(&w);
	f = walk(w, NULL, "by domain");
	TEST_INT(f.recipients, total);
	TEST_INT(f.same, 1000);
	w = (struct index_walk){ .by = WALK_ALL, .need = WALK_NEED_RCPT };
	index_walk_begin(&w);
	TEST_INT(walk(w, NULL, "by host, reason").recipients, total);
	w = (struct index_walk){ .by = WALK_ALL, .need = WALK_NEED_MSG };
	index_walk_begin(&w);
	TEST_INT(walk(w, NULL, "by age").recipients, total);
}

/* One message of very many recipients does not stop a walk for long, and is read once. */
static void
large(void)
{
	uint32_t n = 20000, i;
	struct index_rcpt *r = xcalloc(n, sizeof *r);
	struct index_msg m = { .id = 1ULL << 62, .loc = { 1, 64 }, .arrival = NOW - 9 * 24 * HOUR, .sender = "large@src.test", .tag = "",
	    .message_id = "", .size = 10, .uid = -1, .rcpts = r, .nrcpt = n };

	for (i = 0; i < n; i++)
		r[i] = (struct index_rcpt){ .n = i, .addr = i % 2 ? "a@odd.test" : "a@even.test", .domain = i % 2 ? "odd.test" : "even.test",
		    .action = "out", .mark = MARK_PENDING, .due = NOW + 5, .reply = "" };
	TEST_INT(index_put(ix, &m), 0);
	index_turn(ix, true);
	TEST_INT(ask("from=large@src.test domain=odd.test").recipients, n / 2);
	TEST_INT(ask("from=large@src.test").messages, 1);
	TEST_INT(ask("age>8d state=deferred").recipients, n);
	TEST_INT(ask("domain=odd.test").messages, 1);
	index_delete(ix, m.id);
	free(r);
}

static void
words(void)
{
	static const char *const bad[] = { "id=zz", "age>x", "size<", "state=late", "frob", "colour=red", "to=", "to=<>", "domain=", "domain=@",
	    "tag=", "reason~", "age>", NULL };
	char *ok[] = { (char []){ "--dry-run" }, (char []){ "from=<>" }, (char []){ "domain=@x.test" } }, *wrong;
	char *twice[] = { (char []){ "from=a" }, (char []){ "from=b" } };
	struct select s;
	size_t i;

	for (i = 0; bad[i] != NULL; i++) {
		char *argv[] = { xstrdup(bad[i]) };

		wrong = select_parse(&s, argv, 1);
		if (!TEST(wrong != NULL))
			fprintf(stderr, "%s\n", bad[i]);
		free(wrong);
		select_free(&s);
		free(argv[0]);
	}
	TEST(select_parse(&s, ok, 1) == NULL && s.dry && !s.any && s.whole);
	TEST(select_parse(&s, ok, 3) == NULL && s.dry && s.any && !s.whole);
	TEST_STR(s.from, "");
	TEST_STR(s.domain, "x.test");
	select_free(&s);
	wrong = select_parse(&s, twice, 2);
	TEST_STR(wrong, "from= was given twice");
	free(wrong);
	select_free(&s);
}

static void
set(void)
{
	struct idset *s = xcalloc(1, sizeof *s);
	struct idset_at at = { 0, 0 };
	uint64_t id, n = 0;

	for (id = 0; id < 30000; id++)
		TEST(idset_add(s, 1 + id % 20000) == (id < 20000));
	while (idset_next(s, &at, &id))
		n += id <= 20000;
	TEST_INT(n, 20000);
	idset_free(s);
	free(s);
}

int
main(void)
{
	const char *n = getenv("WALK_N");

	kit_begin();
	kit_shell("mkdir quarantine");
	plans();
	words();
	set();
	ix = index_open();
	make(n != NULL ? (uint32_t)atoi(n) : 6000);
	questions();
	domains();
	large();
	index_close(ix);
	kit_end();
	return test_end("walk");
}
