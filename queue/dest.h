/*
 * dest: destinations (action, domain): what waits for each, whose turn it is, how much of it is in flight. Pure code.
 *
 * Used by sched.c. A parcel is what one message has for one destination. Destinations that may send stand in one round:
 * each gives a job of at most DEST_JOB recipients and goes to its end; those with new mail are served first (turns.h), and so it is within
 * each. Within a destination the senders take turns: they are spread over a few flows by a hash, so that a newsletter does not stand
 * before everybody else's mail.
 */
#ifndef DEST_H
#define DEST_H

#include <sys/queue.h>
#include <stdbool.h>
#include <stdint.h>
#include "message.h"
#include "turns.h"

#define DEST_JOB	100		/* most recipients of a job */
#define DEST_FLOWS	8
#define DEST_LINE_LEAST	20		/* parcels that a flow may have in memory, whoever else needs room */
#define DEST_IDLE_MAX	1000		/* destinations kept without work, for the next message */

struct parcel {
	TAILQ_ENTRY(parcel)	 link;		/* of its destination */
	LIST_ENTRY(parcel)	 mlink;		/* of its message */
	struct dest		*d;
	struct message		*m;
	uint32_t		 first, last, count;	/* chained by rcpts[].next */
};

TAILQ_HEAD(parcel_list, parcel);
struct flow {
	struct parcel_list parcels;
	unsigned	 line;			/* how many */
};

struct dest {
	char		*action, *domain;	/* domain in lower case */
	char		*mx;			/* its best one, as the last job knew it; NULL: not known, or none */
	struct flow	 flow[LINE__N][DEST_FLOWS];
	unsigned	 turn[LINE__N];		/* the flow that gives next, if it has any */
	unsigned	 lines[LINE__N], line;	/* parcels of each, of both */
	struct turns	 turns;
	struct flow	*hurried;		/* it gives next; NULL: as usual */
	enum line	 stands;		/* DEST_READY: among those that have new mail, or the others */
	unsigned	 flying, window;	/* jobs */
	unsigned	 most;			/* recipients of a job */
	int64_t		 pace;			/* between two jobs that ended, in 1/1024 ms, on average */
	int64_t		 ended;			/* when the last one did */
	int64_t		 booked;		/* what was put off last comes back then */
	uint32_t	 generation;		/* of the configuration that window and kind are from */
	int		 index;			/* of the action; -1: not there any more */
	int		 kind;			/* enum action_kind */
	int64_t		 rest;			/* nothing is sent before; clock_now(); 0: it does not rest */
	int64_t		 since;			/* it rests */
	struct last	*why;			/* it rests; its own. NULL: nobody said */
	int64_t		 asked;			/* when an administrator wanted it tried last */
	bool		 hurry;			/* ... and no job was sent since then */
	uint64_t	 hash;
	enum { DEST_IDLE, DEST_WAITING, DEST_READY, DEST_RESTING } where;
	struct dest	*hash_next;
	TAILQ_ENTRY(dest) link;			/* in the list that where tells */
};

/* Fills in window, most and index of a destination (new, of another generation, or with another MX). */
void	 dest_init(void (*policy)(struct dest *), uint32_t generation);
struct dest *dest_get(const char *action, const char *domain, int64_t now);
/* Its MX; NULL: not known, or the destination is forgotten. */
const char *dest_mx(const char *action, const char *domain);
void	 dest_set_mx(struct dest *, const char *mx);	/* the configuration's values are taken anew if that is another one */
/* Puts recipient n of m into the parcel that m has there (the newest one), or into a new one. Its state becomes R_QUEUED. */
void	 dest_add(struct dest *, struct message *, uint32_t n);
/* Has the message's flow room in memory, of which so many parcels are left? If not: when should it come back? 0: it has. */
int64_t	 dest_put_off(struct dest *, const struct message *, unsigned left, int64_t now);
/* Whose turn it is; NULL: nobody may send. */
struct dest *dest_next(void);
/* Takes a job's worth off its first parcel (at most max recipients, R_FLYING now) -> first recipient, count; one more is flying. */
struct message *dest_take(struct dest *, uint32_t max, uint32_t *first, uint32_t *count);
/* The same for a message whose turn it is, whoever waits in front of it; NULL: nothing of it waits. */
struct dest *dest_hurry(struct message *);
void	 dest_job_held(struct dest *);		/* a job of before is in flight */
void	 dest_job_done(struct dest *);
void	 dest_pace(struct dest *, int64_t now);	/* one of its jobs ended */
/* Nothing is sent to it before that time; why is copied, NULL: nobody said. */
void	 dest_rest(struct dest *, int64_t now, int64_t until, const struct last *why);
/* An administrator wanted it tried then: a rest that began before is over, and the next job is to hurry. */
void	 dest_ask(struct dest *, int64_t asked);
void	 dest_rest_domain(const char *domain, int64_t until);	/* every destination of that domain; 0: its rest is over */
void	 dest_wake(int64_t now);		/* those whose rest is over stand in the round again */
void	 dest_wake_all(void);			/* every rest is over */
int64_t	 dest_wake_at(void);			/* the soonest end of a rest with work waiting; INT64_MAX: none */
/*
 * The first waiting parcel of a resting destination that rests until after that time; taken out, its recipients are R_IDLE with due = end
 * of the rest, and told why. They are chained from first on.
 */
struct message *dest_evict(int64_t after, struct dest **, uint32_t *first);
/* All that waits of this message is taken out, its recipients are R_IDLE, due at once. */
void	 dest_drop(struct message *, int64_t now);
/*
 * A new configuration: windows and indices are made again. What waits for an action that is gone is taken out (R_IDLE) and
 * given to cb, which may route it anew or free the message.
 */
void	 dest_regenerate(uint32_t generation, int64_t now, void (*cb)(struct message *));
unsigned dest_count(void);			/* with work */

#endif
