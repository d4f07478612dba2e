/*
 * explain: how what is known of the way of a mail is said, in text and in JSON. Used by control_explain.
 */
#ifndef EXPLAIN_H
#define EXPLAIN_H

#include "control/control.h"
#include "conf/match.h"

struct explained {
	const char	*asked, *addr;		/* addr: where its mail goes: another one, if it is said so */
	const struct match *mt;
	const struct p_explained *way;		/* what deliver says; NULL: it was not asked, or did not answer */
	const char	*trouble;		/* why it did not, "" */
};

void	 explain_taken(struct client *, const struct explained *);	/* MATCH_OK */
void	 explain_held(struct client *, const struct explained *);	/* MATCH_OK, but it waits */
void	 explain_refused(struct client *, const struct explained *);	/* MATCH_REFUSED */

#endif
