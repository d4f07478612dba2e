/*
 * dest: destinations (action, domain): what waits for each, in memory and in the index, and what it waits for itself. Pure code.
 *
 * Used by sched.c and load.c. A parcel is what one message has for one destination. What is in memory stands in the destination's flows,
 * which stand in the round (round.h) while it may send: it does not rest, and its window has room. Of what waits in the index a
 * destination knows the earliest due time and how far it was read: when its line in memory is short it wants more of that (dest_wants), and
 * load.c brings it. A rest is the destination's, not its rows': nothing is read or written for what waits behind it.
 */
#ifndef DEST_H
#define DEST_H

#include <sys/queue.h>
#include <sys/tree.h>
#include <stdbool.h>
#include <stdint.h>
#include "index/index.h"
#include "core/message.h"
#include "core/round.h"

#define DEST_JOB	100		/* most recipients of a job */
#define DEST_LINE_LEAST	20		/* parcels that a destination may have in memory, whoever else needs room */
#define DEST_LOW	5		/* fewer parcels of what waited: more of it is wanted */
#define DEST_PULL	50		/* most at once */
#define DEST_UNKNOWN	4		/* jobs, while its hosts are not known */
#define DEST_IDLE_MAX	1000		/* destinations kept without work, for the next message */

struct parcel {
	TAILQ_ENTRY(parcel)	 link;		/* of its destination */
	LIST_ENTRY(parcel)	 mlink;		/* of its message */
	struct dest		*d;
	struct message		*m;
	uint32_t		 first, last, count;	/* chained by rcpts[].next */
};

/* A walk through its rows in the index, in the order of their due times. */
struct dest_walk {
	bool		 on;
	int64_t		 due;			/* behind this row */
	uint64_t	 id;
};

struct dest {
	char		*action, *domain;	/* domain in lower case */
	char		*mx;			/* its best one, as the last job knew it; NULL: not known, or none */
	uint64_t	 hosts;			/* whither it leads, as deliver told it then; 0: not known */
	int64_t		 hosts_at;
	struct group	*group;
	LIST_ENTRY(dest) glink;
	struct flow	*flow;			/* [LINE__N][ROUND_LANES]; NULL while nothing is in line */
	struct flow	*next;			/* it gives the next job; NULL: any */
	unsigned	 lines[LINE__N], line;	/* parcels of each, of both */
	unsigned	 flying, window;	/* jobs */
	unsigned	 most;			/* recipients of a job */
	uint32_t	 generation;		/* of the configuration that window and kind are from */
	int		 index;			/* of the action; -1: not there any more */
	int		 kind;			/* enum action_kind */
	/* in the index, not in memory */
	int64_t		 due;			/* nothing there is due before that; INT64_MAX: nothing is there */
	struct dest_walk at;			/* ... and what is due behind this row was not read yet; on is unused */
	struct dest_walk early;			/* its hosts are back: what waits for its time because of them is due now */
	struct dest_walk ages;			/* it rests: is there anything too old to wait? */
	uint64_t	 untried;		/* it rests: rows without an attempt of their own, as that walk counted them */
	/* rests */
	bool		 suspended;		/* an administrator's; it has no end of its own */
	bool		 down;			/* something of it may wait because a host could not be reached */
	int64_t		 rest;			/* nothing is sent before; clock_now(); 0: it does not rest */
	int64_t		 since;			/* it rests */
	struct last	*why;			/* it rests; its own. NULL: nobody said */
	int64_t		 asked;			/* when an administrator wanted it tried last */
	bool		 hurry;			/* ... and no job was sent since then */
	uint64_t	 hash;
	enum { DEST_NEW, DEST_IDLE, DEST_STORED, DEST_WAITING, DEST_READY, DEST_RESTING } where;
	enum { CLOCK_NONE, CLOCK_SET, CLOCK_WANTS } clock;
	int64_t		 wake;			/* CLOCK_SET: it looks again then */
	struct dest	*hash_next;
	TAILQ_ENTRY(dest) link;			/* in the list that where tells */
	TAILQ_ENTRY(dest) wants;
	TAILQ_ENTRY(dest) aging;
	RB_ENTRY(dest)	 entry;			/* by wake */
};

/* Fills in most, index, kind, suspended of a destination, and by dest_join the rest (new, of another generation, or with another MX). */
void	 dest_init(void (*policy)(struct dest *), uint32_t generation);
/* For policy: with those of the same key it is one group; windows of it and of the group. */
void	 dest_join(struct dest *, uint64_t key, unsigned window, unsigned group_window, bool local);
uint64_t dest_key(const char *action, const char *domain);	/* for a group of its own */
struct dest *dest_get(const char *action, const char *domain, int64_t now);
struct dest *dest_find(const char *action, const char *domain);	/* NULL: nothing is known of it */
/* Its MX; NULL: not known, or the destination is forgotten. */
const char *dest_mx(const char *action, const char *domain);
void	 dest_set_mx(struct dest *, const char *mx);	/* the configuration's values are taken anew if that is another one */
void	 dest_set_hosts(struct dest *, uint64_t hosts, int64_t now);

/* ---- in memory ---- */
/* Has it room for one more parcel of that message, of the room there is in memory? */
bool	 dest_room(const struct dest *, const struct message *, unsigned left);
/* Puts recipient n of m into the parcel that m has there (the newest one), or into a new one. Its state becomes R_QUEUED. */
void	 dest_add(struct dest *, struct message *, uint32_t n);
/* Whose turn it is; NULL: nobody may send. */
struct dest *dest_next(void);
/* Takes a job's worth off its first parcel (at most max recipients, R_FLYING now) -> first recipient, count; one more is flying. */
struct message *dest_take(struct dest *, uint32_t max, uint32_t *first, uint32_t *count);
/* The same for a message whose turn it is, whoever waits in front of it; NULL: nothing of it waits. */
struct dest *dest_hurry(struct message *);
void	 dest_job_held(struct dest *);		/* a job of before is in flight */
void	 dest_job_done(struct dest *);
/* All that waits of this message is taken out, its recipients are R_IDLE, due as they were. */
void	 dest_drop(struct message *);
/* A parcel that waits for a rest that ends after that time, of a message of which nothing else is under way: as dest_drop. NULL: none */
struct message *dest_evict(int64_t after);

/* ---- in the index ---- */
/* Recipients of that message are there, due then, and not in memory. */
void	 dest_stored(struct dest *, int64_t due, uint64_t id);
/* One that wants more of what is due, and how many rows; room: messages of which memory has room. NULL: none */
struct dest *dest_wants(unsigned room, unsigned *n);
/* Its rows up to that one were read; the next one is due then (INT64_MAX: there is none). */
void	 dest_read(struct dest *, int64_t due, uint64_t id, int64_t next);
void	 dest_read_all_again(void);		/* some row could not be read */
void	 dest_waits_untried(struct dest *, uint64_t n);	/* so many more rows, while it rests */
void	 dest_early_over(struct dest *);
struct dest *dest_aging(void);			/* one whose walk through ages is on */
void	 dest_aged(struct dest *);		/* ... is over */

/* ---- rests ---- */
/* Nothing is sent to it before that time; why is copied, NULL: nobody said. */
void	 dest_rest(struct dest *, int64_t now, int64_t until, const struct last *why);
bool	 dest_rests(const struct dest *, int64_t until);	/* beyond that time */
uint64_t dest_untried(void);			/* recipients that wait for rests, and were not tried themselves */
void	 dest_trouble(struct dest *);		/* a host of it could not be reached */
/* A host of its group took a message: what rests or waits because hosts could not be reached is due. */
void	 dest_good(struct dest *);
/* An administrator wanted it tried then: a rest that began before is over, and the next job is to hurry. */
void	 dest_ask(struct dest *, int64_t asked);
void	 dest_suspend(const char *domain, bool on);	/* every destination of that domain */
/* Those whose time has come; -> when that is so of the next one; INT64_MAX: of none */
int64_t	 dest_wake(int64_t now);
void	 dest_wake_all(void);			/* every rest is over, but for those suspended */

/*
 * A new configuration: windows and indices are made again. What waits for an action that is gone is taken out (R_IDLE) and
 * given to cb, which may route it anew or free the message.
 */
void	 dest_regenerate(uint32_t generation, void (*cb)(struct message *));
unsigned dest_count(void);			/* with work */

#endif
