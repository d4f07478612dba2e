/*
 * show: a queued message as people and programs see it. Used by the control verbs.
 */
#ifndef SHOW_H
#define SHOW_H

#include "buf.h"
#include "index.h"

struct view {
	struct index_msg	 msg;		/* strings borrowed from memory or from row */
	struct index_msg	*row;		/* NULL: it is in memory */
	bool			*active;	/* per recipient */
};

/* Fills in a view from memory if the message is there, else from its row (taken over, or looked up by id). false: no such message. */
bool	 view_get(struct view *, struct index *, uint64_t id, struct index_msg *row);
void	 view_free(struct view *);
/* Of the whole queue; deferred as view_rcpt_state says it. */
struct totals { uint64_t messages, recipients, deferred, held, bytes; };
struct totals view_totals(struct index *);
const char *view_state(const struct view *);	/* active, deferred, held */
const char *view_rcpt_state(const struct view *, uint32_t i);

void	 view_json(struct buf *, const struct view *);
void	 json_str(struct buf *, const char *);
/* "5s", "12m", "3h", "2d" */
struct span { char s[32]; };
struct span span(int64_t ms);
struct span size_text(uint64_t bytes);
/* "in 12m", "now", "never" */
struct span next_text(const struct view *, uint32_t i);

#endif
