/*
 * maildir_open: a Maildir, opened by descriptor, made if it is missing.
 *
 * Used by maildir, once per batch and mailbox. The directories belong to the recipient, who may swap them for links at any
 * time: tmp and new are opened without following links, and everything in them is named relative to those descriptors.
 */
#ifndef MAILDIR_OPEN_H
#define MAILDIR_OPEN_H

#include "agent/expand.h"

struct maildir {
	int	 tmp, new;		/* -1: not open */
};

/* -> NULL, or what could not be done ("open", "make", "sync"), with errno and its part in *part ("/tmp"). */
const char *maildir_open(struct maildir *, const struct mailbox_path *, const char **part);
void	 maildir_close(struct maildir *);
int	 maildir_sync(int dir);		/* fsync of a directory, where the file system knows such a thing */

#endif
