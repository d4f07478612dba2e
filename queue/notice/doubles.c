/*
 * doubles: see doubles.h. Owns the file and the timer. A list that cannot be made now is made later; a line that cannot be written is in the
 * log alone. Its first line is the moment of the last notice, each other one an entry: MS, id, whom, why, with tabs between.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "notice/bounce.h"
#include "program/child.h"
#include "notice/doubles.h"
#include "notice/dsn.h"
#include "notice/dsn_text.h"
#include "proc/ev.h"
#include "core/id.h"
#include "base/log.h"
#include "mail/qid.h"
#include "core/ready.h"
#include "core/rules.h"
#include "core/sched.h"
#include "spool/spool.h"
#include "core/stats.h"
#include "base/xmalloc.h"

#define FILE_NAME	"doubles"
#define FILE_NEW	"doubles.new"
#define DAY_MS		(24LL * 3600 * 1000)
#define LOOK_MS		(3600 * 1000)
#define AGAIN_MS	(60 * 1000)
#define FIRST_MS	1000		/* after the start */
#define LIST_MOST	1000		/* entries of a list; the others are counted */
#define WHY_MOST	400

static struct {
	struct spool	*spool;
	struct ev_timer	 timer;
	int64_t		 told;		/* wall ms of the last notice, 0: never */
	uint64_t	 n, listed;	/* entries since, and those in the list that is being stored */
	bool		 making;
	struct message	*m;		/* while it is being stored */
} db;

/* ---- the file ---- */

static bool
append(const struct buf *line)
{
	int fd = open(FILE_NAME, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool ok;

	if (fd == -1)
		return false;
	ok = write(fd, buf_data(line), line->len) == (ssize_t)line->len;
	close(fd);
	return ok;
}

static FILE *
file(void)
{
	int fd = open(FILE_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	return fd == -1 ? NULL : fdopen(fd, "r");
}

/* The entries that came after the first so many. */
static void
copy_rest(int to, uint64_t from)
{
	char *line = NULL;
	size_t size = 0;
	uint64_t at = 0;
	FILE *f = file();

	while (f != NULL && getline(&line, &size, f) > 0)
		if (strncmp(line, "told ", 5) != 0 && at++ >= from)
			dprintf(to, "%s", line);
	free(line);
	if (f != NULL)
		fclose(f);
}

/* A new day, and so many entries have been told of. False: with errno. */
static bool
begin_day(uint64_t told)
{
	int fd = open(FILE_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool ok;

	db.told = ev_time_ms();
	db.n -= told;
	if (fd == -1)
		return false;
	ok = dprintf(fd, "told %" PRId64 "\n", db.told) > 0;
	copy_rest(fd, told);
	close(fd);
	return ok && rename(FILE_NEW, FILE_NAME) == 0;
}

static void
load(void)
{
	char *line = NULL;
	size_t size = 0;
	FILE *f = file();

	while (f != NULL && getline(&line, &size, f) > 0)
		if (strncmp(line, "told ", 5) == 0)
			db.told = strtoll(line + 5, NULL, 10);
		else
			db.n++;
	free(line);
	if (f != NULL)
		fclose(f);
}

/* ---- the list ---- */

static void
put_entry(struct buf *b, char *line)
{
	char *save, *when = strtok_r(line, "\t\n", &save), *id = strtok_r(NULL, "\t\n", &save), *whom = strtok_r(NULL, "\t\n", &save),
	    *why = strtok_r(NULL, "\t\n", &save);
	char date[64];

	if (why == NULL)
		return;
	dsn_date(date, sizeof date, strtoll(when, NULL, 10));
	buf_addf(b, "%s: <", date);
	dsn_clean(b, whom, strlen(whom), true);
	buf_addf(b, "> (queue id %s):\r\n    ", id);
	dsn_wrapped(b, why, 4, "    ", true);
}

static void
put_entries(struct buf *b)
{
	char *line = NULL;
	size_t size = 0;
	uint64_t n = 0;
	FILE *f = file();

	while (f != NULL && n < LIST_MOST && getline(&line, &size, f) > 0)
		if (strncmp(line, "told ", 5) != 0) {
			put_entry(b, line);
			n++;
		}
	free(line);
	if (f != NULL)
		fclose(f);
	if (db.n > n)
		buf_addf(b, "... and %llu more, which are in the log.\r\n", (unsigned long long)(db.n - n));
}

static void
compose(struct buf *b, const char *to, uint64_t id)
{
	const char *host = child_conf()->hostname;
	char date[64];

	dsn_date(date, sizeof date, ev_time_ms());
	buf_addf(b, "Date: %s\r\nFrom: Mail Delivery System <MAILER-DAEMON@%s>\r\nTo: <%s>\r\nSubject: %llu %s could not be told of mail that failed\r\n",
	    date, host, to, (unsigned long long)db.n, db.n == 1 ? "sender" : "senders");
	buf_addf(b, "Message-ID: <%s@%s>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n", qid_text(id).s, host);
	buf_adds(b, "These notices could not be delivered, so that the senders of the messages do\r\nnot know that they failed. This list comes once a day.\r\n\r\n");
	put_entries(b);
}

/* ---- sending it ---- */

static void
again(uint64_t ms)
{
	db.making = false;
	ev_timer_set(&db.timer, ms);
}

static void
stored(void *arg, int error, struct loc loc, uint64_t body_off)
{
	struct message *m = db.m;

	(void)arg;
	if (error != 0) {
		log_warn("the list of senders that could not be told cannot be stored: %s", strerror(error));
		message_free(m);
		again(AGAIN_MS);
		return;
	}
	log_as("bounce", LOG_LV_INFO, "%s: postmaster list of %llu that could not be told", qid_text(m->id).s, (unsigned long long)db.listed);
	log_as("qmgr", LOG_LV_INFO, "%s: from=<>, size=%llu, nrcpt=1 (queue active)", qid_text(m->id).s, (unsigned long long)m->len);
	stats.notices++;
	m->loc = loc;
	m->body_off = body_off;
	if (!begin_day(db.listed))
		log_warn("%s cannot be written anew: %s; the list may come again", FILE_NAME, strerror(errno));
	sched_fresh(m);
	again(LOOK_MS);
}

static void
store(const char *to, const char *action)
{
	struct p_env_rcpt rcpt = { .addr = to, .orig = "", .orcpt = "", .notify = NOTIFY_NEVER, .action = action, .sender = "", .trail = "" };
	struct p_env env = { .version = 1, .id = id_lease(1), .arrival = ev_time_ms(), .sender = "", .envid = "", .body = BODY_NONE,
	    .smtputf8 = !dsn_is_ascii(to), .client_addr = "", .client_name = "", .helo = "", .proto = "local", .user = "", .uid = -1, .tag = "",
	    .birth = BIRTH_POSTMASTER, .rcpts = &rcpt, .rcpts_n = 1 };
	struct buf text = BUF_INIT;
	struct body *body;

	db.listed = db.n;
	compose(&text, to, env.id);
	db.m = message_new(&env);
	body = body_new(db.spool, &db.m->env);
	body_add(body, buf_data(&text), text.len);
	bodyscan_end(&body->scan);
	ready_text(db.m, body);
	message_ready(db.m, NULL);
	buf_free(&text);
	spool_commit(db.spool, body, &db.m->env, stored, NULL);
	ev_wake();
}

static void
routed(void *arg, enum match_result result, const struct match *mt)
{
	char *to = arg;

	if (result == MATCH_OK)
		store(to, child_conf()->action[mt->action].name);
	else {
		if (mt->code >= 500)
			log_as("bounce", LOG_LV_WARN, "nobody can be told of %llu that could not be told: <%s>: %s", (unsigned long long)db.n, to, mt->text);
		again(LOOK_MS);
	}
	free(to);
}

static void
make_list(void)
{
	struct match_facts f = route_own();
	char *to = xasprintf("postmaster@%s", child_conf()->domain);

	db.making = true;
	route_ask(&f, to, routed, to);
}

/* ---- when ---- */

/* A clock that went back ends no day early, nor does it make one longer than two. */
static bool
day_is_over(void)
{
	int64_t since = ev_time_ms() - db.told;

	return since >= DAY_MS || since < -DAY_MS;
}

static void
timer(void *arg)
{
	(void)arg;
	if (!db.making && db.n > 0 && day_is_over())
		make_list();
	else
		ev_timer_set(&db.timer, LOOK_MS);
}

bool
doubles_first(void)
{
	return db.n == 0 && !db.making && day_is_over() && begin_day(0);
}

void
doubles_note(uint64_t id, const char *whom, const char *why)
{
	struct buf line = BUF_INIT;

	db.n++;
	if (db.n > LIST_MOST)
		return;
	buf_addf(&line, "%" PRId64 "\t%s\t", ev_time_ms(), qid_text(id).s);
	dsn_clean(&line, whom, strlen(whom), true);
	buf_adds(&line, "\t");
	dsn_clean(&line, *why != '\0' ? why : "no reason is known", strnlen(*why != '\0' ? why : "no reason is known", WHY_MOST), true);
	buf_adds(&line, "\n");
	if (!append(&line))
		log_warn("%s: <%s> could not be told, and that cannot be noted for the postmaster: %s", qid_text(id).s, whom, strerror(errno));
	buf_free(&line);
}

void
doubles_more(uint64_t n)
{
	db.n += n;
}

void
doubles_init(struct spool *sp)
{
	db.spool = sp;
	load();
	ev_timer_init(&db.timer, timer, NULL);
	ev_timer_set(&db.timer, FIRST_MS);
}
