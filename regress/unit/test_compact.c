/* test_compact: a segment that is held by one message of many is given back; what is in memory is left alone; two copies become one.
   links: queue/spool/spool.c queue/spool/segment.c queue/spool/seg_make.c queue/spool/record.c queue/spool/mark_code.c queue/spool/body.c queue/spool/batch.c queue/spool/commit.c queue/spool/mark.c queue/spool/sync.c queue/spool/helper.c queue/spool/order.c queue/spool/scan.c queue/spool/scan_start.c queue/spool/reclaim.c queue/spool/compact.c queue/spool/copies.c queue/spool/lock.c */
#include "spool/copies.h"
#include "spool/spool_priv.h"
#include "test.h"
#include "spoolkit.h"

#define N		3000
#define EVERY		90	/* one in so many is deferred: at least one in each segment */
#define TURNS		4000

static struct kit_msg msg[N];
static bool in_memory[N];
static uint64_t low_room;		/* while space is low: 1 */

/* ---- in place of space.c ---- */

uint64_t
space_segment_bytes(void)
{
	return SEG_BYTES_MIN;
}

void
space_check(struct spool *s)
{
	s->roomy = low_room == 0;
	s->low = low_room != 0;
}

bool
spool_low(struct spool *s)
{
	space_check(s);
	return s->low;
}

/* ---- */

static bool
may_move(void *arg, uint64_t id, struct loc loc)
{
	(void)arg;
	return !in_memory[id - 1] && msg[id - 1].loc.seg == loc.seg && msg[id - 1].loc.off == loc.off;
}

static unsigned n_moved;

static void
moved(void *arg, uint64_t id, struct loc from, struct loc to)
{
	struct kit_msg *m = &msg[id - 1];

	(void)arg;
	TEST(from.seg == m->loc.seg && from.off == m->loc.off);
	TEST(!in_memory[id - 1]);
	m->loc = to;
	n_moved++;
}

static const struct spool_movers movers = { may_move, moved, NULL };

static void
turns(struct spool *s, unsigned n)
{
	while (n-- > 0) {
		s->overdue = true;
		if (!sync_running(s->sync))
			ev_wake();
		ev_turn();
		spool_turn(s);
		space_check(s);
		spool_compact(s, &movers);
		spool_reclaim(s);
	}
}

static void
fill(struct spool *s, size_t from, size_t n, size_t len)
{
	size_t i, k;

	for (i = from; i < from + n; i += k) {
		for (k = 0; k < 50 && i + k < from + n; k++) {
			msg[i + k] = (struct kit_msg){ .id = i + k + 1, .len = len, .nrcpt = 2 };
			kit_commit(s, &msg[i + k]);
		}
		kit_settle(s, msg + i, k);
	}
}

static bool
stays(size_t i)
{
	return i % EVERY == EVERY / 2;
}

/* All but one in EVERY are done; those had one recipient delivered, the other waits. */
static void
deliver_most(struct spool *s, size_t from, size_t n)
{
	size_t i;

	for (i = from; i < from + n; i++) {
		kit_mark(s, &msg[i], 0, MARK_DELIVERED);
		if (stays(i))
			continue;
		kit_mark(s, &msg[i], 1, MARK_BOUNCED);
		spool_final(s, msg[i].loc);
	}
}

static size_t
wrong(struct spool *s)
{
	struct spool_env e;
	size_t i, bad = 0;
	int fd;

	for (i = 0; i < N; i++) {
		if (msg[i].id == 0 || !stays(i))
			continue;
		if (spool_read_env(s, msg[i].loc, &e) == -1) {
			bad++;
			continue;
		}
		fd = spool_fd(s, msg[i].loc.seg);
		bad += e.env.id != msg[i].id || memcmp(e.marks, msg[i].marks, 2) != 0 || !kit_body_right(fd, e.body_off, &msg[i]);
		close(fd);
		spool_env_free(&e);
	}
	return bad;
}

/* ---- starting again ---- */

static struct copies *copies;
static bool row[N];

static void
note(void *arg, const struct spool_record *r)
{
	struct kit_msg *m = &msg[r->env.id - 1];

	(void)arg;
	copies_note(copies, r->env.id, r->loc, r->doubtful, r->damaged);
	if (!marks_live(r->marks, r->env.rcpts_n))
		return;
	row[r->env.id - 1] = true;
	m->found++;
	m->loc = r->loc;
}

static bool
place(void *arg, uint64_t id, struct loc *loc)
{
	(void)arg;
	*loc = msg[id - 1].loc;
	return row[id - 1];
}

static void
settled(void *arg, uint64_t id, struct loc loc, const struct spool_env *se)
{
	(void)arg;
	row[id - 1] = se != NULL;
	msg[id - 1].loc = loc;
}

/* -> rows */
static size_t
start_again(struct spool **s)
{
	struct spool_hooks hooks = { kit_scanned, NULL, note, kit_segment, &(struct kit_found){ msg, N, 0, 0 } };
	size_t i, n = 0;

	for (i = 0; i < N; i++) {
		msg[i].found = 0;
		row[i] = false;
	}
	copies = copies_new();
	*s = spool_open(&hooks);
	copies_settle(copies, *s, &(struct copies_hooks){ place, settled, NULL });
	copies_free(copies);
	spool_settled(*s);
	for (i = 0; i < N; i++)
		n += row[i];
	return n;
}

static size_t
stayed(size_t upto)
{
	size_t i, n = 0;

	for (i = 0; i < upto; i++)
		n += stays(i);
	return n;
}

/* ---- the tests ---- */

static void
test_given_back(void)
{
	struct kit_found f = { msg, N, 0, 0 };
	struct spool *s = kit_open(&f);
	size_t before;

	s->compact_age = 3000;
	fill(s, 0, N, 2000);
	deliver_most(s, 0, N);
	turns(s, 50);
	before = kit_count("seg");
	TEST(before >= N / EVERY - 10);	/* young */
	TEST_INT(n_moved, 0);
	s->compact_age = 0;
	usleep(300 * 1000);
	turns(s, TURNS);
	fprintf(stderr, "%zu segments became %zu\n", before, kit_count("seg"));
	TEST(kit_count("seg") <= 4);
	TEST(n_moved >= stayed(N) - 2);
	TEST_INT(wrong(s), 0);
	TEST(s->emptied > 10);
	/* Marks go to where they are now. */
	kit_mark(s, &msg[EVERY / 2], 1, MARK_DELIVERED);
	spool_final(s, msg[EVERY / 2].loc);
	spool_close(s);
	TEST_INT(start_again(&s), stayed(N) - 1);
	TEST_INT(wrong(s), 0);
	spool_close(s);
	kit_shell("rm -rf seg");
	memset(msg, 0, sizeof msg);
}

static void
test_in_memory(void)
{
	struct kit_found f = { msg, N, 0, 0 };
	struct spool *s = kit_open(&f);
	struct loc before[N];
	size_t i;

	s->compact_age = 0;
	fill(s, 0, 500, 2000);
	for (i = 0; i < 500; i++) {
		in_memory[i] = stays(i);
		before[i] = msg[i].loc;
	}
	deliver_most(s, 0, 500);
	turns(s, 300);
	for (i = 0; i < 500; i++)
		if (stays(i))
			TEST(msg[i].loc.seg == before[i].seg && msg[i].loc.off == before[i].off);
	memset(in_memory, 0, sizeof in_memory);
	turns(s, TURNS);
	TEST_INT(wrong(s), 0);
	TEST(msg[EVERY / 2].loc.seg != before[EVERY / 2].seg);
	spool_close(s);
	kit_shell("rm -rf seg");
	memset(msg, 0, sizeof msg);
}

/* It gets a mark while its copy is being synced: the copy is void. Or it would be, but a kill came first: the mark counts all the same. */
static void
test_touched(enum mark mark, bool killed)
{
	struct kit_found f = { msg, N, 0, 0 };
	struct spool *s = kit_open(&f);
	struct loc before, copy;
	size_t at = EVERY / 2;
	int i;

	s->compact_age = 0;
	fill(s, 0, 200, 2000);
	before = msg[at].loc;
	deliver_most(s, 0, 200);
	for (i = 0; i < TURNS && TAILQ_EMPTY(&s->small); i++) {
		s->overdue = true;
		if (!sync_running(s->sync))
			ev_wake();
		ev_turn();
		spool_turn(s);
		spool_compact(s, &movers);
	}
	TEST(!TAILQ_EMPTY(&s->small));
	copy = (struct loc){ s->cur->no, s->cur->end };
	kit_mark(s, &msg[at], 1, mark);
	turns(s, 5);
	TEST(msg[at].loc.seg == before.seg && msg[at].loc.off == before.off);
	if (killed)
		TEST_INT(spool_mark(s, copy, 0, MARK_DELIVERED), 0);	/* as it was written */
	spool_close(s);
	msg[at].loc = (struct loc){ 0, 0 };
	TEST_INT(start_again(&s), stayed(200) - mark_final(mark));
	TEST(row[at] == !mark_final(mark));
	if (mark == MARK_HELD && !killed)
		TEST_INT(wrong(s), 0);
	spool_close(s);
	TEST_INT(start_again(&s), stayed(200) - mark_final(mark));
	spool_close(s);
	kit_shell("rm -rf seg");
	memset(msg, 0, sizeof msg);
}

/* The last thing that the disk saw was the copy: what was done to the old one since is not forgotten, whichever was done. */
static void
test_both(void)
{
	struct kit_found f = { msg, N, 0, 0 };
	struct spool *s = kit_open(&f);
	struct loc old;
	size_t at = EVERY / 2, third = at + EVERY;

	s->compact_age = 0;
	fill(s, 0, 300, 2000);
	old = msg[at].loc;
	deliver_most(s, 0, 300);
	spool_turn(s);
	kit_shell("rm -rf saved && cp -a seg saved");	/* the old segments */
	turns(s, TURNS);
	TEST(msg[at].loc.seg != old.seg);
	kit_mark(s, &msg[at], 1, MARK_DELIVERED);
	kit_mark(s, &msg[third], 1, MARK_HELD);
	spool_close(s);
	/* Unlinked, yet there again, and no byte of it says that it was emptied but the one that was synced first. */
	kit_shell("for f in saved/*; do test -e seg/${f##*/} || { cp -a $f seg/; printf ! | dd of=seg/${f##*/} bs=1 seek=38 "
	    "conv=notrunc status=none; }; done");
	TEST_INT(start_again(&s), stayed(300) - 1);
	TEST(!row[at]);
	TEST_INT(wrong(s), 0);
	spool_close(s);
	TEST_INT(start_again(&s), stayed(300) - 1);
	TEST(!row[at]);
	TEST_INT(wrong(s), 0);
	spool_close(s);
	kit_shell("rm -rf seg saved");
	memset(msg, 0, sizeof msg);
}

/* Short of space even what is young is emptied, into what is there: no new file is needed. */
static void
test_low(void)
{
	struct kit_found f = { msg, N, 0, 0 };
	struct spool *s = kit_open(&f);

	fill(s, 0, 1500, 2000);
	deliver_most(s, 0, 1500);
	low_room = 1;
	turns(s, TURNS);
	TEST(kit_count("seg") <= 4);
	TEST_INT(kit_count("tmp"), 0);
	TEST_INT(wrong(s), 0);
	low_room = 0;
	spool_close(s);
}

int
main(void)
{
	kit_begin();
	test_given_back();
	test_in_memory();
	test_touched(MARK_HELD, false);
	test_touched(MARK_BOUNCED, false);
	test_touched(MARK_BOUNCED, true);
	test_both();
	test_low();
	kit_end();
	return test_end("compact");
}
