/*
 * parent: what the files of posternd share. The parent holds the configuration, the listening sockets and its children;
 * it never reads a byte from the network.
 *
 *	main	options, signals, the loop		start	the start as whoever typed the command sees it
 *	stop	the stop				dirs	directories, the lock, accounts
 *	conf	the configuration			sockets	what is listened on
 *	reload	... and its generations			dns	what the resolver reads
 *	log	where the log goes			kids	starting, wiring and restarting the programs
 *	lines	the children's lines on their way there	from_kids	what they say
 *	agents	agents, at deliver's request
 */
#ifndef PARENT_H
#define PARENT_H

#include <sys/types.h>
#include <stdbool.h>
#include <stdint.h>
#include "conf/conf.h"
#include "proc/ev.h"
#include "proc/msg.h"
#include "proc/proc.h"

struct kid {
	const struct proc_row	*row;
	struct parent		*parent;
	unsigned		 instance;
	pid_t			 pid;		/* 0: not running */
	struct edge		*edge;
	struct lines		*lines;		/* of the log; while it runs */
	int64_t			 started;	/* wall ms */
	uint32_t		 restarts;
	uint64_t		 backoff;	/* ms */
	uint64_t		 rewired;	/* ev_now_ms() when it last got a new edge because it asked */
	struct ev_timer		 again;
	unsigned		 unread;	/* configurations that it was sent since it had last read all */
	bool			 ready;
};

struct parent;
struct kids_rows { const struct msg_row *rows; size_t n; };

/* What the programs' messages and ends lead to, for kids.c. */
struct kids_ops {
	struct kids_rows	 from[PROG__MAX];
	void			(*ended)(struct parent *);	/* a program, while stopping */
};

struct parent {
	/* options */
	const char		*file;
	struct conf_define	*define;
	size_t			 ndefine;
	bool			 foreground, verbose;
	/* what is in force */
	bool			 root;
	struct conf		*conf;
	struct buf		 text;
	uint32_t		 generation;
	int64_t			 started;
	char			 libexec[4096];
	char			*spool, *runtime, *empty;	/* absolute */
	struct { uid_t uid; gid_t gid; } as[PROG__MAX];	/* the accounts, as root */
	int			 lock;		/* descriptor of RUNTIME/posternd.lock */
	int			*listen;	/* by index of conf->listen; -1: not to be had */
	size_t			 nlisten;
	int			 control;
	int			 limits;	/* memory file of the shared counts */
	void			*limits_map;
	bool			 accept;	/* listeners take connections */
	bool			 up;		/* all programs have been ready */
	const struct kids_ops	*kids_ops;
	struct kid		*kid;
	size_t			 nkid;
	uint32_t		*reload;	/* who asked for one that is not made yet: the queue's numbers */
	size_t			 nreload;
	struct ev_timer		 reload_timer;
	uint64_t		 reloaded;	/* ev_now_ms() of the last one */
	enum { UP, DRAIN_LISTENERS, DRAIN_DELIVER, CLOSING } stop;
	struct ev_timer		 stop_timer;
};

/* start.c */
void	 start_clean(void);		/* no descriptor but 0, 1 and 2, which there are */
void	 start_detach(void);		/* into the background; the command waits for start_ready */
void	 start_silence(int fd);		/* it becomes /dev/null */
void	 start_ready(void);
/* It cannot be: why, on the terminal and in the log, and the exit status (sysexits.h). */
void	 start_fail(int status, const char *, ...) __attribute__((format(printf, 2, 3), noreturn));

/* conf.c: errors go to the log (or stderr for check); NULL if there is any. */
struct conf *parent_conf_load(struct parent *, struct buf *text, struct buf *errors);
int	 parent_conf_fd(const struct parent *);		/* a sealed memory file of the text */

/* reload.c */
void	 parent_reload_init(struct parent *);
/* -> NULL, or the errors, a line each; the old configuration stays in force then, and the log says why. */
const char *parent_reload(struct parent *, struct buf *errors);
void	 parent_reload_ask(struct parent *, struct edge *queue, uint32_t id);	/* soon; RELOADED goes to the queue then */

/* log.c */
void	 parent_log_open(struct parent *);		/* what the configuration says: at the start, at each reload, at SIGUSR1 */
/* NULL, or why the log of that configuration cannot be opened. */
const char *parent_log_bad(const struct parent *, const struct conf *);

/* dirs.c: start_fail with a reason and what to do. */
void	 parent_dirs(struct parent *);
/* Whose rights each program gets. NULL, or which account is missing: then those of before hold. */
const char *parent_accounts(struct parent *);

/* dns.c: to the resolver, now and when they change. NULL: it is gone. */
void	 parent_dns(struct edge *);

/* sockets.c */
void	 parent_bind(struct parent *);			/* at start: start_fail if an address cannot be had */
/* At a reload: what stays keeps its socket. NULL, or why the new set cannot be had (the old one stays). */
const char *parent_rebind(struct parent *, const struct conf *);
void	 parent_unlisten(struct parent *);		/* at a stop: clients that no listener is left for are refused at once */
void	 parent_bind_local(struct parent *);		/* control.sock; submit.sock is a listener's */
void	 parent_unbind_local(struct parent *);

/* kids.c */
void	 kids_make(struct parent *, const struct kids_ops *);
void	 kids_start(struct parent *);
void	 kids_reap(struct parent *);			/* SIGCHLD */
void	 kids_conf(struct parent *);			/* a new generation to all */
void	 kids_accept(struct parent *);
bool	 kids_running(const struct parent *, enum prog);	/* PROG_PARENT: any */
void	 kids_drain(struct parent *, enum prog);
void	 kids_close(struct parent *);
void	 kids_kill(struct parent *);
struct edge *kids_edge(struct parent *, enum prog);	/* the first of that program, NULL if it is down */
void	 kids_rewire(struct kid *, enum prog, unsigned instance);	/* it has lost that one: both get a new edge, now and then */

/* from_kids.c */
extern const struct kids_ops from_kids;

/* agents.c */
bool	 agents_reap(pid_t, int status);		/* true: it was an agent */
void	 agents_again(struct parent *, struct edge *deliver);	/* what waited for an agent's end; NULL: is forgotten */
void	 agents_ask(struct parent *, struct edge *deliver, uint32_t id, const struct p_agent_ask *);

/* stop.c */
void	 parent_stop_init(struct parent *);
void	 parent_stop(struct parent *, bool drain);
void	 parent_stop_step(struct parent *);		/* a child ended while stopping */

#endif
