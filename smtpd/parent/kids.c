/*
 * kids: the programs: started, wired to each other, started again with back-off when they die.
 *
 * Which programs have an edge is one table. A (re)started program gets its configuration, its descriptors and one end of a new
 * socketpair for each living peer; the peer gets the other end in place of the old one. What they say is
 * read by the table that kids_make gets.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#include "proc/client_limits.h"
#include "base/log.h"
#include "parent/conf_tables.h"
#include "parent/parent.h"
#include "parent/lines.h"
#include "base/xmalloc.h"

#define BACKOFF_FIRST	100
#define BACKOFF_MOST	30000
#define STEADY_MS	60000		/* who lived this long starts again at once */
#define START_TRIES	3		/* of a program, before all have been ready once */
#define UNREAD_MAX	8		/* configurations that a program may leave unread */
#define REWIRE_MS	10000		/* nobody gets new edges more often by asking */
#define SOCKET_BUFFER	(1024 * 1024)

MSG_SENDER(PARENT_TO_ANY)
MSG_SENDER(PARENT_TO_LISTENER)
MSG_SENDER(PARENT_TO_LOOKUP)
MSG_SENDER(PARENT_TO_QUEUE)

/* In the order of starting: who is asked stands before who asks. */
static const enum prog programs[] = { PROG_RESOLVER, PROG_LOOKUP, PROG_QUEUE, PROG_DELIVER, PROG_LISTENER };
#define NPROGRAMS	(sizeof programs / sizeof programs[0])

static const struct { enum prog a, b; } wires[] = {
	{ PROG_LISTENER, PROG_LOOKUP },
	{ PROG_LISTENER, PROG_RESOLVER },
	{ PROG_LISTENER, PROG_QUEUE },
	{ PROG_QUEUE, PROG_LOOKUP },
	{ PROG_QUEUE, PROG_DELIVER },
	{ PROG_DELIVER, PROG_RESOLVER },
};

/* ---- small things ---- */

static int
dup_cloexec(int fd)
{
	int d = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (d == -1)
		fatal("dup");
	return d;
}

static void
pair(int sv[2])
{
	int size = SOCKET_BUFFER, i;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) == -1)
		fatal("socketpair");
	/* As root beyond the system's limit; as far as it goes otherwise. */
	for (i = 0; i < 2; i++)
		if (setsockopt(sv[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) == -1)
			setsockopt(sv[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

bool
kids_running(const struct parent *p, enum prog prog)
{
	size_t i;

	for (i = 0; i < p->nkid; i++)
		if (p->kid[i].pid != 0 && (prog == PROG_PARENT || p->kid[i].row->prog == prog))
			return true;
	return false;
}

struct edge *
kids_edge(struct parent *p, enum prog prog)
{
	size_t i;

	for (i = 0; i < p->nkid; i++)
		if (p->kid[i].edge != NULL && p->kid[i].row->prog == prog)
			return p->kid[i].edge;
	return NULL;
}

/* What `posternctl status` shows. */
static void
tell_procs(struct parent *p)
{
	struct edge *e = kids_edge(p, PROG_QUEUE);
	struct p_procs m = { .version = POSTERN_VERSION, .started = p->started, .generation = p->generation };
	size_t i;

	if (e == NULL)
		return;
	m.procs = xcalloc(p->nkid + 1, sizeof *m.procs);
	m.procs[m.procs_n++] = (struct p_proc){ "posternd", (uint32_t)getpid(), p->started, 0 };
	for (i = 0; i < p->nkid; i++)
		m.procs[m.procs_n++] = (struct p_proc){ p->kid[i].row->file, (uint32_t)p->kid[i].pid, p->kid[i].started,
		    p->kid[i].restarts };
	send_PROCS(e, 0, &m, -1);
	free(m.procs);
}

/* ---- what a program gets ---- */

static void
send_listens(struct kid *k)
{
	struct parent *p = k->parent;
	struct p_named m;
	size_t i;

	for (i = 0; i < p->nlisten; i++)
		if (p->listen[i] >= 0) {
			m = (struct p_named){ (uint16_t)i, p->conf->listen[i].text };
			send_LISTEN(k->edge, 0, &m, dup_cloexec(p->listen[i]));
		}
	send_ACCEPT(k->edge, 0, &(struct p_number){ p->accept }, -1);
}

static void
listener_setup(struct kid *k, bool fresh)
{
	struct parent *p = k->parent;
	struct p_limits m = { (uint16_t)k->instance, (uint16_t)p->conf->listeners };

	if (fresh) {
		limits_clear(p->limits_map, k->instance);
		send_LIMITS(k->edge, 0, &m, dup_cloexec(p->limits));
	}
	send_listens(k);
}

/* In place of a table that cannot be opened lookup gets what cannot be read: it answers "not now" for it. */
static int
open_table(const struct conf_table *t)
{
	const char *why;
	int fd = conf_open_table(t, &why);

	if (fd == -1) {
		log_error("table %s: cannot read %s: %s (its look-ups fail for now; reload when it is mended)", t->name, t->path, why);
		if ((fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)	/* reading it fails: EISDIR */
			fatal("open /");
	}
	return fd;
}

static void
lookup_setup(struct kid *k, bool fresh)
{
	const struct conf *c = k->parent->conf;
	size_t i;

	(void)fresh;
	for (i = 0; i < c->ntable; i++)
		if (c->table[i].kind == TABLE_FILE)
			send_TABLE(k->edge, 0, &(struct p_named){ (uint16_t)i, c->table[i].name }, open_table(&c->table[i]));
}

static void
queue_setup(struct kid *k, bool fresh)
{
	const struct group *g = getgrnam("posternadm");

	/* The queue, in its chroot, cannot look the group up. */
	if (fresh)
		send_CONTROL(k->edge, 0, &(struct p_number){ g != NULL ? g->gr_gid : 0 }, dup_cloexec(k->parent->control));
}

static void
resolver_setup(struct kid *k, bool fresh)
{
	(void)fresh;
	parent_dns(k->edge);
}

static void
setup(struct kid *k, bool fresh)
{
	static void (*const own[PROG__MAX])(struct kid *, bool) = {
		[PROG_RESOLVER] = resolver_setup, [PROG_LISTENER] = listener_setup, [PROG_LOOKUP] = lookup_setup, [PROG_QUEUE] = queue_setup
	};
	struct parent *p = k->parent;

	send_CONF(k->edge, 0, &(struct p_conf){ p->conf->generation, p->verbose }, parent_conf_fd(p));
	if (own[k->row->prog] != NULL)
		own[k->row->prog](k, fresh);
}

static void
wire(struct kid *a, struct kid *b)
{
	int sv[2];

	pair(sv);
	send_EDGE(a->edge, 0, &(struct p_edge){ (uint8_t)b->row->prog, (uint16_t)b->instance }, sv[0]);
	send_EDGE(b->edge, 0, &(struct p_edge){ (uint8_t)a->row->prog, (uint16_t)a->instance }, sv[1]);
}

static bool
wired(enum prog a, enum prog b)
{
	size_t w;

	for (w = 0; w < sizeof wires / sizeof wires[0]; w++)
		if ((wires[w].a == a && wires[w].b == b) || (wires[w].a == b && wires[w].b == a))
			return true;
	return false;
}

static void
wire_all(struct kid *k)
{
	struct parent *p = k->parent;
	size_t w, i;
	enum prog other;

	for (w = 0; w < sizeof wires / sizeof wires[0]; w++) {
		if (wires[w].a != k->row->prog && wires[w].b != k->row->prog)
			continue;
		other = wires[w].a == k->row->prog ? wires[w].b : wires[w].a;
		for (i = 0; i < p->nkid; i++)
			if (p->kid[i].edge != NULL && p->kid[i].row->prog == other)
				wire(k, &p->kid[i]);
	}
}

void
kids_rewire(struct kid *k, enum prog prog, unsigned instance)
{
	struct parent *p = k->parent;
	size_t i;

	if (p->stop != UP || !wired(k->row->prog, prog) || (k->rewired != 0 && ev_now_ms() - k->rewired < REWIRE_MS))
		return;
	for (i = 0; i < p->nkid; i++) {
		if (p->kid[i].edge == NULL || p->kid[i].row->prog != prog || p->kid[i].instance != instance)
			continue;
		log_warn("%s and %s lost their connection: they get a new one", k->row->file, p->kid[i].row->file);
		k->rewired = ev_now_ms();
		wire(k, &p->kid[i]);
	}
}

/* ---- life and death ---- */

static void
no_edge(struct kid *k)
{
	k->edge = NULL;
	if (k->row->prog == PROG_RESOLVER)
		parent_dns(NULL);
}

static void
lost(struct kid *k)
{
	if (k->edge != NULL)
		edge_close(k->edge);
	no_edge(k);
	if (k->row->prog == PROG_DELIVER)
		agents_again(k->parent, NULL);
	if (k->row->prog == PROG_QUEUE)
		k->parent->nreload = 0;		/* another one does not know of them */
}

/* A child that closed its edge and still runs has gone astray. */
static void
edge_closed(struct edge *e, void *arg)
{
	struct kid *k = arg;

	(void)e;
	no_edge(k);
	if (k->pid != 0 && k->parent->stop == UP)
		kill(k->pid, SIGKILL);
}

static const struct edge_ops edge_ops = { edge_closed, NULL };

static const char *
directory(const struct parent *p, const struct proc_row *row)
{
	return row->root == ROOT_EMPTY ? p->empty : row->root == ROOT_SPOOL ? p->spool : "/";
}

static void
retry_later(struct kid *k)
{
	bool steady = ev_time_ms() - k->started > STEADY_MS;

	k->backoff = steady || k->backoff == 0 ? BACKOFF_FIRST : k->backoff * 2 > BACKOFF_MOST ? BACKOFF_MOST : k->backoff * 2;
	ev_timer_set(&k->again, k->backoff);
}

static void
start(struct kid *k)
{
	struct parent *p = k->parent;
	struct proc_start st = { .row = k->row, .dir = directory(p, k->row) };
	const struct kids_rows *from;
	struct lines *lines;
	int sv[2], say;

	st.uid = p->as[k->row->prog].uid;
	st.gid = p->as[k->row->prog].gid;
	pair(sv);
	lines = lines_new(k->row, &say);
	k->started = ev_time_ms();
	k->ready = false;
	k->unread = 0;
	k->pid = proc_spawn(p->libexec, &st, sv[1], say);
	close(say);
	close(sv[1]);
	if (k->pid == -1) {
		k->pid = 0;
		close(sv[0]);
		lines_end(lines);
		retry_later(k);
		return;
	}
	lines_of(k->lines = lines, k->pid);
	from = &p->kids_ops->from[k->row->prog];
	k->edge = edge_new(sv[0], k->row->prog, k->instance, from->rows, from->n, &edge_ops, k);
	setup(k, true);
	wire_all(k);
	send_START(k->edge, 0, NULL, -1);
	tell_procs(p);
}

static void
again_cb(void *arg)
{
	struct kid *k = arg;

	if (k->parent->stop != UP || k->pid != 0)
		return;
	k->restarts++;
	start(k);
}

static bool
crashed(int status)
{
	static const int signals[] = { SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE, SIGSYS };
	size_t i;

	for (i = 0; WIFSIGNALED(status) && i < sizeof signals / sizeof signals[0]; i++)
		if (WTERMSIG(status) == signals[i])
			return true;
	return false;
}

/* What cannot start at all is said to whoever waits for it, rather than tried for ever behind his back. */
static void
first_start(const struct kid *k, int status, const char *how)
{
	int code = WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : EX_SOFTWARE;

	if (k->parent->up || (k->restarts < START_TRIES && code != EX_TEMPFAIL))
		return;
	kids_kill(k->parent);
	parent_unbind_local(k->parent);
	start_fail(code, "%s %s: Postern cannot start", k->row->file, how);
}

static void
died(struct kid *k, int status)
{
	struct parent *p = k->parent;
	char how[64];
	struct edge *queue;

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		snprintf(how, sizeof how, "tried a system call that its sandbox forbids");
	else if (WIFSIGNALED(status))
		snprintf(how, sizeof how, "was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(how, sizeof how, "exited with %d", WEXITSTATUS(status));
	lost(k);
	lines_end(k->lines);
	k->lines = NULL;
	if (p->stop != UP) {
		log_debug("%s[%d] %s", k->row->file, (int)k->pid, how);
		k->pid = 0;
		p->kids_ops->ended(p);
		return;
	}
	first_start(k, status, how);
	log_as("master", crashed(status) ? LOG_LV_ERROR : LOG_LV_WARN, "%s[%d] %s; starting it again", k->row->file, (int)k->pid, how);
	k->pid = 0;
	if ((queue = kids_edge(p, PROG_QUEUE)) != NULL)
		send_DIED(queue, 0, &(struct p_died){ (uint8_t)k->row->prog, crashed(status) }, -1);
	retry_later(k);
	tell_procs(p);
}

void
kids_reap(struct parent *p)
{
	pid_t pid;
	int status;
	size_t i;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (agents_reap(pid, status)) {
			agents_again(p, kids_edge(p, PROG_DELIVER));
			continue;
		}
		for (i = 0; i < p->nkid; i++)
			if (p->kid[i].pid == pid)
				died(&p->kid[i], status);
	}
}

static void
add_kid(struct parent *p, enum prog prog, unsigned instance)
{
	struct kid *k = &p->kid[p->nkid++];

	k->row = proc_row(prog);
	k->parent = p;
	k->instance = instance;
	ev_timer_init(&k->again, again_cb, k);
}

static void
make_limits(struct parent *p)
{
	size_t size = limits_size(p->conf->listeners);

	p->limits = memfd_create("limits", MFD_CLOEXEC);
	if (p->limits == -1 || ftruncate(p->limits, (off_t)size) == -1)
		fatal("cannot make the shared table of limits");
	p->limits_map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, p->limits, 0);
	if (p->limits_map == MAP_FAILED)
		fatal("cannot map the shared table of limits");
}

void
kids_make(struct parent *p, const struct kids_ops *ops)
{
	size_t i;
	unsigned n;

	make_limits(p);
	p->kids_ops = ops;
	p->kid = xcalloc(NPROGRAMS + p->conf->listeners, sizeof *p->kid);
	for (i = 0; i < NPROGRAMS; i++)
		for (n = 0; n < (programs[i] == PROG_LISTENER ? p->conf->listeners : 1); n++)
			add_kid(p, programs[i], n);
}

void
kids_start(struct parent *p)
{
	size_t i;

	for (i = 0; i < p->nkid; i++)
		start(&p->kid[i]);
}

/* ---- to all of them ---- */

void
kids_conf(struct parent *p)
{
	size_t i;

	for (i = 0; i < p->nkid; i++) {
		struct kid *k = &p->kid[i];

		if (k->edge == NULL)
			continue;
		k->unread = edge_pending(k->edge) == 0 ? 0 : k->unread + 1;
		if (k->unread > UNREAD_MAX) {	/* what it does not take are our descriptors */
			log_error("%s does not read its configurations: it is ended", k->row->file);
			kill(k->pid, SIGKILL);
			lost(k);
		} else
			setup(k, false);
	}
	tell_procs(p);
}

void
kids_accept(struct parent *p)
{
	size_t i;

	for (i = 0; i < p->nkid; i++)
		if (p->kid[i].edge != NULL && p->kid[i].row->prog == PROG_LISTENER)
			send_ACCEPT(p->kid[i].edge, 0, &(struct p_number){ p->accept }, -1);
}

void
kids_drain(struct parent *p, enum prog prog)
{
	size_t i;

	for (i = 0; i < p->nkid; i++)
		if (p->kid[i].edge != NULL && p->kid[i].row->prog == prog)
			send_DRAIN(p->kid[i].edge, 0, NULL, -1);
}

/* Their edge closes, they end. */
void
kids_close(struct parent *p)
{
	size_t i;

	for (i = 0; i < p->nkid; i++)
		lost(&p->kid[i]);
}

void
kids_kill(struct parent *p)
{
	size_t i;

	for (i = 0; i < p->nkid; i++)
		if (p->kid[i].pid != 0)
			kill(p->kid[i].pid, SIGKILL);
}
