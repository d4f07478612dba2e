/* test_index: rows, counts, due order, what survives which end, damage.
   links: queue/index/index.c queue/index/vfs.c queue/spool/helper.c queue/spool/order.c queue/index/rows.c queue/index/read.c queue/index/seg.c queue/index/files.c queue/spool/lock.c */
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <signal.h>
#include "index/index.h"
#include "index/priv.h"
#include "test.h"
#include "spoolkit.h"

#define BIG	30000
#define FULL	(9 * 1000 * 1000)	/* no file may be longer: a disk that is full */
#define LONG	3000			/* bytes of a reply; so MANY fill it */
#define MANY	4000

static const uint8_t rnd1[16] = "segment one....", rnd2[16] = "segment two....";

static const char *reply = "";

static void
put(struct index *ix, uint64_t id, uint32_t seg, uint32_t nrcpt, int64_t due)
{
	struct index_rcpt r[8];
	struct index_msg m = { .id = id, .loc = { seg, id * 1000 }, .arrival = 5, .sender = "a@b", .tag = "", .message_id = "<m@b>",
	    .size = 100, .uid = id % 2 == 0 ? 1000 : -1, .rcpts = r, .nrcpt = nrcpt };
	uint32_t i;

	for (i = 0; i < nrcpt; i++)
		r[i] = (struct index_rcpt){ .n = i, .addr = "r@example.org", .domain = "example.org", .action = "out",
		    .mark = MARK_PENDING, .due = due + i, .reply = reply };
	TEST_INT(index_put(ix, &m), 0);
}

static void
counts(struct index *ix, uint64_t messages, uint64_t recipients, uint64_t held)
{
	struct index_count c;

	index_counts(ix, &c);
	TEST_INT(c.messages, messages);
	TEST_INT(c.recipients, recipients);
	TEST_INT(c.held, held);
	TEST_INT(c.bytes, messages * 100);
}

/* A message whose recipients come and go in parts, in one transaction. */
static void
parts(struct index *ix)
{
	struct index_rcpt r = { .addr = "r@example.org", .domain = "example.org", .action = "out", .mark = MARK_PENDING, .due = 7,
	    .reply = "" };
	struct index_msg m = { .id = 77, .loc = { 1, 77000 }, .sender = "a@b", .tag = "", .message_id = "", .size = 100, .uid = -1,
	    .nrcpt = 3 };

	index_hold(ix, true);
	TEST_INT(index_put_msg(ix, &m), 0);
	for (r.n = 0; r.n < 3; r.n++)
		TEST_INT(index_put_rcpts(ix, 77, &r, 1), 0);
	index_hold(ix, false);
	index_turn(ix, true);
	counts(ix, 1, 3, 0);
	TEST_INT(index_delete_rcpts(ix, 77, 2), 0);
	counts(ix, 1, 1, 0);
	TEST_INT(index_delete(ix, 77), 0);
	counts(ix, 0, 0, 0);
}

static void
rows(struct index *ix)
{
	struct index_rcpt r = { .n = 1, .action = "out", .mark = MARK_PENDING, .due = 900, .attempts = 2, .code = 451, .reply = "4.3.0 \x01'\"; DROP",
	    .notified = true };
	struct index_msg *m;

	parts(ix);
	put(ix, 1, 1, 3, 100);
	put(ix, 2, 1, 1, 50);
	put(ix, 3, 2, 2, 0);
	counts(ix, 3, 6, 0);
	put(ix, 1, 1, 2, 100);		/* replaces */
	counts(ix, 3, 5, 0);
	TEST_INT(index_rcpt(ix, 1, &r), 0);
	counts(ix, 3, 5, 0);
	TEST_INT(index_rcpt(ix, 9, &r), 1);
	r.n = 0;
	r.mark = MARK_HELD;
	TEST_INT(index_rcpt(ix, 1, &r), 0);
	counts(ix, 3, 5, 1);
	m = index_get(ix, 1);
	if (!TEST(m != NULL))
		return;
	TEST(m->id == 1 && m->loc.seg == 1 && m->loc.off == 1000 && m->uid == -1 && m->size == 100 && m->nrcpt == 2);
	TEST_STR(m->message_id, "<m@b>");
	TEST_STR(m->rcpts[1].reply, "4.3.0 \x01'\"; DROP");
	TEST_STR(m->rcpts[1].domain, "example.org");
	TEST(m->rcpts[1].due == 900 && m->rcpts[1].attempts == 2 && m->rcpts[1].code == 451 && m->rcpts[1].notified);
	TEST_INT(m->rcpts[0].mark, MARK_HELD);
	index_msg_free(m);
	TEST(index_get(ix, 44) == NULL);
	TEST(index_has(ix, 2, (struct loc){ 1, 2000 }) && !index_has(ix, 2, (struct loc){ 1, 2001 }));
}

static size_t
due_of(struct index *ix, const char *action, int64_t at, uint64_t id, struct index_due *d, size_t max)
{
	return index_due(ix, action, "Example.ORG", at, id, d, max);
}

static void
due(struct index *ix)
{
	struct buf action = BUF_INIT, domain = BUF_INIT;
	struct index_count c;
	struct index_due d[8];
	int64_t first;

	TEST_INT(due_of(ix, "out", 0, 0, d, 8), 4);
	TEST(d[0].id == 3 && d[0].due == 0 && d[0].arrival == 5 && !d[0].tried && !d[0].unreached);
	TEST(d[1].id == 3 && d[1].due == 1 && d[2].id == 2 && d[3].id == 1 && d[3].due == 900 && d[3].tried && d[3].notified);
	TEST_INT(due_of(ix, "out", d[1].due, d[1].id, d, 1), 1);
	TEST_INT(d[0].id, 2);
	TEST_INT(due_of(ix, "in", 0, 0, d, 8), 0);
	TEST_INT(index_before(ix, "out", "example.org", 900, 1, 100), 3);
	TEST_INT(index_before(ix, "out", "example.org", 900, 1, 2), 2);
	TEST(index_next_dest(ix, &action, &domain, &first) && first == 0);
	TEST_STR(buf_str(&action), "out");
	TEST_STR(buf_str(&domain), "example.org");
	TEST(!index_next_dest(ix, &action, &domain, &first));
	index_counts(ix, &c);
	TEST_INT(c.tried, 1);
	buf_free(&action);
	buf_free(&domain);
}

static void
list(struct index *ix)
{
	struct index_msg *m;
	uint64_t id[8];

	TEST_INT(index_last_id(ix), 3);
	TEST_INT(index_ids(ix, 0, id, 8), 3);
	TEST(id[0] == 1 && id[2] == 3);
	TEST_INT(index_ids(ix, 1, id, 1), 1);
	TEST_INT(id[0], 2);
	m = index_part(ix, 3, 0, 1);
	TEST(m != NULL && m->nrcpt == 1 && m->rcpts[0].n == 0);
	index_msg_free(m);
	m = index_part(ix, 3, 1, 8);
	TEST(m != NULL && m->nrcpt == 1 && m->rcpts[0].n == 1);
	index_msg_free(m);
}

struct live { uint64_t one, two; };

static void
note_live(void *arg, uint32_t seg, uint64_t n)
{
	struct live *l = arg;

	if (seg == 1)
		l->one = n;
	else
		l->two = n;
}

static void
segments(struct index *ix)
{
	struct live l = { 9, 9 };

	index_live(ix, note_live, &l);
	TEST(l.one == 2 && l.two == 1);
	TEST_INT(index_segment(ix, 1, rnd1, 5000), 0);
	TEST_INT(index_segment(ix, 2, rnd2, 7000), 0);
	TEST_INT(index_scanned(ix, 1, rnd1), 5000);
	TEST_INT(index_scanned(ix, 3, rnd1), 0);
}

static void
final(struct index *ix)
{
	TEST_INT(index_rcpt_final(ix, 3, 0), 0);
	counts(ix, 3, 4, 1);
	TEST_INT(index_rcpt_final(ix, 3, 0), 0);
	TEST_INT(index_rcpt_final(ix, 3, 1), 0);
	counts(ix, 2, 3, 1);
	TEST(index_get(ix, 3) == NULL);
	TEST_INT(index_delete(ix, 2), 0);
	TEST_INT(index_delete(ix, 2), 0);
	counts(ix, 1, 2, 1);
}

/* Closed in order, opened again; then segments that are not what the rows mean. */
static struct index *
again(struct index *ix)
{
	const uint32_t have[] = { 2, 5 };

	index_close(ix);
	ix = index_open();
	counts(ix, 1, 2, 1);
	TEST_INT(index_scanned(ix, 1, rnd1), 5000);
	TEST_INT(index_prune(ix, have, 2), 0);
	counts(ix, 0, 0, 0);
	put(ix, 8, 2, 2, 10);
	TEST_INT(index_scanned(ix, 2, rnd1), 0);
	counts(ix, 0, 0, 0);
	put(ix, 9, 2, 1, 10);
	TEST_INT(index_segment(ix, 2, rnd2, 100), 0);
	return ix;
}

/* The process ends between two transactions: rows and offset go together. */
static void
torn(void)
{
	struct index *ix = index_open();

	counts(ix, 1, 1, 0);
	index_close(ix);
	kit_shell("cp index.db saved");
	ix = index_open();
	put(ix, 10, 2, 1, 10);
	index_segment(ix, 2, rnd2, 200);
	kit_shell("mkdir snap && cp index.db index.db-wal snap");	/* as kill -9 would leave it */
	index_close(ix);
	kit_shell("cp snap/* .");
	ix = index_open();
	counts(ix, 1, 1, 0);
	TEST_INT(index_scanned(ix, 2, rnd2), 100);
	index_close(ix);
}

static void
lost_with(const char *how)
{
	struct index *ix;

	kit_shell("rm -rf index.db* && cp saved index.db");
	kit_shell(how);
	ix = index_open();
	TEST(!index_broken(ix));
	counts(ix, 0, 0, 0);
	TEST_INT(index_scanned(ix, 2, rnd2), 0);
	put(ix, 1, 1, 1, 0);
	index_close(ix);
	ix = index_open();
	counts(ix, 1, 1, 0);
	index_close(ix);
}

static void
damage(void)
{
	lost_with("rm index.db; cp snap/index.db-wal .");
	lost_with("head -c 40000 /dev/urandom >index.db");
	lost_with("echo hallo >index.db");
	lost_with("dd if=/dev/urandom of=index.db bs=4096 seek=1 count=3 conv=notrunc status=none");
	lost_with("dd if=/dev/zero of=index.db bs=1 seek=40 count=4000 conv=notrunc status=none");
	lost_with("truncate -s 9000 index.db");
	lost_with("rm index.db; mkfifo x; rm x; python3 -c 'import sqlite3; sqlite3.connect(\"index.db\").execute(\"create table t(x)\")'");
	TEST(kit_count("quarantine") >= 6);
}

/* What an earlier version left is no damage: it is put aside, and the log says so calmly. */
static void
earlier_version(void)
{
	size_t n = kit_count("quarantine");

	log_target(open("said", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), LOG_TO_FILE, LOG_TEXT);
	log_level(LOG_LV_INFO);
	lost_with("python3 -c 'import sqlite3; sqlite3.connect(\"index.db\").execute(\"PRAGMA user_version=2\")'");
	log_flush();
	kit_log();
	kit_shell("grep -q 'of another version' said && ! grep -Eq 'damaged|error' said");
	TEST(kit_count("quarantine") > n);
}

/* Damage under a running one: an error, no crash; the next start is whole again. */
static void
running(void)
{
	struct index *ix;
	struct index_msg *m;
	char text[2000] = "";
	uint64_t i;

	kit_shell("rm -rf index.db*");
	ix = index_open();
	memset(text, 'x', sizeof text - 1);	/* more than the cache holds */
	reply = text;
	for (i = 1; i < BIG; i++)
		put(ix, i, 1, 1, (int64_t)i);
	reply = "";
	index_close(ix);
	ix = index_open();
	kit_shell("dd if=/dev/urandom of=index.db bs=4096 seek=1 count=7000 conv=notrunc status=none");
	for (i = 1; i < BIG; i++) {
		m = index_get(ix, i);
		index_msg_free(m);
	}
	TEST(index_broken(ix));
	TEST(index_get(ix, 1) == NULL);
	TEST_INT(index_delete(ix, 1), -1);
	index_turn(ix, true);
	index_close(ix);
	TEST(access("index.db", F_OK) == -1);
	ix = index_open();
	TEST(!index_broken(ix));
	counts(ix, 0, 0, 0);
	kit_shell("rm index.db");	/* deleted while it runs: goes on */
	put(ix, 1, 1, 1, 0);
	index_turn(ix, true);
	counts(ix, 1, 1, 0);
	TEST(!index_broken(ix));
	index_close(ix);
}

/* ---- a full disk ---- */

static off_t most;			/* bytes of a file; 0: the disk has room */

/* In place of the C library's: a limit of a file's length is none of the blocks behind it. */
int
fallocate(int fd, int mode, off_t at, off_t len)
{
	(void)fd;
	(void)mode;
	errno = ENOSPC;
	return most > 0 && at + len > most ? -1 : 0;
}

int
statvfs(const char *path, struct statvfs *v)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = fstatvfs(fd, v);

	close(fd);
	if (most > 0)
		v->f_bavail = 0;
	return rc;
}

static void
disk_full(off_t at)
{
	struct rlimit r;

	getrlimit(RLIMIT_FSIZE, &r);
	r.rlim_cur = at > 0 ? (rlim_t)at : r.rlim_max;
	setrlimit(RLIMIT_FSIZE, &r);
	most = at;
}

static struct index *
empty_index(void)
{
	struct index *ix;

	kit_shell("rm -rf index.db*");
	ix = index_open();
	TEST(index_memory(ix) == NULL);
	return ix;
}

/* The helper has done what it was given, and what came of it is known. */
static void
let_it_work(struct index *ix)
{
	int i;

	for (i = 0; i < 20; i++) {
		usleep(10 * 1000);
		index_turn(ix, false);
	}
}

/* However busy the machine is. */
static void
until_in_memory(struct index *ix)
{
	int i;

	for (i = 0; i < 300 && index_memory(ix) == NULL; i++)
		let_it_work(ix);
}

/* Rows from..to, each of some 3 KB, a transaction for each if one is small. */
static void
long_rows(struct index *ix, uint64_t from, uint64_t to, bool small)
{
	char text[LONG] = "";
	uint64_t i;

	memset(text, 'x', sizeof text - 1);
	reply = text;
	for (i = from; i < to && !index_broken(ix); i++) {
		put(ix, i, 1, 1, (int64_t)i);
		if (small)
			index_turn(ix, true);
	}
	reply = "";
}

static void
tried(struct index *ix, uint64_t id, uint32_t attempts)
{
	struct index_msg *m = index_get(ix, id);

	if (TEST(m != NULL))
		TEST_INT(m->rcpts[0].attempts, attempts);
	index_msg_free(m);
}

/* So much is written that the log must be used again and again: there is no room for more of it, and none is needed. */
static struct index *
log_is_used_again(void)
{
	struct index *ix = empty_index();
	struct index_rcpt r = { .mark = MARK_PENDING };
	int i;

	put(ix, 1, 1, 1, 5);
	index_segment(ix, 1, rnd1, 700);
	index_turn(ix, true);
	disk_full(FULL);
	for (i = 1; i <= 4000; i++) {
		r.attempts = (uint32_t)i;
		TEST_INT(index_rcpt(ix, 1, &r), 0);
		index_turn(ix, true);
	}
	TEST(index_memory(ix) == NULL && !index_broken(ix));
	return ix;
}

/* index.db itself cannot grow: all moves into memory, and nothing is missing there. What is on the disk goes: it would be out of date. */
static void
into_memory(struct index *ix)
{
	long_rows(ix, 2, MANY, true);
	until_in_memory(ix);
	TEST(index_memory(ix) != NULL && !index_broken(ix));
	TEST(access("index.db", F_OK) == -1 && access("index.db-wal", F_OK) == -1);
	counts(ix, MANY - 1, MANY - 1, 0);
	tried(ix, 1, 4000);
	TEST_INT(index_scanned(ix, 1, rnd1), 0);		/* were this a start, all were compared */
	TEST_INT(index_delete(ix, 2), 0);
	index_turn(ix, true);
}

static void
back_home(struct index *ix)
{
	index_home(ix, true);
	TEST(index_memory(ix) != NULL);
	ix->since_room = 1;			/* long ago */
	index_home(ix, true);
	TEST(index_memory(ix) != NULL);		/* there is still none, whoever says so */
	disk_full(0);
	index_home(ix, false);
	index_home(ix, true);
	TEST(index_memory(ix) != NULL);		/* not at once */
	ix->since_room = 1;
	index_home(ix, true);
	TEST(index_memory(ix) == NULL && access("index.db.new", F_OK) == -1);
	TEST_INT(index_delete(ix, 3), 0);
	index_close(ix);
	ix = index_open();
	TEST(index_memory(ix) == NULL);
	counts(ix, MANY - 3, MANY - 3, 0);
	tried(ix, 1, 4000);
	TEST_INT(index_scanned(ix, 1, rnd1), 700);
	index_close(ix);
}

/* One transaction for which there is no room: what was committed is in memory from then on. */
static void
transaction_too_large(void)
{
	struct index *ix = empty_index();

	put(ix, 1, 1, 1, 5);
	index_turn(ix, true);
	disk_full(FULL);
	long_rows(ix, 2, MANY, false);
	index_turn(ix, true);
	until_in_memory(ix);
	TEST(index_memory(ix) != NULL && !index_broken(ix));
	counts(ix, MANY - 1, MANY - 1, 0);
	tried(ix, 1, 0);
	/* It ends in order: what was learnt is not lost, if there is room by then. */
	put(ix, MANY, 1, 1, 5);
	disk_full(0);
	index_close(ix);
	ix = index_open();
	TEST(index_memory(ix) == NULL);
	counts(ix, MANY, MANY, 0);
	index_close(ix);
}

/* A run with its index in memory ends when there is no room, which is no better than a kill: the next one finds no index, not an old one. */
static void
lost_with_memory(void)
{
	struct index *ix = log_is_used_again();

	into_memory(ix);
	index_close(ix);
	disk_full(0);
	ix = index_open();
	TEST(index_memory(ix) == NULL);
	counts(ix, 0, 0, 0);
	TEST_INT(index_scanned(ix, 1, rnd1), 0);
	index_close(ix);
}

/* It cannot even be made. */
static void
nothing_can_be_made(void)
{
	struct index *ix;

	kit_shell("rm -rf index.db*");
	disk_full(1000);
	ix = index_open();
	TEST(index_memory(ix) != NULL && !index_broken(ix));
	put(ix, 1, 1, 1, 5);
	index_turn(ix, true);
	counts(ix, 1, 1, 0);
	index_close(ix);
	TEST(access("index.db", F_OK) == -1 && access("index.db.new", F_OK) == -1);
	disk_full(0);
}

static void
full(void)
{
	struct index *ix;

	signal(SIGXFSZ, SIG_IGN);
	ix = log_is_used_again();
	into_memory(ix);
	back_home(ix);
	transaction_too_large();
	lost_with_memory();
	nothing_can_be_made();
}

int
main(void)
{
	struct index *ix;

	kit_begin();
	kit_shell("mkdir quarantine");
	ix = index_open();
	rows(ix);
	due(ix);
	list(ix);
	segments(ix);
	index_turn(ix, true);
	final(ix);
	ix = again(ix);
	index_close(ix);
	torn();
	damage();
	earlier_version();
	running();
	full();
	kit_end();
	return test_end("index");
}
