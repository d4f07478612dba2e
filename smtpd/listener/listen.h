/*
 * listen: accepts clients at the doors.
 *
 * Doors come from the parent (LISTEN) after each configuration.
 */
#ifndef LISTEN_H
#define LISTEN_H

#include <stdbool.h>

struct conf_listen;
struct edge;

void	 door_open(int fd, const struct conf_listen *);
void	 doors_close(void);			/* all; their sessions go on */
void	 doors_start(void);			/* nobody is accepted before */
void	 doors_accept(bool);			/* pause, go on */
void	 doors_shut(void);			/* for good: who comes is told so */
void	 doors_resolver(struct edge *);		/* asked for clients' names by PTR; NULL: gone */

#endif
