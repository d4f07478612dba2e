/* test_spool_crash: the spool is killed at its system calls, or they fail, one after the other; what was answered is accounted for.
   links: queue/spool/spool.c queue/spool/segment.c queue/spool/seg_make.c queue/spool/record.c queue/spool/mark_code.c queue/spool/body.c queue/spool/batch.c queue/spool/commit.c queue/spool/mark.c queue/spool/sync.c queue/spool/helper.c queue/spool/order.c queue/spool/scan.c queue/spool/scan_start.c queue/spool/reclaim.c queue/spool/compact.c queue/spool/copies.c queue/spool/lock.c

   Without arguments a short campaign; `campaign` tries every number of every call (regress/crash/spool.sh);
   `run DIR` and `check DIR [cut]` are what the campaign starts, the first under strace; `bench DIR N [SIZE]` prints commits a second. */
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include "spool/copies.h"
#include "spool/spool_priv.h"
#include "test.h"
#include "spoolkit.h"

#define N		70
#define IN_FLIGHT	20
#define SHORT_SECONDS	20
#define QUIET_TURNS	150
#define RUN_SECONDS	30	/* a run that takes so long hangs */

/* ---- in place of space.c: small segments, so that a short run goes through many ---- */

uint64_t
space_segment_bytes(void)
{
	return getenv("KIT_SEGMENT") != NULL ? strtoull(getenv("KIT_SEGMENT"), NULL, 10) : SEG_BYTES_MIN;
}

void
space_check(struct spool *s)
{
	s->roomy = true;
}

/* ---- the run: every line in the log is written before the next step ---- */

static struct kit_msg msg[N];
static size_t answered, marked, said;
static int log_fd;

static void
say(char what, uint64_t id)
{
	char line[32];
	int n = snprintf(line, sizeof line, "%c %llu\n", what, (unsigned long long)id);

	if (write(log_fd, line, (size_t)n) != n)
		fatal("log");
}

static void
stored(void *arg, int error, struct loc loc, uint64_t body_off)
{
	struct kit_msg *m = arg;

	kit_done(m, error, loc, body_off);
	answered++;
	say(error == 0 ? 'a' : 'e', m->id);
}

static void
deliver(struct spool *s, struct kit_msg *m)
{
	say('m', m->id);
	if (spool_mark(s, m->loc, 0, MARK_DELIVERED) == -1)
		return;
	say('M', m->id);
	marked++;
	spool_final(s, m->loc);
}

static void
abort_one(struct spool *s, uint64_t id)
{
	struct kit_msg m = { .id = id, .len = id % 2 == 0 ? 200000 : 1000, .nrcpt = 1 };

	say('x', id);
	body_free(kit_body(s, &m));
	kit_env_free(m.env);
}

/* Some messages are, for a while, "in memory" and may not be moved. */
static bool
may_move(void *arg, uint64_t id, struct loc loc)
{
	(void)arg;
	return id % 5 != 2 && msg[id - 1].loc.seg == loc.seg && msg[id - 1].loc.off == loc.off;
}

static void
moved(void *arg, uint64_t id, struct loc from, struct loc to)
{
	(void)arg;
	(void)from;
	msg[id - 1].loc = to;
}

/* All marks and names that were made so far are on the disk: no power cut may take them back. */
static void
say_durable(struct spool *s)
{
	if (sync_running(s->sync) || !TAILQ_EMPTY(&s->dirty) || s->dir_gen > s->dir_synced || said == marked)
		return;
	said = marked;
	say('S', 0);
}

static void
step(struct spool *s)
{
	static const struct spool_movers movers = { may_move, moved, NULL };
	static unsigned n;

	if (++n % 8 == 0)	/* not one second each time */
		s->overdue = true;
	ev_turn();
	spool_turn(s);
	say_durable(s);
	spool_compact(s, &movers);
	spool_reclaim(s);
}

/* Time for compaction, for segments to go and be used again, and for all of that to be on the disk. */
static void
quiet(struct spool *s)
{
	const struct timespec moment = { .tv_nsec = 200000 };
	unsigned i;

	for (i = 0; i < QUIET_TURNS || (said != marked && i < 10 * QUIET_TURNS); i++) {
		nanosleep(&moment, NULL);
		ev_wake();
		step(s);
	}
}

/* The delivery of a message is due some messages later; one in eight stays. */
static void
deliveries(struct spool *s, size_t to)
{
	static size_t next;

	for (; next < to; next++)
		if (msg[next].done && msg[next].error == 0 && next % 8 != 7)
			deliver(s, &msg[next]);
}

static void
run(const char *dir)
{
	struct kit_found f = { msg, 0, 0, 0 };
	struct spool *s;
	struct kit_msg *m;
	struct body *b;
	size_t i;

	if (chdir(dir) == -1 || (log_fd = open("../log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) == -1)
		fatal("%s", dir);
	alarm(RUN_SECONDS);
	s = kit_open(&f);
	s->compact_age = 0;
	for (i = 0; i < N; i++) {
		m = &msg[i];
		*m = (struct kit_msg){ .id = i + 1, .len = i % 10 == 7 ? 66000 + i * 1000 : 200 + i * 997 % 30000, .nrcpt = 1 };
		b = kit_body(s, m);
		spool_commit(s, b, m->env, stored, m);
		if (i % 9 == 5)
			abort_one(s, 1000 + i);
		while (i + 1 - answered >= IN_FLIGHT)
			step(s);
		deliveries(s, answered > IN_FLIGHT ? answered - IN_FLIGHT : 0);
	}
	while (answered < N)
		step(s);
	deliveries(s, N);
	quiet(s);
	/* Those that stayed until their segment was emptied are delivered, some of them. */
	for (i = 7; i < N; i += 24)
		if (msg[i].done && msg[i].error == 0)
			deliver(s, &msg[i]);
	quiet(s);
	if (getenv("V") != NULL)
		printf("%llu segments emptied\n", (unsigned long long)s->emptied);
	spool_close(s);
}

/* ---- the account ---- */

struct account { bool answered, marking, marked, safe; };

static unsigned
complain(uint64_t id, const char *what)
{
	printf("message %llu: %s\n", (unsigned long long)id, what);
	return 1;
}

static uint8_t found_mark[N];
static unsigned aborted_found;
static struct copies *copies;

static void
note(void *arg, const struct spool_record *r)
{
	copies_note(copies, r->env.id, r->loc, r->doubtful, r->damaged);
	if (marks_void(r->marks, r->env.rcpts_n))
		return;
	if (r->env.id > 1000)
		aborted_found++;
	else if (r->env.id >= 1 && r->env.id <= N)
		found_mark[r->env.id - 1] = r->marks[0];
	kit_record(arg, r);
}

/* The index of this test knows nothing. */
static bool
place(void *arg, uint64_t id, struct loc *loc)
{
	(void)arg;
	(void)id;
	(void)loc;
	return false;
}

static void
settled(void *arg, uint64_t id, struct loc loc, const struct spool_env *se)
{
	(void)arg;
	if (id < 1 || id > N)
		return;
	msg[id - 1].found = 1;
	found_mark[id - 1] = se != NULL ? se->marks[0] : 'd';
	if (se == NULL)
		return;
	msg[id - 1].loc = loc;
	msg[id - 1].body_off = se->body_off;
	msg[id - 1].right = false;	/* looked at again */
}

static bool power_cut;		/* marks of the last second may be gone */

static unsigned
account_for(const struct kit_msg *m, const struct account *a, uint8_t mark)
{
	if (m->found > 1)
		return complain(m->id, "found twice");
	if (a->answered && !a->marking && (m->found == 0 || mark != 'p'))
		return complain(m->id, m->found == 0 ? "was answered and is lost" : "was marked by nobody");
	if (a->marked && m->found && mark != 'd' && !power_cut)
		return complain(m->id, "lost its mark");
	if (a->safe && m->found && mark != 'd')
		return complain(m->id, "lost a mark that was on the disk");
	if (m->found && !m->right && a->answered)
		return complain(m->id, "is changed");
	return 0;
}

static void
read_log(struct account *a)
{
	FILE *in = fopen("../log", "r");
	unsigned long long id;
	size_t i;
	char what;

	while (in != NULL && fscanf(in, " %c %llu", &what, &id) == 2) {
		for (i = 0; what == 'S' && i < N; i++)
			a[i].safe |= a[i].marked;
		if (id < 1 || id > N)
			continue;
		a[id - 1].answered |= what == 'a';
		a[id - 1].marking |= what == 'm';
		a[id - 1].marked |= what == 'M';
	}
	if (in != NULL)
		fclose(in);
}

/* Bodies and envelopes are compared whatever the mark is. */
static unsigned
check(const char *dir)
{
	static struct account a[N];
	struct kit_found f = { msg, N, 0, 0 };
	struct spool_hooks hooks = { kit_scanned, NULL, note, kit_segment, &f };
	struct spool *s;
	unsigned bad;
	size_t i;

	if (chdir(dir) == -1)
		fatal("%s", dir);
	read_log(a);
	for (i = 0; i < N; i++)
		msg[i] = (struct kit_msg){ .id = i + 1, .len = i % 10 == 7 ? 66000 + i * 1000 : 200 + i * 997 % 30000, .nrcpt = 1 };
	/* The comparison of marks is done here. */
	for (i = 0; i < N; i++)
		msg[i].marks[0] = a[i].marking ? 'd' : 'p';
	copies = copies_new();
	s = spool_open(&hooks);
	copies_settle(copies, s, &(struct copies_hooks){ place, settled, NULL });
	copies_free(copies);
	spool_settled(s);
	bad = aborted_found > 0 ? complain(0, "an aborted one came back") : 0;
	for (i = 0; i < N; i++) {
		if (msg[i].found && !msg[i].right) {
			/* marked or not yet, marked as never answered: only the bytes count */
			char name[32];
			int fd;

			snprintf(name, sizeof name, "seg/%08x", msg[i].loc.seg);
			fd = open(name, O_RDONLY);
			msg[i].right = kit_body_right(fd, msg[i].body_off, &msg[i]);
			close(fd);
		}
		bad += account_for(&msg[i], &a[i], found_mark[i]);
	}
	for (i = 0; i < 8; i++)
		spool_reclaim(s);
	spool_close(s);
	return bad;
}

/* ---- the campaign ---- */

static const struct fault {
	const char	*call, *fault;
	unsigned	 most;			/* no more of them in a run than that: a bound for the loop */
} faults[] = {
	{ "pwrite64", "signal=KILL", 400 }, { "pwritev", "signal=KILL", 400 }, { "fdatasync", "signal=KILL", 100 }, { "fsync", "signal=KILL", 60 },
	{ "rename", "signal=KILL", 60 }, { "unlink", "signal=KILL", 100 }, { "openat", "signal=KILL", 150 },
	{ "fallocate", "signal=KILL", 30 }, { "close", "signal=KILL", 150 },
	{ "pwrite64", "error=EIO", 400 }, { "pwrite64", "error=ENOSPC", 400 },
	{ "pwritev", "error=EIO", 400 }, { "pwritev", "error=ENOSPC", 400 }, { "fdatasync", "error=EIO", 100 },
	{ "fsync", "error=EIO", 60 }, { "rename", "error=EIO", 60 }, { "unlink", "error=EIO", 100 },
	{ "openat", "error=EMFILE", 150 }, { "openat", "error=ENOSPC", 150 }, { "fallocate", "error=ENOSPC", 30 },
	{ "fallocate", "error=EOPNOTSUPP", 30 }, { "pread64", "error=EIO", 400 },
};

static int
start(char *const argv[])
{
	pid_t pid;
	int status;

	fflush(NULL);
	if ((pid = fork()) == -1)
		fatal("fork");
	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return status;
}

/* One run with that fault at its nth call, or from the nth on, then the account. true: the fault did not come any more. */
static bool
try(const char *self, const struct fault *f, unsigned n, bool on)
{
	char inject[96], trace[64];
	char *const under[] = { (char *)(uintptr_t)"strace", (char *)(uintptr_t)"-f", (char *)(uintptr_t)"-o",
	    (char *)(uintptr_t)"trace", (char *)(uintptr_t)"-e", trace, (char *)(uintptr_t)"-e", inject, (char *)(uintptr_t)self,
	    (char *)(uintptr_t)"run", (char *)(uintptr_t)"spool", NULL };
	char *const account[] = { (char *)(uintptr_t)self, (char *)(uintptr_t)"check", (char *)(uintptr_t)"spool", NULL };
	int status;

	kit_shell("rm -rf spool log trace && mkdir spool");
	snprintf(inject, sizeof inject, "inject=%s:%s:when=%u%s", f->call, f->fault, n, on ? "+" : "");
	snprintf(trace, sizeof trace, "trace=%s", f->call);
	status = start(under);
	if (!TEST(!WIFSIGNALED(status) || WTERMSIG(status) == SIGKILL))	/* it neither hangs nor crashes */
		fprintf(stderr, "\twith %s: signal %d\n", inject, WTERMSIG(status));
	status = start(account);
	if (!TEST(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
		fprintf(stderr, "\twith %s\n", inject);
		kit_shell("mkdir -p /tmp/spool-failed && cp -a spool log trace /tmp/spool-failed");
	}
	return system(strstr(f->fault, "KILL") != NULL ? "grep -q 'killed by SIGKILL' trace" : "grep -q INJECTED trace") != 0;
}

static void
campaign(const char *self, bool all)
{
	bool over[sizeof faults / sizeof faults[0]] = { false };
	time_t begun = time(NULL);
	unsigned n, runs = 0, more = all ? 1 : 2;
	size_t i;
	char where[] = "/dev/shm/postern-crash-XXXXXX", command[64];

	if (system("strace -o /dev/null true 2>/dev/null") != 0) {
		fprintf(stderr, "strace cannot be used here: nothing is killed\n");
		TEST(true);
		return;
	}
	if (mkdtemp(where) == NULL || chdir(where) == -1)
		fatal("%s", where);
	/* Short: numbers grow by a half, and whoever is late is left out, so that all kinds have their turn. */
	for (n = 1; n < 400; n += all ? 1 : more, more += more / 2)
		for (i = 0; i < sizeof faults / sizeof faults[0]; i++) {
			if (!all && time(NULL) - begun > SHORT_SECONDS)
				break;
			if (over[i] || n > faults[i].most)
				continue;
			runs++;
			over[i] = try(self, &faults[i], n, false);
			if (all && strstr(faults[i].fault, "error") != NULL)
				try(self, &faults[i], n, true);
		}
	fprintf(stderr, "%u runs\n", runs);
	snprintf(command, sizeof command, "rm -rf %s", where);
	kit_shell(command);
}

/* ---- how fast ---- */

static void
bench_stored(void *arg, int error, struct loc loc, uint64_t body_off)
{
	struct kit_msg *m = arg;

	(void)body_off;
	if (error != 0)
		fatalx("bench: %s", strerror(error));
	m->loc = loc;
	m->done = true;
	answered++;
}

/* As the queue does it: commit, mark, forget; 20 under way. */
static void
bench(const char *dir, size_t n, size_t size)
{
	struct kit_found f = { msg, 0, 0, 0 };
	struct kit_msg slot[IN_FLIGHT] = { { 0 } };
	struct p_env *env = kit_env(1, 1);
	uint8_t *bytes = kit_bytes(1, size);
	struct timespec a, b;
	struct body *body;
	struct spool *s;
	size_t i, sent = 0;
	double took;

	if (chdir(dir) == -1)
		fatal("%s", dir);
	s = kit_open(&f);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (i = 0; i < IN_FLIGHT; i++)
		slot[i].done = true;
	while (answered < n) {
		for (i = 0; i < IN_FLIGHT && sent < n; i++) {
			if (!slot[i].done)
				continue;
			if (slot[i].loc.seg != 0) {
				spool_mark(s, slot[i].loc, 0, MARK_DELIVERED);
				spool_final(s, slot[i].loc);
			}
			slot[i].done = false;
			body = body_new(s, env);
			body_add(body, bytes, size);
			spool_commit(s, body, env, bench_stored, &slot[i]);
			sent++;
		}
		spool_turn(s);
		if (answered < sent)
			ev_turn();
		spool_reclaim(s);
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	took = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
	printf("%zu messages of %zu bytes: %.0f a second, %llu syncs\n", n, size, (double)n / took, (unsigned long long)s->syncs);
	spool_close(s);
	kit_env_free(env);
	free(bytes);
}

int
main(int argc, char **argv)
{
	char self[4096] = "";

	log_init("crash");
	log_level(getenv("V") != NULL ? LOG_LV_DEBUG : LOG_LV_ERROR);
	if (getenv("V") == NULL)
		log_target(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_TO_FILE, LOG_TEXT);
	ev_init();
	if (argc > 2 && strcmp(argv[1], "run") == 0) {
		run(argv[2]);
		return 0;
	}
	power_cut = argc > 3 && strcmp(argv[3], "cut") == 0;
	if (argc > 2 && strcmp(argv[1], "check") == 0)
		return check(argv[2]) > 0;
	if (argc > 3 && strcmp(argv[1], "bench") == 0) {
		bench(argv[2], strtoull(argv[3], NULL, 10), argc > 4 ? strtoull(argv[4], NULL, 10) : 4096);
		return 0;
	}
	if (readlink("/proc/self/exe", self, sizeof self - 1) == -1)
		fatal("readlink");
	campaign(self, argc > 1 && strcmp(argv[1], "campaign") == 0);
	return test_end("spool_crash");
}
