/*
 * maildir_earlier: what an earlier try of the same delivery left in a Maildir.
 *
 * Used by maildir. The name of a file is made from the queue id and the recipient, so a second try finds the file of the first: in new, in
 * cur with whatever flags the reader gave it. It is the same delivery only if its content is the same too: then it is there
 * already, however that name came about.
 */
#ifndef MAILDIR_EARLIER_H
#define MAILDIR_EARLIER_H

#include <stdbool.h>
#include <stddef.h>
#include "agent/maildir.h"

/* Looks through cur of dir for all of the batch that may have been tried before: sets their earlier. */
void	 earlier_look(struct delivery *batch, size_t n, const struct maildir *dir);
/* Is that file in new (or cur) the same as the one in tmp? Then it is durable when this returns, but for the entry in new. */
bool	 earlier_in_new(const struct delivery *, const char *name);
bool	 earlier_in_cur(const struct delivery *);

#endif
