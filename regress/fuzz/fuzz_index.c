/* links: queue/index/index.c queue/index/vfs.c queue/spool/helper.c queue/spool/order.c queue/index/rows.c queue/index/read.c queue/index/seg.c queue/index/files.c queue/index/walk.c queue/index/history.c queue/spool/lock.c queue/control/select.c */
/*
 * fuzz_index: rows of index.db with any values, of any type, as a damaged disk may give them back: read whole, in parts, by every walk.
 *
 * The input is rows (see below), of which each value is a number or text, whatever its column is for. No value is fatal, every text is bounded,
 * times are such as can be reckoned with, and every walk and every reading in parts comes to its end.
 */
#include <sys/stat.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "proc/ev.h"
#include "folder.h"
#include "index/index.h"
#include "index/priv.h"
#include "base/log.h"
#include "control/select.h"

#define ROWS	40		/* of an input */
#define TURNS	2000		/* pages: no walk of so few rows is longer */
#define COLUMNS	12		/* of a row, at most */
#define TEXT	100
#define TIME_MOST	253402300799999

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct {
	struct index	*ix;
	const uint8_t	*p;		/* the rest of the input */
	size_t		 n;
	char		 id[ROWS][24];	/* of the rows that were put */
	size_t		 nid;
} fz;

static const char *const all_text[] = { "tttttttttttt", "tttttttttt" };

static void
check(bool ok)
{
	if (!ok)
		abort();
}

static void
open_index(void)
{
	fz.ix = index_open();
	index_hold(fz.ix, true);
	check(index_begin(fz.ix) == 0);
}

/* ---- rows ---- */

static uint8_t
byte(void)
{
	if (fz.n == 0)
		return 0;
	fz.n--;
	return *fz.p++;
}

static void
number(char *to, size_t size)
{
	static const int64_t odd[] = { 0, 1, -1, INT64_MAX, INT64_MIN, UINT32_MAX, 1LL << 32, 1700000000000, MARK_PENDING, MARK_HELD };
	uint8_t how = byte();
	uint64_t v = 0;
	unsigned i;

	if (how < 64)
		v = (uint64_t)odd[how % (sizeof odd / sizeof odd[0])];
	else if (how < 128)
		v = how - 64U;
	else
		for (i = 0; i < 8; i++)
			v = v << 8 | byte();
	snprintf(to, size, "%lld", (long long)v);
}

static void
words(char *to)
{
	size_t n = byte() % TEXT;

	n = n < fz.n ? n : fz.n;
	if (n > 0)
		memcpy(to, fz.p, n);
	to[n] = '\0';
	fz.p += n;
	fz.n -= n;
}

/* The types are those of the columns; all is bound as text, so SQLite keeps as text what is no number. */
static void
put(enum st st, const char *types)
{
	char v[COLUMNS][TEXT + 1] = { "" };
	const char *id = fz.id[fz.nid];
	size_t i;

	for (i = 0; types[i] != '\0'; i++)
		if (i == 0 || (types[i] == 'i') == (byte() < 250))
			number(v[i], sizeof v[i]);
		else
			words(v[i]);
	strlcpy(fz.id[fz.nid++], v[0], sizeof fz.id[0]);
	if (st == ST_RCPT_PUT && byte() >= 250)
		index_run(fz.ix, st, "tttbtttttttt", id, v[1], v[2], v[3], (uint64_t)(byte() % TEXT), v[4], v[5], v[6], v[7], v[8], v[9],
		    v[10], v[11]);
	else
		index_run(fz.ix, st, all_text[st == ST_MSG_PUT], id, v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11]);
}

/* Damage was met that nothing can go on with: the next one is a new index. */
static void
again(void)
{
	index_close(fz.ix);
	if (system("rm -rf quarantine/* index.db*") != 0)
		abort();
	open_index();
	fz.nid = 0;
}

static void
remove_all(void)
{
	if (index_broken(fz.ix)) {
		again();
		return;
	}
	while (fz.nid > 0) {
		fz.nid--;
		index_run(fz.ix, ST_MSG_DEL, "t", fz.id[fz.nid]);
		index_run(fz.ix, ST_RCPTS_DEL, "t", fz.id[fz.nid]);
	}
	check(!index_broken(fz.ix));
}

/* ---- reading ---- */

static bool
time_ok(int64_t t)
{
	return t >= 0 && t <= TIME_MOST;
}

static void
look(struct index_msg *m)
{
	uint32_t i;

	check(time_ok(m->arrival) && strlen(m->sender) <= TEXT && strlen(m->tag) <= TEXT && strlen(m->message_id) <= TEXT);
	for (i = 0; i < m->nrcpt; i++) {
		const struct index_rcpt *r = &m->rcpts[i];

		check(time_ok(r->due) && (r->mark == MARK_HELD || r->mark == MARK_PENDING));
		check(strlen(r->addr) <= TEXT && strlen(r->domain) <= TEXT && strlen(r->action) <= TEXT && strlen(r->relay) <= TEXT &&
		    strlen(r->reply) <= TEXT);
	}
	index_msg_free(m);
}

/* As load reads a message with many recipients. */
static void
parts(uint64_t id)
{
	struct index_msg *m;
	uint32_t from = 0, n = 2;
	unsigned turns;

	for (turns = 0; n == 2 && (m = index_part(fz.ix, id, from, 2)) != NULL; turns++) {
		check(turns < TURNS);
		n = m->nrcpt;
		if (n > 0)
			from = m->rcpts[n - 1].n + 1;
		look(m);
	}
}

static void
messages(void)
{
	static const uint32_t some[] = { 0, 1, UINT32_MAX };
	uint64_t ids[ROWS], after = 0;
	struct index_msg *m;
	struct loc loc;
	size_t i, n;

	n = index_ids(fz.ix, after, ids, ROWS);
	for (i = 0; i < n; i++) {
		if ((m = index_get(fz.ix, ids[i])) != NULL)
			look(m);
		if ((m = index_some(fz.ix, ids[i], some, 3)) != NULL)
			look(m);
		parts(ids[i]);
		check(index_place(fz.ix, ids[i], &loc));
	}
	(void)index_last_id(fz.ix);
}

/* As the scheduler goes from one destination to the next, and through what is due there. */
static void
dests(void)
{
	struct buf action = BUF_INIT, domain = BUF_INIT;
	struct index_due d[2];
	int64_t due, from;
	uint64_t id;
	unsigned turns = 0;
	size_t n;

	while (index_next_dest(fz.ix, &action, &domain, &due)) {
		from = INT64_MIN;
		id = 0;
		do {
			check(turns++ < TURNS);
			n = index_due(fz.ix, buf_str(&action), buf_str(&domain), from, id, d, 2);
			if (n > 0) {
				from = d[n - 1].due;
				id = d[n - 1].id;
			}
		} while (n == 2);
		(void)index_before(fz.ix, buf_str(&action), buf_str(&domain), due, 0, 3);
	}
	buf_free(&action);
	buf_free(&domain);
}

static void
hit(void *arg, const struct index_hit *h)
{
	static const struct select any = { .whole = true, .older = 5, .younger = -1, .larger = 3, .smaller = -1, .uid = -1,
	    .state = STATE_DEFERRED };

	(void)arg;
	check(time_ok(h->due) && time_ok(h->arrival) && strlen(h->reply) <= TEXT && strlen(h->addr) <= TEXT);
	(void)select_match(&any, h, 1700000000000);
}

static void
walks(void)
{
	struct index_walk w;
	unsigned turns;
	int by, need;

	for (by = 0; by < WALK__N; by++)
		for (need = 0; need < WALK_NEED__N; need++) {
			if (by == WALK_DOMAINS && need != WALK_NEED_KEY)	/* it has no other */
				continue;
			w = (struct index_walk){ .by = (enum walk_by)by, .need = (enum walk_need)need, .text = "", .text2 = "", .value = 1,
			    .at = INT64_MIN };
			if (by == WALK_AGE)
				w.value = INT64_MAX;
			index_walk_begin(&w);
			for (turns = 0; index_walk_page(fz.ix, &w, 1, hit, NULL); turns++)
				check(turns < TURNS);
			index_walk_end(&w);
		}
}

/* ---- one input ---- */

static void
begin(void)
{
	folder_begin();
	log_init("fuzz");
	log_target(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_TO_FILE, LOG_TEXT);
	ev_init();
	if (mkdir("quarantine", 0700) == -1)
		abort();
	open_index();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (fz.ix == NULL)
		begin();
	fz.p = p;
	fz.n = n;
	while (fz.n > 0 && fz.nid < ROWS) {
		if (byte() % 4 == 0)
			put(ST_MSG_PUT, "iiiitttiii");
		else
			put(ST_RCPT_PUT, "iitttiiiitti");
	}
	messages();
	dests();
	walks();
	remove_all();
	return 0;
}
