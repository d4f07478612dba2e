/*
 * show: a queued message as people and programs see it. Used by the control verbs.
 */
#ifndef SHOW_H
#define SHOW_H

#include "core/act.h"
#include "base/buf.h"
#include "index/index.h"
#include "spool/span.h"

struct view {				/* a message, or a part of its recipients */
	struct index_msg	 msg;		/* strings borrowed from memory or from row */
	struct index_msg	*row;		/* NULL: it is in memory */
	bool			*active;	/* per recipient */
	uint32_t		 more;		/* there are more, from this number on; UINT32_MAX: these are the last */
};

/* Up to max of its recipients, from number n on, from memory if the message is there, else from its rows. false: no such message. */
bool	 view_part(struct view *, struct index *, uint64_t id, uint32_t n, uint32_t max);
/* Those of these recipients that are not final. */
bool	 view_some(struct view *, struct index *, uint64_t id, const uint32_t *n, size_t count);
void	 view_free(struct view *);
const char *view_rcpt_state(const struct view *, uint32_t i);	/* active, deferred, held */
/* What an administrator has done to it that waits until its delivery returns, else ACT_NONE. */
enum act view_pending(const struct view *, uint32_t i);
/* Of the whole queue; deferred as view_rcpt_state says it. */
struct totals { uint64_t messages, recipients, deferred, held, bytes; };
struct totals view_totals(struct index *);
/*
 * Does a recipient that is due wait for a rest of its destination? Then r is told when that ends, and why if it was not tried itself: it is
 * deferred, its row need not say so.
 */
bool	 view_at_rest(const char *action, const char *domain, struct index_rcpt *r, int64_t now);

struct view_sum {			/* what is said of a message as a whole */
	uint32_t	 n, attempts;		/* recipients; the most attempts */
	int64_t		 next;			/* seconds; -1: all are held */
	bool		 active, deferred;	/* some are */
	char		*reply;			/* the last one's that has any; NULL: none */
};
void	 view_sum_add(struct view_sum *, const struct view *);
void	 view_sum_free(struct view_sum *);		/* and made ready for another */
const char *view_sum_state(const struct view_sum *);	/* active, deferred, held */

void	 json_str(struct buf *, const char *);
void	 json_field(struct buf *, const char *name, const char *value);	/* , "name": "value" */
/* "in 12m", "in 4h20m", "now", "never" */
struct span next_text(const struct view *, uint32_t i);

#endif
