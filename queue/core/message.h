/*
 * message: one queued message in memory: its envelope, and how far each recipient is. One arena holds all of it.
 *
 * Made by intake (new mail), load (from the spool) and bounce (notices); kept by ready.c; used by all of the queue.
 */
#ifndef MESSAGE_H
#define MESSAGE_H

#include <sys/queue.h>
#include <sys/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "proc/msg.h"
#include "spool/spool.h"
#include "mail/lanes.h"

enum rstate {
	R_IDLE,			/* pending, waiting for its time */
	R_ROUTING,		/* its action is being looked for */
	R_QUEUED,		/* in a parcel of its destination */
	R_FLYING,		/* in a job */
	R_OWED,			/* its end is known, the sender must be told first */
	R_NOTICE,		/* ... and the notice is being written */
	R_HELD,
	R_FINAL,
	R__N
};

struct last {			/* what became of the last attempt */
	unsigned	 code;			/* 0: none */
	char		 dsn[12];
	const char	*full, *text, *relay;	/* "450 4.7.1 slow down"; without the code, where a server gave one */
	int64_t		 when;			/* 0: before it was loaded from the index, which does not have it */
	struct last	*before;		/* made before this one, for the same message */
};

enum delay {			/* a notice of the delay, beside the state */
	DELAY_NONE, DELAY_OWED, DELAY_WRITING
};

#define ROW_SAME	1		/* the row says what the mark on the disk says */
#define ROW_OTHER	2		/* the mark came after it: it must be put again. Rows.c's own numbers are odd */

struct job;
struct parcel;

struct rcpt {
	uint8_t		 state;		/* enum rstate */
	uint8_t		 fate;		/* R_OWED, R_NOTICE: the mark to be set when the notice is on disk */
	bool		 tried;		/* in this run */
	bool		 expired;	/* given up for its age */
	bool		 remote_dsn;	/* the host that took it tells the sender itself */
	bool		 notified;	/* its sender was told of the delay */
	uint8_t		 delay;		/* enum delay */
	uint8_t		 later;		/* act.c: what becomes of it when its delivery returns without success; 0: the usual */
	uint32_t	 attempts;
	uint32_t	 next;		/* in a parcel or job; UINT32_MAX: the last */
	int64_t		 due;		/* clock_now(); set by rcpt_due */
	struct job	*job;		/* R_FLYING; or the job whose acknowledgement waits for the notice */
	const struct last *last;	/* NULL: none yet; several recipients may share one */
	uint32_t	 row;		/* what its row in the index is from (rows.c); 0: none; ROW_SAME, ROW_OTHER: as it was loaded */
	bool		 hurry;		/* an administrator wants it tried, since when it is due */
};

struct arena_chunk;
struct message {
	uint64_t	 id;
	struct p_env	 env;			/* strings in the arena, rcpts too while they are few */
	struct loc	 loc;
	uint64_t	 body_off, len;
	uint32_t	 crc;			/* CRC-32C of the message, as it came in */
	struct rcpt	*rcpts;			/* beside env.rcpts */
	uint8_t		*marks;			/* their marks, as in the record */
	uint32_t	 count[R__N];		/* recipients by state */
	uint32_t	 delays;		/* recipients whose delay is to be told, or is being written of */
	uint32_t	 cap;			/* room in env.rcpts */
	const char	*message_id;
	uint32_t	 put_to, put_n;		/* slow: recipients up to this one have their rows; that many, of a new message */
	uint64_t	 ticket;		/* slow: whose turn it is (rows.c) */
	struct last	*latest;		/* the last one that was made */
	int64_t		 look;			/* no idle recipient is due before that, but those that wait for something else than time */
	int64_t		 due_at;		/* dues.c; 0: it is not there */
	int64_t		 since;			/* fresh: clock_now() */
	int64_t		 owed_since;		/* R_OWED, DELAY_OWED: the first one */
	bool		 row, slow, fresh, owed, stuck, lost;
	bool		 overflow;		/* there is no room for it: it goes when its rows are there */
	bool		 old;			/* it waited in the index before: new mail goes first */
	bool		 later;			/* some recipient's later is set */
	uint8_t		 pins;			/* act.c: it stays in memory, and nothing of it goes into line */
	bool		 awaited;		/* load.c: likewise, until somebody who asked for it comes */
	uint8_t		 suspect, kills;	/* suspect.c */
	bool		 trial;
	LIST_HEAD(, parcel) parcels;		/* dest.c */
	RB_ENTRY(message) dues_entry;
	struct arena_chunk *mem;
	struct message	*hash_next;
	TAILQ_ENTRY(message) fresh_link, owed_link, stuck_link, lost_link, suspect_link;
};
TAILQ_HEAD(message_list, message);

/* A message with a copy of that envelope. */
struct message *message_new(const struct p_env *);
void	 message_add(struct message *, const struct p_env_rcpt *, uint32_t n);
/* All recipients are there: makes their states from marks (NULL: all pending). */
void	 message_ready(struct message *, const uint8_t *marks);
void	 message_free(struct message *);
enum line message_line(const struct message *);	/* it is new, or waited in the index before */
void	*message_alloc(struct message *, size_t);	/* lives as long as the message */
const char *message_strdup(struct message *, const char *);
void	 rcpt_set(struct message *, uint32_t n, enum rstate);
void	 rcpt_due(struct message *, uint32_t n, int64_t due);
/* Notes what became of an attempt. */
void	 rcpt_last(struct message *, uint32_t n, unsigned code, const char *dsn, const char *text, const char *relay);
/* ... at that time; 0: nobody knows any more. */
void	 rcpt_last_at(struct message *, uint32_t n, unsigned code, const char *dsn, const char *text, const char *relay, int64_t when);
/* Why it is not tried now (NULL: nobody said). What an attempt ended with stays, unless the trouble is on this side. */
void	 rcpt_reason(struct message *, uint32_t n, const struct last *);
/* Recipients that are not final. */
uint32_t message_live(const struct message *);
/* Something is still to come of it without the clock. */
bool	 message_busy(const struct message *);

#endif
