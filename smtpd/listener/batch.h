/*
 * batch: recipients (and VRFY's addresses) on their way through the rules, all that came in one piece together.
 *
 * A command's handler adds an item; cmd runs the batch when the next line is something else. What lookup must be asked goes in
 * one message; the items' say() is called in order when all of them are known.
 */
#ifndef BATCH_H
#define BATCH_H

#include <stdbool.h>
#include "conf/conf.h"
#include "conf/match.h"
#include "proc/msg.h"
#include "listener/verb.h"

struct session;

#define BATCH_MAX 128		/* items; their questions must fit in one frame */

struct item {
	void		(*say)(struct session *, struct item *);
	struct p_env_rcpt rcpt;		/* addr is the start of the one block that holds its strings */
	enum verb	 verb;
	unsigned	 code;		/* 0: not known yet; 250: a rule takes it */
	char		 dsn[12];
	const char	*text;		/* of a refusal, without a code */
	char		*own;		/* the same, if it must be freed */
	enum match_of	 of;		/* what is refused by it */
	bool		 own_words;	/* the text is the administrator's, to be told as it is */
	enum action_kind kind;		/* with 250 */
};

struct item *batch_add(struct session *);	/* cleared; valid until the next one */
/* One new block: the address, its original form, ORCPT. */
void	 item_keep(struct p_env_rcpt *, const char *orig, const char *addr, const char *orcpt);
bool	 batch_full(const struct session *);
void	 batch_run(struct session *);
void	 batch_end(struct session *);		/* forgets it */
void	 batch_answer(struct session *, const struct p_answer *);
void	 batch_lookup(struct edge *);		/* NULL: gone; those that wait are answered 451 */
void	 item_refuse(struct item *, unsigned code, const char *dsn, const char *text);

#endif
