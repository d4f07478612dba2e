/*
 * user: the accounts of this system, as recipients.
 *
 * Used by lookup.c. Answers are remembered for a few seconds, as a burst of mail asks for the same accounts again and again.
 */
#ifndef USER_H
#define USER_H

#include "proc/msg.h"

/* A new configuration: what was remembered is forgotten. */
void	 user_reset(uint64_t first_uid);
/* key is folded. named: a rule names it, so that it may be an account of the system's. *name: how the system spells it, to be freed, or NULL if it is spelled like the key. */
enum answer_status user_ask(const char *key, bool named, char **name);

#endif
