/*
 * child: see child.h. What every program does alike: it drops its rights, hears its configuration and its edges from the
 * parent, and turns its loop until the parent's edge closes or it was told to end.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "program/child.h"
#include "proc/ev.h"
#include "base/log.h"
#include "proc/proc.h"
#include "program/sandbox.h"
#include "base/xmalloc.h"

#define CONF_MAX	(64 * 1024 * 1024)
#define ALONE_MS	(60 * 1000)	/* a peer that died is there again by then, or the parent has no success with it */

MSG_RECEIVER(PARENT_TO_ANY)
MSG_SENDER(ANY_TO_PARENT)

static const struct msg_row any_rows[] = { MSG_ROWS(PARENT_TO_ANY) };
#define N_ANY (sizeof any_rows / sizeof any_rows[0])

/* A peer whose edge ended. Both may live: one has thrown the other out. Kept for good, there are few. */
struct missing {
	struct missing	*next;
	enum prog	 prog;
	unsigned	 instance;
	struct ev_timer	 timer;
};

static struct {
	const struct child_ops	*ops;
	struct edge		*parent;
	struct conf		*conf;
	struct edge		**peer;		/* all edges to siblings */
	size_t			 npeer, cap;
	struct missing		*missing;
	bool			 quit;
} child;

/* ---- edges ---- */

static void
still_missing(void *arg)
{
	struct missing *m = arg;

	if (child.parent == NULL)
		return;
	send_ALONE(child.parent, 0, &(struct p_edge){ (uint8_t)m->prog, (uint16_t)m->instance }, -1);
	ev_timer_set(&m->timer, ALONE_MS);
}

static struct missing *
missing(enum prog prog, unsigned instance)
{
	struct missing *m;

	for (m = child.missing; m != NULL; m = m->next)
		if (m->prog == prog && m->instance == instance)
			return m;
	m = xcalloc(1, sizeof *m);
	m->prog = prog;
	m->instance = instance;
	ev_timer_init(&m->timer, still_missing, m);
	m->next = child.missing;
	child.missing = m;
	return m;
}

static void
forget(struct edge *e)
{
	size_t i;

	for (i = 0; i < child.npeer; i++)
		if (child.peer[i] == e) {
			child.peer[i] = child.peer[--child.npeer];
			return;
		}
}

static void
peer_closed(struct edge *e, void *arg)
{
	(void)arg;
	forget(e);
	ev_timer_set(&missing(edge_peer(e), edge_instance(e))->timer, ALONE_MS);
	child.ops->gone(e, edge_peer(e), edge_instance(e));
}

static void
peer_drained(struct edge *e, void *arg)
{
	(void)arg;
	if (child.ops->drained != NULL)
		child.ops->drained(e);
}

static const struct edge_ops peer_ops = { peer_closed, peer_drained };

static void
parent_closed(struct edge *e, void *arg)
{
	(void)e;
	(void)arg;
	child.parent = NULL;
	child_quit();
}

static const struct edge_ops parent_ops = { parent_closed, NULL };

/* A restarted peer's new edge may come before the old one's end was read. */
static void
replace(enum prog prog, unsigned instance)
{
	struct edge *e;
	size_t i;

	for (i = 0; i < child.npeer; i++) {
		e = child.peer[i];
		if (edge_peer(e) == prog && edge_instance(e) == instance) {
			peer_closed(e, NULL);
			edge_close(e);
			return;
		}
	}
}

void
on_EDGE(struct edge *parent, uint32_t id, struct p_edge *p, int fd)
{
	const struct child_peer *row = child.ops->peers;
	struct edge *e;
	size_t i;

	(void)parent;
	(void)id;
	for (i = 0; i < child.ops->n_peers && row[i].peer != p->peer; i++)
		;
	if (i == child.ops->n_peers)
		fatalx("an edge to %u, which this program has no messages with", p->peer);
	replace(p->peer, p->instance);
	ev_timer_clear(&missing(p->peer, p->instance)->timer);
	if (child.npeer == child.cap) {
		child.cap = child.cap * 2 + 4;
		child.peer = xreallocarray(child.peer, child.cap, sizeof *child.peer);
	}
	e = edge_new(fd, p->peer, p->instance, row[i].rows, row[i].nrows, &peer_ops, NULL);
	child.peer[child.npeer++] = e;
	child.ops->peer(e, p->peer, p->instance);
}

/* ---- the rest of what the parent says ---- */

static char *
read_sealed(int fd, size_t *len)
{
	const int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
	struct stat st;
	char *text;

	if ((fcntl(fd, F_GET_SEALS) & seals) != seals || fstat(fd, &st) == -1 || st.st_size > CONF_MAX)
		fatalx("the configuration did not come in a sealed memory file");
	*len = (size_t)st.st_size;
	text = xmalloc(*len + 1);
	if (pread(fd, text, *len, 0) != st.st_size)
		fatal("reading the configuration");
	text[*len] = '\0';
	return text;
}

void
on_CONF(struct edge *parent, uint32_t id, struct p_conf *p, int fd)
{
	struct conf_errors errors = { NULL, 0, 0 };
	struct conf *old = child.conf;
	size_t len;
	char *text = read_sealed(fd, &len);

	(void)parent;
	(void)id;
	close(fd);
	if ((child.conf = conf_parse(text, len, p->generation, &errors)) == NULL)
		fatalx("the parent's configuration does not parse: %s", errors.n > 0 ? errors.v[0].text : "no reason");
	conf_errors_free(&errors);
	free(text);
	log_level(p->verbose ? LOG_LV_DEBUG : child.conf->log_level);
	if (child.ops->conf != NULL)
		child.ops->conf(child.conf);
	if (old != NULL)
		conf_free(old);
}

void
on_START(struct edge *parent, uint32_t id, struct p_none *p, int fd)
{
	(void)id;
	(void)p;
	(void)fd;
	if (child.ops->start != NULL)
		child.ops->start();
	send_READY(parent, 0, NULL, -1);
}

void
on_DRAIN(struct edge *parent, uint32_t id, struct p_none *p, int fd)
{
	(void)parent;
	(void)id;
	(void)p;
	(void)fd;
	if (child.ops->drain != NULL)
		child.ops->drain();
	else
		child.quit = true;
}

/* ---- the life ---- */

void
child_start(int argc, char **argv, const struct child_ops *ops)
{
	struct msg_row *rows;

	log_init(ops->log_name);
	proc_drop(argc, argv, ops->prog);
	setproctitle("-postern: %s", prog_name(ops->prog));
	sandbox_enter(ops->prog);
	ev_init();
	child.ops = ops;
	/* The rows live as long as the process. */
	rows = xcalloc(N_ANY + ops->n_parent_rows, sizeof *rows);
	memcpy(rows, any_rows, sizeof any_rows);
	if (ops->n_parent_rows > 0)
		memcpy(rows + N_ANY, ops->parent_rows, ops->n_parent_rows * sizeof *rows);
	child.parent = edge_new(3, PROG_PARENT, 0, rows, N_ANY + ops->n_parent_rows, &parent_ops, NULL);
}

bool
child_turn(void)
{
	if (!child.quit)
		ev_turn();
	return !child.quit;
}

void
child_quit(void)
{
	child.quit = true;
	ev_wake();
}

int
child_end(void)
{
	while (child.npeer > 0)
		edge_close(child.peer[--child.npeer]);
	log_flush();
	return 0;
}

struct edge *
child_parent(void)
{
	return child.parent;
}

const struct conf *
child_conf(void)
{
	return child.conf;
}
