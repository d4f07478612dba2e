/*
 * listing: messages written out to a control client, some recipients at a time, so that one of 50,000 holds nobody up.
 *
 * Used by control_queue. Of each message the recipients are read twice where they do not fit into one part: what is said of all of
 * them (state, attempts, next) stands before them.
 */
#ifndef LISTING_H
#define LISTING_H

#include "control/query.h"

enum list_form { LIST_TEXT, LIST_MAILQ, LIST_JSON, LIST_SHOW_TEXT, LIST_SHOW_JSON };

struct listing;

struct listing *listing_new(enum list_form);
void	 listing_free(struct listing *);
/* The next message: all of it; or of q's selection its recipients alone, which are among the n picked ones, if there are any. */
void	 listing_begin(struct listing *, uint64_t id, const struct query *q, const struct pick *, size_t n);
/* One part. -> true: that was all of it */
bool	 listing_part(struct client *, struct listing *);
uint64_t listing_count(const struct listing *);	/* messages written out */
uint64_t listing_bytes(const struct listing *);	/* ... and their sizes */

#endif
