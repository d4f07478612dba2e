/*
 * copies: the same message in more than one place, as a compaction that was interrupted leaves it; start-up makes it one again.
 *
 * Used by recovery.c. All that is found is noted; when all is scanned each message that is in two places, or
 * in a doubtful segment, is settled: the latest copy that is not void stays, with every final mark that any of them has; the others become void.
 */
#ifndef COPIES_H
#define COPIES_H

#include "spool/spool.h"

struct copies;

struct copies_hooks {
	/* Where the index says that it is; false: it has no row. */
	bool		(*place)(void *arg, uint64_t id, struct loc *);
	/* It is there, with these marks; NULL: nothing of it is left to do. */
	void		(*settled)(void *arg, uint64_t id, struct loc, const struct spool_env *);
	void		*arg;
};

struct copies *copies_new(void);
void	 copies_free(struct copies *);
/*
 * A record was found. Doubtful: there may be another where nobody looked. Damaged: its message is, as that of a copy that was not written in
 * full is; it stays only if all are.
 */
void	 copies_note(struct copies *, uint64_t id, struct loc, bool doubtful, bool damaged);
void	 copies_settle(struct copies *, struct spool *, const struct copies_hooks *);

#endif
