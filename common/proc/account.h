/*
 * account: the accounts of this system, ASCII case folded.
 *
 * Used by lookup (is there such a user?) and by the parent (whose rights an agent gets): both must find the same one. Which of them may have
 * mail is decided here, for both: what lookup refuses at RCPT the parent starts no agent for.
 */
#ifndef ACCOUNT_H
#define ACCOUNT_H

#include <pwd.h>
#include <stdint.h>

/* 1: found, *pw is valid until the next call. 0: there is none. -1: the name service failed (errno), try again later. */
int	account_get(const char *name, const struct passwd **pw);

enum account_kind {
	ACCOUNT_USER,
	ACCOUNT_SYSTEM,		/* below first_uid (or nobody's uid) without a login shell: gets mail where a rule names it */
	ACCOUNT_NEVER		/* uid 0, or an account of Postern's own, by name or by uid: no agent ever */
};
enum account_kind account_kind(const struct passwd *, uint64_t first_uid);
/* Postern's own accounts and the login shells are looked up anew: at start and with each configuration. */
void	account_refresh(void);

#endif
