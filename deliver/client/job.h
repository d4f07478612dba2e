/*
 * job: what the queue handed over to be delivered, until it acknowledged what became of it.
 *
 * Made by on_JOB, given to route; whoever works on it (relay, mailbox) settles its recipients one by one. With the last
 * one settled the result goes to the queue, and the job stays until JOB_ACK, to be sent again to a new queue. Whoever keeps a
 * pointer to a job beyond that (a transaction that still awaits answers) holds it.
 */
#ifndef JOB_H
#define JOB_H

#include <sys/queue.h>
#include <sys/tree.h>
#include <stdbool.h>
#include <stdint.h>
#include "proc/msg.h"

#define DRAIN_MS	5000		/* what is handed back at a stop is not to come again before the end */

struct convert_plan;
struct seg;

struct verdict {
	enum outcome	 outcome;
	unsigned	 code;		/* the server's; 0: no server said it */
	char		 dsn[12];
	char		 given[12];	/* the enhanced code that the server itself gave before its text; "": none, or text has it already */
	const char	*text;		/* the server's words, or ours */
	const char	*step;		/* "RCPT TO": what the server answered; NULL: our own words */
	const char	*relay;		/* the host it is of; NULL: the one that its job was taken to last */
};

struct rcpt {
	uint32_t	 n;		/* the queue's number of it */
	uint8_t		 notify;
	bool		 busy;		/* in a transaction */
	bool		 done;
	bool		 noted;		/* verdict says what happened so far */
	bool		 remote_dsn;	/* it went to a host that does DSN */
	const char	*addr, *orig, *orcpt;
	struct verdict	 verdict;	/* its text is the recipient's own, its relay the job's */
	char		*text;
};

struct job_relay {
	struct job_relay *next;
	char		 name[];		/* "host[address]:port" */
};

struct job {
	RB_ENTRY(job)	 entry;
	TAILQ_ENTRY(job) wait;		/* in the one line it waits in */
	uint64_t	 number, id;
	unsigned	 run;		/* which of the queues since our start sent it */
	uint32_t	 generation;
	uint16_t	 action;
	uint8_t		 ret, body, smtputf8;
	bool		 old;			/* it waited before: others go first */
	uint32_t	 flags, attempt;
	const char	*domain, *sender, *envid;
	int64_t		 arrival, handed;	/* wall ms */
	int64_t		 taken;			/* a connection or agent took it; 0: not yet */
	int64_t		 setup;			/* ms that connection took to be made */
	uint64_t	 since;			/* ev_now_ms() when it began to wait */
	struct seg	*seg;
	uint64_t	 offset, length;
	uint32_t	 crc;			/* of these bytes, as they were accepted */
	struct job_relay *relay;		/* the hosts it was taken to, the last one tried first; NULL: none */
	char		*mx;			/* the MX whose policy holds; NULL: none, or not known */
	struct convert_plan *plan;		/* how it is made 7-bit; NULL: nobody asked yet */
	uint64_t	 rest_ms;
	unsigned	 stale;			/* connections that were found dead before they did anything for it */
	bool		 hurry;			/* the hosts of its destination are to rest no more */
	bool		 ask;			/* the queue wants to know whither it goes */
	bool		 local;			/* logged as "local", not "smtp" */
	bool		 sent;			/* its result went to the queue that is there now */
	bool		 acked;			/* freed when nobody holds it */
	unsigned	 held;
	uint32_t	 nrcpt, open;		/* open: not done yet */
	struct rcpt	 rcpts[];
};
TAILQ_HEAD(job_list, job);

/* A new queue (told what is here at once), or NULL: it is gone. */
void	 job_queue(struct edge *);
/* No job that is not settled; with NULL for a queue, or all acknowledged. */
bool	 job_all_done(void);

/* The bytes that the queue has are not those that it accepted. */
struct verdict verdict_damaged(void);
struct verdict verdict(enum outcome, const char *dsn, const char *text);	/* our own words */
/* What happened so far, for when nothing better comes: a temporary trouble replaces a final one, not the reverse. */
void	 rcpt_note(struct job *, struct rcpt *, const struct verdict *);
/* Final: logged; with the last open recipient the job is reported. */
void	 rcpt_settle(struct job *, struct rcpt *, const struct verdict *);
/* All recipients that are open (and not busy) alike. */
void	 job_settle(struct job *, const struct verdict *);
void	 job_hold(struct job *);
void	 job_drop(struct job *);
/* Back to the queue: no attempt, not before ms from now; why: what the recipients are told, "": nothing. */
void	 job_put_off(struct job *, uint64_t ms, const char *dsn, const char *why);
void	 job_not_before(struct job *, uint64_t ms);
void	 job_relay(struct job *, const char *relay);	/* the host that has it now */
void	 job_mx(struct job *, const char *mx);	/* NULL is fine */
void	 job_at(struct job *, const char *hosts);	/* in words; the queue is told if it asked */

/* report.c: the log line of a settled recipient. */
void	 report(const struct job *, const struct rcpt *);

#endif
