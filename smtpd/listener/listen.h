/*
 * door: a listening socket, and what its clients are told.
 *
 * Doors come from the parent (LISTEN) after each configuration; a session holds the door it came in by, so the texts
 * outlive a reload.
 */
#ifndef DOOR_H
#define DOOR_H

#include <stdbool.h>
#include <stdint.h>
#include "proc/ev.h"

struct conf_listen;
struct edge;
struct session;

struct door {
	struct ev_fd	 ev;		/* fd -1: closed, some sessions are left */
	unsigned	 refs;
	char		*hostname, *tag, *banner;	/* tag "" if none, banner may be NULL */
	bool		 normalise, socket;
};

void	 door_open(int fd, const struct conf_listen *);
void	 doors_close(void);			/* all; their sessions go on */
void	 doors_start(void);			/* nobody is accepted before */
void	 doors_accept(bool);			/* pause, go on */
void	 doors_shut(void);			/* for good: who comes is told so */
struct door *door_hold(struct door *);
void	 door_release(struct door *);

/* The client's name by PTR, asked in parallel: session_named() hears of it. */
void	 door_resolver(struct edge *);		/* NULL: gone */
void	 door_ask_name(struct session *);

#endif
