/*
 * lines: see lines.h. Owns the pipes' reading ends and what was read from them.
 *
 * All pipes are read in one sweep, and their lines written in the order they were made: a line is not written before what another
 * program may have said earlier has been read, since who looks at a log takes its order for that of the events. A sweep is at once when
 * nothing came for a while and every SWEEP_MS while lines come, so that a busy system has many lines a read.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "proc/ev.h"
#include "base/log.h"
#include "base/log_line.h"
#include "parent/lines.h"
#include "base/xmalloc.h"

#define SWEEP_MS	5
#define PIPE_SIZE	(1024 * 1024)
#define NS		1000000000ULL
#define LINE_BYTES	(LOG_TEXT_MAX + 256)	/* a record with its head */
#define SOON		NS		/* no line can be made later than this after now */
#define TOLD_NS		NS		/* between two words on lines dropped */

/* What a child may say: bytes a second, how much of it at once, and how much is read in one sweep. */
struct share {
	uint64_t	 rate, burst;
	size_t		 sweep;
};
static const struct share program_share = { 16 << 20, 64 << 20, 256 << 10 };
static const struct share agent_share = { 4 << 10, 64 << 10, 16 << 10 };	/* its user may trace it */

struct lines {
	struct lines		*next;
	const struct proc_row	*row;
	const struct share	*share;
	pid_t			 pid;
	struct ev_fd		 fd;
	struct buf		 in;
	bool			 eof;
	struct log_record	 head;		/* the first line in the buffer, if head_len > 0 */
	size_t			 head_len;	/* with its LF */
	uint64_t		 last;		/* when its last line was made */
	uint64_t		 left, filled;	/* of its share: bytes, at that time */
	uint64_t		 dropped, told;
};

static struct lines *all;
static struct ev_timer timer;
static bool sweeping;			/* by the timer; nothing is waited for */

/* ---- one line ---- */

/* The name it gave if it is one of its own, else its first. */
static void
name_of(const struct lines *l, const struct log_record *r, char *name, size_t size)
{
	const char *own = l->row->names, *found = own;
	size_t n = strcspn(own, " ");

	for (; *own != '\0'; own += strcspn(own, " "), own += *own == ' ')
		if (strcspn(own, " ") == r->name_len && memcmp(own, r->name, r->name_len) == 0) {
			found = own;
			n = r->name_len;
		}
	strlcpy(name, found, n + 1 < size ? n + 1 : size);
}

static void
refill(struct lines *l, uint64_t now)
{
	uint64_t ns = now - l->filled, more;

	if (ns > 60 * NS)
		ns = 60 * NS;
	more = ns * l->share->rate / NS;
	if (more == 0)
		return;
	l->left = l->left + more > l->share->burst ? l->share->burst : l->left + more;
	l->filled = now;
}

static void
write_line(struct lines *l, uint64_t now)
{
	char name[32];
	size_t len = l->head.text_len;

	refill(l, now);
	if (l->left < l->head_len)
		l->dropped++;
	else {
		l->left -= l->head_len;
		name_of(l, &l->head, name, sizeof name);
		if (len > 0 || l->head.name_len > 0)
			log_for(&(struct log_from){ name, (int)l->pid }, l->head.level, l->head.text, len);
	}
	buf_drain(&l->in, l->head_len);
	l->head_len = 0;
}

/* The first line of the buffer to head. False: there is none yet. */
static bool
next_line(struct lines *l, uint64_t now)
{
	const char *p = (const char *)buf_data(&l->in), *nl;
	size_t n;

	if (l->head_len > 0)
		return true;
	if (l->in.len == 0)
		return false;
	nl = memchr(p, '\n', l->in.len);
	n = nl != NULL ? (size_t)(nl - p) : l->in.len;
	if (nl == NULL && n < LINE_BYTES && !l->eof)
		return false;
	l->head_len = nl != NULL ? n + 1 : n;
	if (n > LINE_BYTES)
		n = l->head_len = LINE_BYTES;
	log_record_get(p, n, &l->head);
	/* No clock of a program that works runs backwards, or ahead of ours. */
	if (l->head.ns < l->last || l->head.ns > now + SOON)
		l->head.ns = l->last;
	l->last = l->head.ns;
	return true;
}

/* ---- all of them ---- */

/* -> whether anything came */
static bool
read_one(struct lines *l)
{
	ssize_t n;

	if (l->eof || l->in.len >= l->share->sweep)
		return l->in.len > 0;
	/* Where the bytes lie may change: head is read again. */
	l->head_len = 0;
	n = read(l->fd.fd, buf_reserve(&l->in, l->share->sweep), l->share->sweep);
	if (n > 0)
		buf_grow(&l->in, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		l->eof = true;
	return n > 0;
}

/* What was made before that time, the earliest first; all others may still be overtaken by what was not read. */
static void
write_until(uint64_t until)
{
	struct lines *l, *first;

	for (;;) {
		first = NULL;
		for (l = all; l != NULL; l = l->next)
			if (next_line(l, until) && l->head.ns <= until && (first == NULL || l->head.ns < first->head.ns))
				first = l;
		if (first == NULL)
			return;
		write_line(first, until);
	}
}

static void
tell_dropped(struct lines *l, uint64_t now)
{
	if (l->dropped == 0 || (l->told != 0 && now - l->told < TOLD_NS))
		return;
	log_warn("%s[%d] says more than its share of the log holds: %llu lines dropped", l->row->file, (int)l->pid, (unsigned long long)l->dropped);
	l->dropped = 0;
	l->told = now;
}

/* -> whether there is more to come soon */
static bool
sweep(void)
{
	struct lines *l;
	uint64_t now = log_clock();
	bool more = false;

	for (l = all; l != NULL; l = l->next)
		more |= read_one(l);
	write_until(now);
	for (l = all; l != NULL; l = l->next) {
		tell_dropped(l, now);
		more |= l->head_len > 0 || l->dropped > 0;
		if (l->in.len == 0)
			buf_reset(&l->in, 4 * l->share->sweep);	/* mapping it anew each time costs more than the lines */
	}
	return more;
}

static void
want(void)
{
	struct lines *l;

	for (l = all; l != NULL; l = l->next)
		ev_fd_want(&l->fd, sweeping || l->eof ? 0 : EV_R);
}

static void
swept(void *arg)
{
	bool was = sweeping;

	(void)arg;
	sweeping = sweep();
	if (sweeping)
		ev_timer_set(&timer, SWEEP_MS);
	if (sweeping != was)
		want();
}

static void
readable(void *arg, int what)
{
	(void)arg;
	(void)what;
	if (sweeping)
		return;
	swept(NULL);
}

/* ---- their life ---- */

struct lines *
lines_new(const struct proc_row *row, int *say)
{
	struct lines *l;
	int p[2];

	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) == -1) {
		log_error("no pipe for the log lines of %s: %s", row->file, strerror(errno));
		if ((*say = open("/dev/null", O_WRONLY | O_CLOEXEC)) == -1)
			fatal("/dev/null");
		return NULL;
	}
	*say = p[1];
	l = xcalloc(1, sizeof *l);
	l->row = row;
	l->share = row->prog == PROG_AGENT ? &agent_share : &program_share;
	if (row->prog != PROG_AGENT)
		fcntl(p[0], F_SETPIPE_SZ, PIPE_SIZE);	/* as far as it goes */
	l->left = l->share->burst;
	l->filled = log_clock();
	ev_fd_init(&l->fd, p[0], readable, l);
	l->next = all;
	all = l;
	if (timer.cb == NULL)
		ev_timer_init(&timer, swept, NULL);
	ev_fd_want(&l->fd, sweeping ? 0 : EV_R);
	return l;
}

void
lines_of(struct lines *l, pid_t pid)
{
	if (l != NULL)
		l->pid = pid;
}

void
lines_end(struct lines *l)
{
	struct lines **p;
	size_t i;

	if (l == NULL)
		return;
	/* It is dead: the pipe holds no more than its size, whoever else has come to its end of it. */
	sweep();
	for (i = 0; i <= PIPE_SIZE / l->share->sweep && read_one(l); i++)
		write_until(log_clock());
	l->eof = true;
	write_until(log_clock());
	tell_dropped(l, l->told + TOLD_NS);
	for (p = &all; *p != l; p = &(*p)->next)
		;
	*p = l->next;
	ev_fd_clear(&l->fd);
	close(l->fd.fd);
	buf_free(&l->in);
	free(l);
}
