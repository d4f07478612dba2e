/*
 * path: the address in MAIL, RCPT and VRFY, as this client may write it.
 *
 * From clients of this host a recipient may come without a domain, and from the submission socket a sender too; it is then ours.
 * Strangers may leave it out for postmaster alone.
 */
#ifndef PATH_H
#define PATH_H

#include "mail/addr.h"

struct session;

/*
 * "FROM:" or "TO:" and a path at the beginning of arg. *rest gets what is behind it (the parameters). NULL, or what is wrong in
 * words.
 */
const char *path_read(const struct session *, const char *keyword, enum addr_kind, char *arg, struct addr *, char **rest);
/* The address in arg, whatever is wrong with it, without its brackets: for whoever is told that it is refused. */
void	 path_said(const char *keyword, const char *arg, char *out, size_t size);
/* An address without a domain gets ours. False if it would be too long. */
bool	 path_complete(struct addr *);

#endif
