/*
 * act: what an administrator does to recipients: retry, hold, release, remove, bounce, expire, reroute.
 *
 * Used by the control verbs, and by sched.c when a delivery returns that was under way meanwhile. What waits for that, or for a notice, is
 * a mark in the record (act_mark.h), so that no kill forgets it; of several commands the last one counts.
 */
#ifndef ACT_H
#define ACT_H

#include "core/act_mark.h"
#include "core/message.h"

/* What is done to one message, a part at a time; between two parts the message is pinned in memory. All zero: nothing. */
struct acting {
	enum act	 act;
	int64_t		 asked;			/* since when it is wanted */
	struct message	*m;			/* NULL: none */
	bool		*chosen;		/* by recipient */
	uint32_t	 at;			/* the next one */
	uint32_t	 done, later;		/* those acted on; of them those whose delivery is under way */
	uint32_t	 replaced;		/* ... for which another act waited, that is not done now */
};

extern const struct act_words { const char *name, *did; } act_words[ACT__N];	/* "hold", "held" */

/* Its recipients that wants says, as it was asked for at that time. The caller's pin on the message goes over to it. */
void	 act_begin(struct acting *, struct message *, enum act, int64_t asked, bool (*wants)(void *, const struct message *, uint32_t n),
    void *arg);
/* -> true: that was the last part; m is let go, and may be gone. */
bool	 act_part(struct acting *);
void	 act_end(struct acting *);		/* let go before that, or nothing */
void	 act_returned(struct message *);	/* what was to be done when its deliveries return */

#endif
