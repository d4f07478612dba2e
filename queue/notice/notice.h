/*
 * notice: one notice that is being made, and its text. Private to bounce, notice and recovery.
 */
#ifndef NOTICE_H
#define NOTICE_H

#include <sys/queue.h>
#include "notice/bounce.h"

struct notice {
	TAILQ_ENTRY(notice) link;	/* while its recipients are settled */
	uint64_t	 parent, id;
	uint8_t		 kind;		/* enum birth */
	uint32_t	*rcpt;		/* of the parent */
	uint32_t	 n, settled;
	char		*to, *action;
	struct message	*m;		/* while it is being stored */
};

void	 notice_compose(struct spool *, const struct message *, const struct notice *, struct buf *);
/* The parent's recipients as "0-3,7", and back: cb for each. */
void	 notice_trail(struct buf *, const struct notice *);
void	 notice_trail_each(const char *trail, void (*cb)(void *, uint32_t n), void *arg);

#endif
