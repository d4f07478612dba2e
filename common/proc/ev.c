/*
 * ev: see ev.h. One event_base per process; the deferred list is run at the head of a turn until it is empty, since a
 * flush may defer more. Timers are libevent's, re-armed lazily by their owners.
 */
#include <sys/time.h>
#include <event2/event.h>
#include <stdlib.h>
#include <time.h>
#include "proc/ev.h"
#include "base/log.h"

static struct {
	struct event_base	*base;
	struct event		*soon;			/* the log has lines that could not leave */
	struct ev_defer		*first, **last;
	bool			 wake;
	uint64_t		 mono;
	uint64_t		 woken;			/* us, when this turn's first callback began; 0: none has */
	int64_t			 wall;
} loop;

static void
clocks(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	loop.mono = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	if (loop.woken == 0)
		loop.woken = (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
	clock_gettime(CLOCK_REALTIME, &ts);
	loop.wall = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void
took_a_look(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

void
ev_init(void)
{
	struct event_config *cfg = event_config_new();
	struct timeval hour = { 3600, 0 };
	struct event *keep;

	if (cfg == NULL)
		fatalx("event_config_new");
	/* Precise timers would cost a system call each; the loop's own clock is good to a millisecond. */
	event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
	loop.base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	if (loop.base == NULL)
		fatalx("event_base_new");
	loop.last = &loop.first;
	/* Without any event at all the loop would not wait. */
	keep = event_new(loop.base, -1, EV_PERSIST, took_a_look, NULL);
	loop.soon = event_new(loop.base, -1, 0, took_a_look, NULL);
	if (keep == NULL || loop.soon == NULL || event_add(keep, &hour) == -1)
		fatalx("event_new");
	clocks();
}

static void
run_deferred(void)
{
	struct ev_defer *d;

	while ((d = loop.first) != NULL) {
		loop.first = d->next;
		if (loop.first == NULL)
			loop.last = &loop.first;
		d->queued = false;
		d->cb(d->arg);
	}
}

/* The turn waits no longer than the log's lines may. */
static void
flush_log(void)
{
	unsigned ms = log_flush();
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	if (ms > 0 && event_add(loop.soon, &tv) == -1)
		fatal("event_add");
}

void
ev_turn(void)
{
	int flags = EVLOOP_ONCE;

	/* First the log: a line must not come after what another process says in answer to what leaves below. */
	log_flush();
	run_deferred();
	flush_log();
	if (loop.wake)
		flags |= EVLOOP_NONBLOCK;
	/* Before the callbacks: what they ask for is meant for the turn after this. */
	loop.wake = false;
	loop.woken = 0;
	if (event_base_loop(loop.base, flags) == -1)
		fatal("event_base_loop");
}

void
ev_wake(void)
{
	loop.wake = true;
}

/* ---- descriptors ---- */

static void
fd_event(evutil_socket_t fd, short what, void *arg)
{
	struct ev_fd *e = arg;

	(void)fd;
	clocks();
	e->cb(e->arg, (what & EV_READ ? EV_R : 0) | (what & EV_WRITE ? EV_W : 0));
}

void
ev_fd_init(struct ev_fd *e, int fd, void (*cb)(void *, int), void *arg)
{
	*e = (struct ev_fd){ NULL, cb, arg, fd, 0 };
}

void
ev_fd_want(struct ev_fd *e, int want)
{
	short what = (want & EV_R ? EV_READ : 0) | (want & EV_W ? EV_WRITE : 0);

	if (want == e->want)
		return;
	if (e->h == NULL && (e->h = event_new(loop.base, e->fd, EV_PERSIST, fd_event, e)) == NULL)
		fatalx("event_new");
	if (e->want != 0)
		event_del(e->h);
	e->want = want;
	if (want == 0)
		return;
	if (event_assign(e->h, loop.base, e->fd, what | EV_PERSIST, fd_event, e) == -1 || event_add(e->h, NULL) == -1)
		fatal("event_add");
}

void
ev_fd_clear(struct ev_fd *e)
{
	if (e->h != NULL)
		event_free(e->h);
	e->h = NULL;
	e->want = 0;
}

/* ---- timers ---- */

static void
timer_event(evutil_socket_t fd, short what, void *arg)
{
	struct ev_timer *t = arg;

	(void)fd;
	(void)what;
	clocks();
	t->due = 0;
	t->cb(t->arg);
}

void
ev_timer_init(struct ev_timer *t, void (*cb)(void *), void *arg)
{
	*t = (struct ev_timer){ NULL, cb, arg, 0 };
}

void
ev_timer_set(struct ev_timer *t, uint64_t ms)
{
	struct timeval tv = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) };

	if (t->h == NULL && (t->h = event_new(loop.base, -1, 0, timer_event, t)) == NULL)
		fatalx("event_new");
	t->due = loop.mono + ms;
	if (event_add(t->h, &tv) == -1)
		fatal("event_add");
}

void
ev_timer_clear(struct ev_timer *t)
{
	if (t->h != NULL)
		event_free(t->h);
	t->h = NULL;
	t->due = 0;
}

/* ---- the end of the turn ---- */

void
ev_defer_init(struct ev_defer *d, void (*cb)(void *), void *arg)
{
	*d = (struct ev_defer){ NULL, cb, arg, false };
}

void
ev_defer(struct ev_defer *d)
{
	if (d->queued)
		return;
	d->queued = true;
	d->next = NULL;
	*loop.last = d;
	loop.last = &d->next;
}

void
ev_defer_clear(struct ev_defer *d)
{
	struct ev_defer **p;

	if (!d->queued)
		return;
	for (p = &loop.first; *p != d; p = &(*p)->next)
		;
	*p = d->next;
	if (*p == NULL)
		loop.last = p;
	d->queued = false;
}

/* ---- signals and clocks ---- */

static void
signal_event(evutil_socket_t sig, short what, void *arg)
{
	void (**cb)(int) = arg;

	(void)what;
	clocks();
	(*cb)((int)sig);
}

void
ev_signal(int sig, void (*cb)(int))
{
	void (**arg)(int) = malloc(sizeof *arg);
	struct event *e;

	if (arg == NULL)
		fatalx("out of memory");
	*arg = cb;
	e = event_new(loop.base, sig, EV_SIGNAL | EV_PERSIST, signal_event, arg);
	if (e == NULL || event_add(e, NULL) == -1)
		fatalx("ev_signal");
}

uint64_t
ev_now_ms(void)
{
	return loop.mono;
}

int64_t
ev_time_ms(void)
{
	return loop.wall;
}

uint64_t
ev_busy_us(void)
{
	struct timespec ts;
	uint64_t now;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
	if (loop.woken == 0)		/* it was waiting for nothing */
		loop.woken = now;
	return now - loop.woken;
}
