/* test_recover: start-up after a kill and after damage: what was answered is found, unless the damage lies on it.
   links: queue/spool/spool.c queue/spool/segment.c queue/spool/seg_make.c queue/spool/record.c queue/spool/mark_code.c queue/spool/body.c queue/spool/batch.c queue/spool/commit.c queue/spool/mark.c queue/spool/sync.c queue/spool/helper.c queue/spool/order.c queue/spool/scan.c queue/spool/scan_start.c queue/spool/reclaim.c queue/spool/compact.c queue/spool/space.c queue/spool/lock.c */
#include <sys/mman.h>
#include <sys/wait.h>
#include "base/crc32c.h"
#include "spool/record.h"
#include "test.h"
#include "spoolkit.h"

#define N	24
#define OWN	21		/* the message that has a segment of its own */
#define ROUNDS	40

static struct kit_msg *msg;	/* shared with the child that writes them */
static uint64_t end_of[N];	/* of each record */
static char shared[32], own[32];

/* A run that is killed: messages, some marks, one that was never answered. */
static void
write_and_die(void)
{
	struct kit_found f = { msg, 0, 0, 0 };
	struct spool *s = kit_open(&f);
	struct kit_msg *m;
	size_t i;

	for (i = 0; i < N; i++) {
		m = &msg[i];
		*m = (struct kit_msg){ .id = i + 1, .len = i == OWN ? 200000 : 300 + 700 * i, .nrcpt = 1 + i % 4 };
		kit_commit(s, m);
		if (i % 5 == 4)
			kit_settle(s, msg, i + 1);
	}
	kit_settle(s, msg, N);
	kit_mark(s, &msg[3], 1, MARK_DELIVERED);
	kit_mark(s, &msg[6], 0, MARK_HELD);
	kit_mark(s, &msg[7], 3, MARK_EXPANDED);
	kit_mark(s, &msg[OWN], 0, MARK_BOUNCED);
	_exit(0);
}

static void
run_and_die(void)
{
	pid_t pid = fork();
	int status;

	if (pid == -1)
		fatal("fork");
	if (pid == 0)
		write_and_die();
	waitpid(pid, &status, 0);
	TEST(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static uint64_t
record_end(const struct kit_msg *m)
{
	return m->body_off + m->len;
}

/* A fresh copy of what the killed run left. */
static void
fresh(void)
{
	kit_shell("rm -rf work && cp -a --sparse=always image work");
	if (chdir("work") == -1)
		fatal("chdir");
}

static void
forget(void)
{
	size_t i;

	for (i = 0; i < N; i++) {
		msg[i].found = 0;
		msg[i].right = false;
	}
}

static void
damage(const char *file, uint64_t off, const void *p, size_t n)
{
	int fd = open(file, O_WRONLY);

	if (fd == -1 || pwrite(fd, p, n, (off_t)off) != (ssize_t)n)
		fatal("%s", file);
	close(fd);
}

static void
zero(const char *file, uint64_t off, uint64_t n)
{
	void *p = xcalloc(n, 1);

	damage(file, off, p, n);
	free(p);
}

static void
flip(const char *file, uint64_t off)
{
	uint8_t c;
	int fd = open(file, O_RDWR);

	if (fd == -1 || pread(fd, &c, 1, (off_t)off) != 1)
		fatal("%s", file);
	c ^= 0x20;
	if (pwrite(fd, &c, 1, (off_t)off) != 1)
		fatal("%s", file);
	close(fd);
}

/* Recovers twice (the second time must find the same) and checks that all are there but those of the set. */
static void
expect(const char *what, uint32_t lost, size_t aside)
{
	struct kit_found f = { msg, N, 0, 0 };
	struct spool *s;
	int round;
	size_t i;

	for (round = 0; round < 2; round++) {
		forget();
		s = kit_open(&f);
		for (i = 0; i < N; i++) {
			bool right = lost & 1u << i ? msg[i].found <= 1 :
			    msg[i].found == 1 && msg[i].right;
			if (!TEST(right))
				fprintf(stderr, "\t%s, round %d: message %zu found %u, right %d\n", what, round, i, msg[i].found,
				    msg[i].right);
		}
		if (!TEST(kit_count("quarantine") >= aside))
			fprintf(stderr, "\t%s: nothing in quarantine\n", what);
		for (i = 0; i < 4; i++)		/* without live counts: nothing pending may go */
			spool_reclaim(s);
		spool_close(s);
	}
	if (chdir("..") == -1)
		fatal("chdir");
}

static void
whole(void)
{
	fresh();
	expect("nothing damaged", 0, 0);
}

static void
one_record(void)
{
	const struct kit_msg *m = &msg[9];

	fresh();
	flip(shared, m->loc.off + 1);
	expect("magic", 1 << 9, 1);
	fresh();
	flip(shared, m->loc.off + 22);
	expect("number of recipients", 1 << 9, 1);
	fresh();
	flip(shared, m->loc.off + 31);
	expect("length", 1 << 9, 1);
	fresh();
	flip(shared, m->body_off - 5);
	expect("envelope", 1 << 9, 1);
	fresh();
	flip(shared, m->body_off + m->len - 1);
	expect("message", 1 << 9, 1);
	TEST(msg[9].found == 1 && !msg[9].right);
	fresh();
	zero(shared, m->loc.off, 4);
	zero(shared, msg[10].loc.off + 50, 1000);
	expect("two in a row", 3 << 9, 1);
	fresh();
	flip(own, 3000);
	expect("message of its own", 1 << OWN, 1);
	fresh();
	flip(own, 70);
	expect("header of a message of its own", 1 << OWN, 1);
}

static void
ranges(void)
{
	fresh();
	zero(shared, msg[4].loc.off + 100, msg[8].loc.off - msg[4].loc.off);
	expect("zeros over four", 0x1f << 4, 1);
	fresh();
	zero(shared, 64, 10);
	expect("first record", 1 << 0, 1);
	fresh();
	if (truncate(shared, (off_t)(msg[N - 1].loc.off + 100)) == -1)
		fatal("truncate");
	expect("cut in the last", 1u << (N - 1), 0);
	fresh();
	if (truncate(shared, (off_t)(msg[12].loc.off + 20)) == -1)
		fatal("truncate");
	expect("cut in the middle", 0xfff << 12 & ~(1u << OWN), 0);
	fresh();
	if (truncate(own, 100000) == -1)
		fatal("truncate");
	expect("own one cut", 1 << OWN, 1);
	fresh();
	flip(shared, msg[N - 1].body_off + 1);	/* as a torn write looks */
	expect("torn tail", 1u << (N - 1), 1);
	TEST_INT(msg[N - 1].found, 1);		/* it may have been answered: it is there to be held */
}

static void
headers(void)
{
	fresh();
	flip(shared, 12);
	expect("segment header", 0, 0);
	fresh();
	zero(shared, 0, 64);
	expect("segment header zeroed", 0, 0);
	fresh();
	flip(own, 0);
	expect("own one's segment header", 0, 0);
	fresh();
	zero(own, 0, 100);
	expect("own one's headers", 1 << OWN, 1);
	TEST(kit_count("work/quarantine") == 1);
}

static void
leftovers(void)
{
	fresh();
	kit_shell("head -c 5000 /dev/zero >seg/000000f0; : >seg/000000f1; echo hallo >seg/000000f2; mkdir seg/000000f3;"
	    "echo x >seg/readme; ln -s /etc/passwd seg/000000f4; echo m >tmp/m-1; head -c 300000 /dev/zero >tmp/s-2; mkfifo seg/000000f5");
	expect("strange files", 0, 1);
	TEST(access("work/seg/000000f0", F_OK) == -1 && access("work/seg/000000f1", F_OK) == -1);
	TEST(access("work/seg/readme", F_OK) == 0);
	TEST_INT(kit_count("work/tmp"), 0);
	fresh();
	kit_shell("rm -rf tmp quarantine lock");
	expect("missing folders", 0, 0);
}

/* The same spool as the version before would have left it. */
static void
rewrite(const char *file)
{
	static const uint8_t codes[] = { 0x55, 0x5a, 0x33, 0x3c, 0x66, 0x69, 0x96 };
	int fd = open(file, O_RDWR);
	uint8_t head[SEG_HEAD], mark;
	struct buf crc = BUF_INIT;
	uint64_t at;
	size_t i, k;

	if (fd == -1 || pread(fd, head, sizeof head, 0) != SEG_HEAD)
		fatal("%s", file);
	head[8] = 1;
	put_u32(&crc, crc32c(0, head, 34));
	memcpy(head + 34, buf_data(&crc), 4);
	damage(file, 0, head, sizeof head);
	for (i = 0; i < N; i++)
		for (k = 0; strcmp(file, i == OWN ? own : shared) == 0 && k < msg[i].nrcpt; k++) {
			at = msg[i].loc.off + REC_HEAD + k;
			if (pread(fd, &mark, 1, (off_t)at) != 1 || memchr(codes, mark, sizeof codes) == NULL)
				fatalx("message %zu: mark %02x", i, mark);
			damage(file, at, &"phdberm"[(const uint8_t *)memchr(codes, mark, sizeof codes) - codes], 1);
		}
	buf_free(&crc);
	close(fd);
}

static void
of_the_version_before(void)
{
	fresh();
	rewrite(shared);
	rewrite(own);
	expect("letters for marks", 0, 0);
	fresh();
	rewrite(shared);
	flip(shared, 12);
	expect("letters for marks behind a damaged header", 0, 0);
}

/* One wrong bit in each mark. */
static void
marks_damaged(void)
{
	size_t i;

	fresh();
	for (i = 0; i < N; i++)
		flip(i == OWN ? own : shared, msg[i].loc.off + REC_HEAD);
	expect("a bit of each mark", 0, 0);
}

static bool
overlaps(const char *file, uint64_t from, uint64_t to, size_t i)
{
	bool mine = strcmp(file, i == OWN ? own : shared) == 0;

	return mine && from < end_of[i] && msg[i].loc.off < to;
}

/* Damage of any size anywhere: what it does not touch is found. */
static void
at_random(void)
{
	static const uint64_t sizes[] = { 1, 1, 7, 100, 4096, 10000 };
	uint64_t rnd = 42, size, off, limit, k;
	uint32_t lost;
	char what[64];
	uint8_t *junk = xmalloc(10000);
	const char *file;
	size_t i, round;

	for (round = 0; round < ROUNDS; round++) {
		rnd = rnd * 6364136223846793005u + 1442695040888963407u;
		file = round % 6 == 5 ? own : shared;
		size = sizes[rnd >> 33 & 3 ? rnd >> 40 & 3 : 4 + (rnd >> 50 & 1)];
		limit = strcmp(file, own) == 0 ? end_of[OWN] : end_of[N - 1];
		off = 64 + (rnd >> 20) % (limit - 64 - size);
		for (k = 0; k < size; k++)
			junk[k] = (uint8_t)(rnd >> k % 50);
		lost = 0;
		for (i = 0; i < N; i++)
			if (overlaps(file, off, off + size, i))
				lost |= 1u << i;
		snprintf(what, sizeof what, "%s: %llu at %llu", file, (unsigned long long)size, (unsigned long long)off);
		fresh();
		damage(file, off, junk, size);
		/* Junk over the last ones cannot be told from a torn write; over marks it reads as pending. */
		expect(what, lost, 0);
	}
	free(junk);
}

int
main(void)
{
	size_t i;

	kit_begin();
	msg = mmap(NULL, N * sizeof *msg, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	kit_shell("mkdir image");
	if (msg == MAP_FAILED || chdir("image") == -1)
		fatal("mmap");
	run_and_die();
	if (chdir("..") == -1)
		fatal("chdir");
	for (i = 0; i < N; i++)
		end_of[i] = record_end(&msg[i]);
	snprintf(shared, sizeof shared, "seg/%08x", msg[0].loc.seg);
	snprintf(own, sizeof own, "seg/%08x", msg[OWN].loc.seg);
	whole();
	one_record();
	ranges();
	headers();
	leftovers();
	of_the_version_before();
	marks_damaged();
	at_random();
	kit_end();
	return test_end("recover");
}
