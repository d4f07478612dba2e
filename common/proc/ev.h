/*
 * ev: the event loop, one turn at a time; the only owner of libevent.
 *
 * Every program's main loop is  while (...) { ev_turn(); its own steps; }.  A turn first runs what was deferred
 * (flushes of edges, sockets and the log), then waits for events and runs their callbacks.
 * Handles are embedded in their owners' structs, which must clear them before they are freed.
 */
#ifndef EV_H
#define EV_H

#include <stdbool.h>
#include <stdint.h>

#define EV_R 1
#define EV_W 2

struct ev_fd {
	void	*h;				/* libevent's handle */
	void	(*cb)(void *arg, int what);	/* what: EV_R | EV_W */
	void	*arg;
	int	 fd;
	int	 want;
};

struct ev_timer {
	void	*h;
	void	(*cb)(void *arg);
	void	*arg;
	uint64_t due;				/* ev_now_ms() time; 0: not set */
};

/* Something to be done at the end of this turn, once however often it is asked for. */
struct ev_defer {
	struct ev_defer	*next;
	void		(*cb)(void *arg);
	void		*arg;
	bool		 queued;
};

void	 ev_init(void);
void	 ev_turn(void);
void	 ev_wake(void);				/* the next turn does not wait */

void	 ev_fd_init(struct ev_fd *, int fd, void (*)(void *, int), void *);
void	 ev_fd_want(struct ev_fd *, int what);	/* 0: nothing for now */
void	 ev_fd_clear(struct ev_fd *);		/* does not close fd */

void	 ev_timer_init(struct ev_timer *, void (*)(void *), void *);
void	 ev_timer_set(struct ev_timer *, uint64_t ms);	/* from now; replaces what was set */
void	 ev_timer_clear(struct ev_timer *);

void	 ev_defer_init(struct ev_defer *, void (*)(void *), void *);
void	 ev_defer(struct ev_defer *);
void	 ev_defer_clear(struct ev_defer *);

void	 ev_signal(int sig, void (*)(int));	/* cb runs in the loop, not in the signal handler */

uint64_t ev_now_ms(void);			/* monotonic, taken once a turn */
int64_t	 ev_time_ms(void);			/* wall clock, ms since 1970, taken once a turn */
uint64_t ev_busy_us(void);			/* since this turn stopped waiting: since its first callback began */

#endif
