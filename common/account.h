/*
 * account: the accounts of this system, ASCII case folded.
 *
 * Used by lookup (is there such a user?) and by the parent (whose rights an agent gets): both must find the same one.
 */
#ifndef ACCOUNT_H
#define ACCOUNT_H

#include <pwd.h>

/* 1: found, *pw is valid until the next call. 0: there is none. -1: the name service failed (errno), try again later. */
int	account_get(const char *name, const struct passwd **pw);

#endif
