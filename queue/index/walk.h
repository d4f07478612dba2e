/*
 * index_walk: through the rows that a selection may mean, a page at a time, along the index that is narrowest for it.
 *
 * Used by the control verbs (select.h says which walk). Between two pages rows may come and go: a walk visits each row that was
 * there all the time once, unless what orders the walk is changed behind it.
 */
#ifndef INDEX_WALK_H
#define INDEX_WALK_H

#include "index/index.h"

enum walk_by { WALK_ALL, WALK_ID, WALK_TO, WALK_DOMAIN, WALK_DOMAINS, WALK_HELD, WALK_FROM, WALK_AGE, WALK_UID, WALK__N };
/* What is read of each row. What a walk does not have turns into BOTH. */
enum walk_need { WALK_NEED_KEY, WALK_NEED_MSG, WALK_NEED_RCPT, WALK_NEED_BOTH, WALK_NEED__N };

struct index_walk {
	enum walk_by	 by;
	enum walk_need	 need;
	const char	*text, *text2;		/* FROM: the sender; DOMAIN, TO: the domain; TO: the address */
	int64_t		 value;			/* ID, UID; AGE: at most this */
	const uint64_t	*more;			/* ID: it goes on with these */
	size_t		 nmore;
	int64_t		 at;			/* AGE: at least this */
	/* where it is */
	int64_t		 id, n;
	char		*at_text, *at_domain;
};

struct index_hit {			/* texts live during the callback */
	uint64_t	 id;
	uint32_t	 n;
	uint32_t	 weight;		/* recipients that this stands for: 1, or all of a message (n is UINT32_MAX) */
	const char	*addr, *domain;
	enum mark	 mark;
	int64_t		 due;
	uint32_t	 attempts;
	const char	*relay, *reply, *action, *sender;
	int64_t		 arrival;
	uint64_t	 size;
	const char	*tag;
	int64_t		 uid;
	bool		 sure;			/* nothing but the key was read: the walk itself answers what was asked */
};

void	 index_walk_begin(struct index_walk *);	/* by, need and what they ask for are set */
/* Up to max rows, cb for each. -> false: that was the last page */
bool	 index_walk_page(struct index *, struct index_walk *, unsigned max, void (*cb)(void *, const struct index_hit *), void *);
void	 index_walk_end(struct index_walk *);

#endif
