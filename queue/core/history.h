/*
 * history: what became of each recipient in each attempt, kept after the message is gone. For "history" and "why".
 *
 * Results are gathered in memory and put into index.db as one block a second (or as 64 KiB are full), in the index's own transaction: a
 * message that never gets an index row costs some hundred nanoseconds here. So a crash loses the last second of it, and an index that is
 * made again begins a new history; no mail depends on it. limit history and limit history-results bound it.
 */
#ifndef HISTORY_H
#define HISTORY_H

#include "index/index.h"
#include "core/message.h"

enum history_what { HISTORY_SENT, HISTORY_DEFERRED, HISTORY_BOUNCED, HISTORY_EXPIRED, HISTORY_REMOVED, HISTORY__N };

struct history_result {			/* texts live during the callback */
	uint64_t	 id;
	int64_t		 when, arrival, uid;	/* ms since 1970; uid -1: none */
	enum history_what what;
	uint32_t	 attempt;
	unsigned	 code;
	const char	*sender, *addr, *message_id, *relay, *dsn, *text;
};

void	 history_init(struct index *);
void	 history_add(const struct message *, uint32_t n, enum history_what, unsigned code, const char *dsn, const char *text,
    const char *relay);
void	 history_run(bool end);			/* a step of the main loop; end: all of it */
/* Calls cb for the results of the next block after *seq (0: the first). -> false: there is no more */
bool	 history_page(uint64_t *seq, void (*cb)(void *, const struct history_result *), void *arg);
const char *history_word(enum history_what);	/* "sent", "deferred", ... */

#endif
