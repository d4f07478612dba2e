/*
 * child: the life of every program that the parent starts: identity, rights, configuration, edges.
 *
 * main() of a program is: child_start(); while (child_turn()) { its own steps }; return child_end().
 * child_start: descriptor 3 is the edge to the parent; drops rights (priv.h) as argv says; sets title, log and loop.
 * The parent then sends CONF, its own messages, EDGE for each peer, START. A child ends when that edge closes.
 */
#ifndef CHILD_H
#define CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include "conf/conf.h"
#include "proc/msg.h"

struct child_peer {			/* whom this program talks to, and what it may hear from them */
	enum prog		 peer;
	const struct msg_row	*rows;
	size_t			 nrows;
};

struct child_ops {
	enum prog		 prog;
	const char		*log_name;		/* "smtpd" in postern/smtpd[pid] */
	const struct msg_row	*parent_rows;		/* its own messages from the parent (PARENT_TO_ANY is added) */
	size_t			 n_parent_rows;
	const struct child_peer	*peers;
	size_t			 n_peers;
	/* A (new) configuration; the old one stays valid until this returns. May be NULL. */
	void			(*conf)(const struct conf *);
	/* A peer appeared (also in place of a dead one, after gone()); send with it from now on. */
	void			(*peer)(struct edge *, enum prog, unsigned instance);
	/* The peer's edge closed: forget it. */
	void			(*gone)(struct edge *, enum prog, unsigned instance);
	/* Edge output fell below EDGE_LOW again; may be NULL. */
	void			(*drained)(struct edge *);
	void			(*start)(void);		/* all is there; may be NULL */
	void			(*drain)(void);		/* finish what is under way, then child_quit(); NULL: quit at once */
};

void	 child_start(int argc, char **argv, const struct child_ops *);
bool	 child_turn(void);			/* one turn of the loop; false: end now */
void	 child_quit(void);
int	 child_end(void);
struct edge *child_parent(void);
const struct conf *child_conf(void);

#endif
