/*
 * table_key: how a table is asked, whatever it lies in: the keys that stand for an address, a domain or a local part, in their order; and which
 * entries can mean something in a table that is asked so.
 *
 * Used by lookup (look-ups) and by the checks of a configuration. Pure code.
 */
#ifndef TABLE_KEY_H
#define TABLE_KEY_H

#include <stdbool.h>
#include "proc/msg.h"

/* Calls found with one key (folded) after the other until it says true -> it did. For ASK_ADDRESS, ASK_LOCAL and ASK_DOMAIN. */
bool	 table_keys(enum ask_kind, const char *asked, bool (*found)(void *arg, const char *key), void *arg);

/*
 * What is wrong with that entry of a table that is asked so, to be said behind it; NULL: nothing. *warning: it means something, but perhaps
 * not what was meant; else no question will ever find it.
 */
const char *table_key_bad(enum ask_kind, const char *key, bool *warning);

#endif
