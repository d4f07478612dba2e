/* links: deliver/client/conn.c deliver/client/relay.c deliver/client/relay_step.c deliver/client/relay_put.c deliver/client/body.c deliver/client/convert.c deliver/client/host.c deliver/client/hostset.c deliver/client/limit.c deliver/client/mx.c deliver/client/pool.c deliver/client/source.c deliver/client/window.c deliver/client/self.c deliver/client/job.c deliver/client/report.c deliver/client/seg.c deliver/client/explain.c deliver/client/nexthop.c */
/*
 * fuzz_relay: the SMTP client against servers that say anything, at any time: all of deliver but the mailboxes, with a queue of straw, and a
 * socketpair wherever it makes a connection.
 *
 * The first byte has the choices of the jobs; the rest is what the newest connection's server sends, but for a byte 0xff and the one behind
 * it, which are a deed. What holds for whatever comes: each recipient of each job has one result, which says sent only where a server had
 * all of the message; nothing bare and no NUL is ever sent; in the end no job and no connection is left.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "program/child.h"
#include "client/conn.h"
#include "base/crc32c.h"
#include "client/hostset.h"
#include "proc/ev.h"
#include "base/log.h"
#include "client/nexthop.h"

#define JOBS	4
#define RCPTS	3
#define SEGMENT	1
#define SERVERS	32		/* connections of an input */
#define INPUT	16384

MSG_PROTOTYPES(QUEUE_TO_DELIVER)

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);
void	mailbox(const struct conf *, struct job *);

struct edge {
	struct buf	out;
	unsigned	type;
};

static struct {
	struct conf	*conf;
	struct edge	 queue;
	int		 message;	/* a segment: the messages one behind the other */
	size_t		 length[JOBS], offset[JOBS];
	uint32_t	 crc[JOBS];
	uint64_t	 last;		/* number of a job */
	uint64_t	 done[JOBS];	/* to be acknowledged */
	size_t		 ndone;
	struct work {
		uint64_t number;	/* 0: none, or it is done */
		unsigned rcpts, which;
	} job[JOBS];
	struct server {
		int	 fd;		/* -1: it is gone */
		bool	 deaf;
		struct buf heard;
	} server[SERVERS];
	size_t		 nserver;
	bool		 away;		/* connections are refused */
	bool		 deaf;		/* a server answered without having read: what it says is its own affair */
} fz;

static void
check(bool ok)
{
	if (!ok)
		abort();
}

/* ---- what deliver uses ---- */

const struct conf *
child_conf(void)
{
	return fz.conf;
}

void
mailbox(const struct conf *conf, struct job *j)
{
	(void)conf;
	(void)j;
	abort();
}

/* Every connection is a socketpair. */
int
socket(int family, int type, int protocol)
{
	int sv[2];

	(void)protocol;
	(void)family;
	if (fz.nserver == SERVERS || socketpair(AF_UNIX, type, 0, sv) == -1) {
		errno = EMFILE;
		return -1;
	}
	fz.server[fz.nserver].fd = sv[1];
	fz.server[fz.nserver].deaf = false;
	buf_reset(&fz.server[fz.nserver++].heard, SIZE_MAX);
	return sv[0];
}

int
connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	(void)fd;
	(void)sa;
	(void)len;
	if (!fz.away)
		return 0;
	errno = ECONNREFUSED;
	return -1;
}

/* ---- the queue ---- */

struct buf *
edge_begin(struct edge *e, unsigned type, uint32_t id)
{
	(void)id;
	buf_reset(&e->out, MSG_MAX);
	e->type = type;
	return &e->out;
}

/* The last words of a message, which no other has. */
static bool
had_all(unsigned which)
{
	char end[40];
	size_t i, n = (size_t)snprintf(end, sizeof end, "the end of %u\r\n", which);

	for (i = 0; i < fz.nserver; i++)
		if (fz.server[i].heard.len > 0 && memmem(buf_data(&fz.server[i].heard), fz.server[i].heard.len, end, n) != NULL)
			return true;
	return false;
}

/* What was sent so far; nothing bare. */
static void
hear(struct server *s)
{
	uint8_t *p;
	ssize_t n;
	size_t at = s->heard.len;

	if (s->fd == -1 || s->deaf)
		return;
	while ((n = recv(s->fd, buf_reserve(&s->heard, 65536), 65536, MSG_DONTWAIT)) > 0)
		buf_grow(&s->heard, (size_t)n);
	for (p = buf_data(&s->heard); at < s->heard.len; at++) {
		check(p[at] != '\0');
		check((p[at] == '\n') == (at > 0 && p[at - 1] == '\r'));
	}
}

static void
result(struct rd *rd)
{
	struct p_job_result r;
	struct work *w = NULL;
	size_t i;

	p_job_result_get(rd, &r);
	check(!rd->bad && rd->left == 0);
	for (i = 0; i < JOBS; i++)
		if (fz.job[i].number == r.job)
			w = &fz.job[i];
	check(w != NULL && r.results_n == w->rcpts);
	for (i = 0; i < fz.nserver; i++)
		hear(&fz.server[i]);
	for (i = 0; i < r.results_n; i++) {
		check(r.results[i].n == i && r.results[i].outcome <= OUT_DAMAGED);
		check(r.results[i].outcome != OUT_SENT || fz.deaf || had_all(w->which));
		check(strpbrk(r.results[i].text, "\r\n") == NULL && strlen(r.results[i].dsn) < 12);
	}
	w->number = 0;
	fz.done[fz.ndone++] = r.job;
	p_job_result_free(&r);
}

void
edge_end(struct edge *e, int fd)
{
	struct rd rd = { buf_data(&e->out), e->out.len, false };

	check(fd == -1 && e->out.len <= MSG_MAX);
	if (e->type == MSG_JOB_RESULT)
		result(&rd);
}

/* Not from inside of a result. */
static void
acknowledge(void)
{
	while (fz.ndone > 0)
		on_JOB_ACK(&fz.queue, 0, &(struct p_job_ref){ fz.done[--fz.ndone] }, -1);
}

static void
send_segment(void)
{
	on_SEG(&fz.queue, 0, &(struct p_seg){ SEGMENT }, dup(fz.message));
}

static void
queue_turns_over(void)
{
	acknowledge();
	job_queue(NULL);
	job_queue(&fz.queue);
	send_segment();
}

static void
new_job(uint8_t choice)
{
	static const char *const senders[] = { "a@one.test", "", "\xc3\xbc@one.test", "x@y.test" };
	struct p_job_rcpt r[RCPTS];
	struct p_job j = { .job = fz.last + 1, .id = fz.last + 1, .generation = 1, .action = choice >> 2 & 1, .domain = "far.test",
	    .sender = senders[choice >> 3 & 3], .envid = choice & 32 ? "e" : "", .body = choice & 64 ? BODY_8BITMIME : BODY_NONE,
	    .smtputf8 = choice >> 7, .arrival = 1700000000000, .attempt = 1, .hurry = 1, .segment = SEGMENT, .rcpts = r };
	struct work *w = fz.job;
	unsigned which = choice & 3;

	while (w < fz.job + JOBS && w->number != 0)
		w++;
	if (w == fz.job + JOBS)
		return;
	j.flags = which == 1 ? MAIL_8BIT | MAIL_DOT : 0;
	j.offset = fz.offset[which];
	j.length = fz.length[which];
	j.crc = choice == 0xf0 ? 0 : fz.crc[which];	/* or it is damaged */
	j.rcpts_n = 1 + (choice >> 3) % RCPTS;
	for (uint32_t i = 0; i < j.rcpts_n; i++)
		r[i] = (struct p_job_rcpt){ .n = i, .addr = i == 2 ? "\xc3\xa4@far.test" : "b@far.test", .orig = "", .orcpt = i == 1 ? "rfc822;b@c" : "" };
	fz.last++;
	*w = (struct work){ fz.last, j.rcpts_n, which };
	on_JOB(&fz.queue, 0, &j, -1);
}

/* ---- the servers ---- */

static void
pump(unsigned turns)
{
	size_t i;

	while (turns-- > 0) {
		ev_wake();
		ev_turn();
		dest_turn();
		for (i = 0; i < fz.nserver; i++)
			hear(&fz.server[i]);
		acknowledge();
	}
}

static struct server *
newest(void)
{
	size_t i = fz.nserver;

	while (i > 0 && fz.server[i - 1].fd == -1)
		i--;
	return i > 0 ? &fz.server[i - 1] : NULL;
}

static void
hang_up(struct server *s)
{
	hear(s);
	if (s->fd != -1)
		close(s->fd);
	s->fd = -1;
}

static void
deed(uint8_t what)
{
	struct server *s = newest();

	switch (what % 8) {
	case 2:
		if (s != NULL)
			hang_up(s);
		break;
	case 3:
		if (s != NULL)
			shutdown(s->fd, SHUT_WR);
		break;
	case 4:
		new_job(what);
		break;
	case 5:
		fz.deaf = true;
		if (s != NULL)
			s->deaf = !s->deaf;
		break;
	case 6:
		fz.away = !fz.away;
		break;
	case 7:
		queue_turns_over();
		break;
	}
	pump(2);
}

static void
say(const uint8_t *p, size_t n)
{
	struct server *s = newest();

	if (s != NULL && n > 0)
		(void)send(s->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void
script(const uint8_t *p, size_t n)
{
	const uint8_t *mark;

	while (n > 0) {
		mark = memchr(p, 0xff, n);
		say(p, mark == NULL ? n : (size_t)(mark - p));
		pump(1);
		if (mark == NULL || mark + 1 == p + n)
			return;
		deed(mark[1]);
		n -= (size_t)(mark + 2 - p);
		p = mark + 2;
	}
}

/* ---- one input ---- */

/* The messages: short; with dots and bytes that need 8BITMIME; long; one that may not leave. */
static void
write_messages(void)
{
	static const char *const begin[JOBS] = { "Subject: short\r\n\r\n", "Subject: \xc3\xa4\r\n\r\n.\r\n..\r\n.x\xc3\xa4\r\n",
	    "Subject: long\r\n\r\n", "Subject: bare\r\n\r\na\nb\rc\r\n" };
	struct buf b = BUF_INIT;
	unsigned i, k;

	fz.message = memfd_create("segment", MFD_CLOEXEC);
	for (i = 0; i < JOBS; i++) {
		fz.offset[i] = b.len;
		buf_adds(&b, begin[i]);
		for (k = 0; i == 2 && k < 2000; k++)
			buf_addf(&b, "line %u of a message that needs more than one write of its bytes\r\n", k);
		buf_addf(&b, "the end of %u\r\n", i);
		fz.length[i] = b.len - fz.offset[i];
		fz.crc[i] = crc32c(0, buf_data(&b) + fz.offset[i], fz.length[i]);
	}
	check(fz.message != -1 && write(fz.message, buf_data(&b), b.len) == (ssize_t)b.len);
	buf_free(&b);
}

static void
once(void)
{
	static const char text[] = "hostname mx.test\ndomain example.test\nspool \"/nowhere\"\nruntime \"/nowhere\"\n"
	    "action one relay via smtp://192.0.2.1:25\naction two relay via smtp://192.0.2.1:25, smtp://192.0.2.2:25\n"
	    "match from any for any action one\ndestination * { concurrency 2 }\n";
	struct conf_errors errors = { NULL, 0, 0 };

	fz.conf = conf_parse(text, sizeof text - 1, 1, &errors);
	check(fz.conf != NULL);
	conf_errors_free(&errors);
	log_init("fuzz");
	log_target(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_TO_FILE, LOG_TEXT);
	ev_init();
	write_messages();
	route_conf(fz.conf);
	job_queue(&fz.queue);
	send_segment();
}

static bool
some_left(void)
{
	size_t i;

	for (i = 0; i < JOBS; i++)
		if (fz.job[i].number != 0)
			return true;
	return conn_count() > 0 || !job_all_done();
}

static void
end(void)
{
	unsigned turns;
	size_t i;

	fz.away = true;
	for (turns = 0; turns < 500 && some_left(); turns++) {
		for (i = 0; i < fz.nserver; i++)
			hang_up(&fz.server[i]);
		conn_quit_idle();
		pump(1);
	}
	check(!some_left());
	fz.nserver = 0;
	fz.away = fz.deaf = false;
	on_REST_OVER(&fz.queue, 0, NULL, -1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (n == 0 || n > INPUT)
		return 0;
	if (fz.conf == NULL)
		once();
	new_job(p[0]);
	new_job((uint8_t)(p[0] * 5));
	pump(2);
	script(p + 1, n - 1);
	end();
	return 0;
}
