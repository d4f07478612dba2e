/*
 * expand: the path of an action, made into the path of one recipient's mailbox. Pure code.
 *
 * Used by the agent. What a sender can choose (the recipient's address) enters only through addr_path_encode, so no
 * value can leave its place in the path.
 */
#ifndef EXPAND_H
#define EXPAND_H

#include <limits.h>
#include <stddef.h>

struct mailbox_path {
	char	text[PATH_MAX];
	size_t	home;			/* length of its first part that is never created (the home directory); 0: none */
};

/*
 * "~/..." begins in home; %{user} and %{domain} are the recipient's; an empty path is ~/Maildir.
 * -> NULL, or in words why there is no such path.
 */
const char *mailbox_expand(const char *path, const char *home, const char *rcpt, struct mailbox_path *);

#endif
