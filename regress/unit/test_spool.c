/* test_spool: messages in, marks, reading back, segments going, and what start-up finds after an orderly end.
   links: queue/spool/spool.c queue/spool/segment.c queue/spool/seg_make.c queue/spool/record.c queue/spool/mark_code.c queue/spool/body.c queue/spool/batch.c queue/spool/commit.c queue/spool/mark.c queue/spool/sync.c queue/spool/helper.c queue/spool/order.c queue/spool/scan.c queue/spool/scan_start.c queue/spool/reclaim.c queue/spool/compact.c queue/spool/space.c queue/spool/lock.c */
#include "test.h"
#include "spoolkit.h"

#define N	40
#define BIG	(300 * 1024)

static struct kit_msg msg[N];
static uint32_t gone[64];
static size_t ngone;

static void
note_gone(void *arg, uint32_t seg)
{
	(void)arg;
	gone[ngone++ % 64] = seg;
}

static void
make(size_t i, size_t len, uint32_t nrcpt)
{
	msg[i] = (struct kit_msg){ .id = i + 1, .len = len, .nrcpt = nrcpt };
}

/* What was committed is read back the same. */
static void
check(struct spool *s, const struct kit_msg *m)
{
	struct spool_env e;
	char text[64];
	int fd;

	if (!TEST_INT(spool_read_env(s, m->loc, &e), 0))
		return;
	snprintf(text, sizeof text, "sender%llu@example.org", (unsigned long long)m->id);
	TEST_STR(e.env.sender, text);
	TEST_INT(e.env.id, m->id);
	TEST_INT(e.env.rcpts_n, m->nrcpt);
	TEST_INT(e.body_len, m->len);
	TEST_INT(e.body_off, m->body_off);
	TEST_INT(e.env.flags, m->flags);
	TEST_INT(memcmp(e.marks, m->marks, m->nrcpt < 64 ? m->nrcpt : 64), 0);
	spool_env_free(&e);
	fd = spool_fd(s, m->loc.seg);
	TEST(fd != -1 && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
	TEST(kit_body_right(fd, m->body_off, m));
	close(fd);
}

static void
one_group(struct spool *s)
{
	struct spool_stat before, after;
	size_t i;

	spool_stat(s, &before);
	for (i = 0; i < 20; i++) {
		make(i, 500 * i, 1 + i % 3);
		kit_commit(s, &msg[i]);
	}
	TEST(!msg[0].done);
	kit_settle(s, msg, 20);
	spool_stat(s, &after);
	TEST_INT(after.commits - before.commits, 20);
	TEST_INT(after.syncs - before.syncs, 2);	/* the segment and, for its first group, the directory */
	TEST_INT(after.memory, 0);
	for (i = 0; i < 20; i++) {
		TEST_INT(msg[i].error, 0);
		check(s, &msg[i]);
		TEST(i == 0 || msg[i].loc.off > msg[i - 1].loc.off);
	}
}

static void
apart(struct spool *s)
{
	make(20, BIG, 2);
	make(21, 100, 20000);		/* an envelope beyond any record that shares */
	make(22, 131072, 1);		/* just fits memory */
	make(23, 131073, 1);
	kit_commit(s, &msg[20]);
	kit_commit(s, &msg[21]);
	kit_commit(s, &msg[22]);
	kit_commit(s, &msg[23]);
	kit_settle(s, msg, 24);
	check(s, &msg[20]);
	check(s, &msg[21]);
	check(s, &msg[22]);
	check(s, &msg[23]);
	TEST(msg[20].loc.seg != msg[0].loc.seg && msg[21].loc.seg != msg[20].loc.seg);
	TEST_INT(msg[22].loc.seg, msg[0].loc.seg);
	TEST(msg[23].loc.seg != msg[0].loc.seg);
	TEST_INT(msg[20].loc.off, 64);
}

static void
marking(struct spool *s)
{
	struct loc wrong = msg[3].loc;

	kit_mark(s, &msg[2], 1, MARK_DELIVERED);
	kit_mark(s, &msg[2], 2, MARK_HELD);
	kit_mark(s, &msg[20], 0, MARK_BOUNCED);
	check(s, &msg[2]);
	check(s, &msg[20]);
	TEST_INT(spool_mark(s, msg[2].loc, 3, MARK_DELIVERED), -1);
	TEST_INT(errno, EINVAL);
	TEST_INT(spool_marks(s, msg[2].loc, 1, (const uint8_t *)"ppp", 3), -1);
	TEST_INT(errno, EINVAL);
	wrong.off += 7;
	TEST_INT(spool_mark(s, wrong, 0, MARK_DELIVERED), -1);
	TEST_INT(errno, EBADMSG);
	wrong.seg = 4711;
	TEST_INT(spool_mark(s, wrong, 0, MARK_DELIVERED), -1);
	TEST_INT(errno, ENOENT);
	check(s, &msg[2]);
	check(s, &msg[3]);
}

/* Aborted and refused ones leave nothing behind. */
static void
aborted(struct spool *s)
{
	size_t before = kit_count("tmp");
	struct body *b;
	struct kit_msg none = { .id = 99, .len = 10, .nrcpt = 0 };

	make(30, BIG, 1);
	b = kit_body(s, &msg[30]);
	TEST_INT(kit_count("tmp"), before + 1);
	body_free(b);
	kit_env_free(msg[30].env);
	TEST_INT(kit_count("tmp"), before);
	kit_commit(s, &none);
	kit_settle(s, &none, 1);
	TEST_INT(none.error, EINVAL);
}

/* A thousand clients in mid-message stay within the budget. */
static void
budget(struct spool *s)
{
	static struct body *b[1200];
	struct p_env *env = kit_env(77, 1);
	uint8_t *bytes = kit_bytes(77, 60000);
	struct spool_stat st;
	size_t i;

	for (i = 0; i < 1200; i++) {
		b[i] = body_new(s, env);
		body_add(b[i], bytes, 60000);
		TEST(b[i]->error == 0 || b[i]->error == EMFILE);
	}
	spool_stat(s, &st);
	TEST(st.memory <= 64 * 1024 * 1024 && st.memory > 50 * 1024 * 1024);
	for (i = 0; i < 1200; i++)
		body_free(b[i]);
	spool_stat(s, &st);
	TEST_INT(st.memory, 0);
	kit_env_free(env);
	free(bytes);
}

static void
finish(struct spool *s, struct kit_msg *m)
{
	uint32_t i;

	for (i = 0; i < m->nrcpt; i++)
		kit_mark(s, m, i, MARK_DELIVERED);
	spool_final(s, m->loc);
}

/* Enough to fill segments; those that are done go, and are used again. */
static void
rolling(struct spool *s)
{
	static struct kit_msg big[700];
	uint32_t first = msg[0].loc.seg;
	size_t i, spares;

	for (i = 0; i < 700; i++) {
		big[i] = (struct kit_msg){ .id = 1000 + i, .len = 60000, .nrcpt = 1 };
		kit_commit(s, &big[i]);
		if (i % 50 == 49) {
			kit_settle(s, big, i + 1);
			spool_reclaim(s);
		}
	}
	TEST(big[699].loc.seg > big[0].loc.seg + 1);
	for (i = 0; i < 24; i++)
		if (i != 5)
			finish(s, &msg[i]);
	for (i = 0; i < 600; i++)
		finish(s, &big[i]);
	ngone = 0;
	for (i = 0; i < 8; i++)
		spool_reclaim(s);
	TEST(ngone >= 3);
	for (i = 0; i < ngone; i++)
		TEST(gone[i] != first && gone[i] != big[699].loc.seg);
	spares = kit_count("tmp");
	TEST(spares >= 1 && spares <= 4);
	check(s, &msg[5]);
	/* The counter is wrong, the marks are right: it stays. */
	spool_final(s, msg[5].loc);
	spool_reclaim(s);
	check(s, &msg[5]);
	finish(s, &big[699]);
}

/* After an orderly end: what is not final is found, with its marks; nothing else lives. */
static void
again(void)
{
	struct kit_found f = { msg, N, 0, 0 };
	struct spool *s;
	size_t i;

	make(30, 100, 1);
	for (i = 0; i < N; i++)
		msg[i].found = 0;
	s = kit_open(&f);
	TEST_INT(msg[5].found, 1);
	TEST(msg[5].right);
	TEST_INT(msg[30].found, 0);
	TEST(kit_count("tmp") == 0);
	TEST_INT(kit_count("quarantine"), 0);
	TEST(f.strangers >= 99);
	kit_commit(s, &msg[30]);
	kit_settle(s, &msg[30], 1);
	check(s, &msg[30]);
	/* Live counts are not set: nothing with a pending mark may go. */
	for (i = 0; i < 8; i++)
		spool_reclaim(s);
	check(s, &msg[5]);
	check(s, &msg[30]);
	spool_close(s);
}

static void
progress(void *arg, uint32_t seg, const uint8_t rnd[16], uint64_t end)
{
	uint64_t *sum = arg;

	(void)rnd;
	TEST(seg > 0 && end > 64);
	(*sum)++;
}

int
main(void)
{
	struct kit_found f = { msg, N, 0, 0 };
	struct spool *s;
	uint64_t n = 0;

	kit_begin();
	s = kit_open(&f);
	spool_on_gone(s, note_gone, NULL);
	spool_reclaim(s);
	TEST(!spool_low(s));
	one_group(s);
	apart(s);
	spool_progress(s, progress, &n);
	TEST_INT(n, 4);
	spool_progress(s, progress, &n);
	TEST_INT(n, 4);
	marking(s);
	aborted(s);
	budget(s);
	rolling(s);
	spool_close(s);
	again();
	kit_end();
	return test_end("spool");
}
