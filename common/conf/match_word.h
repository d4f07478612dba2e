/*
 * match_word: the comparisons of match that need no rule: words, addresses, globs, networks. Private to common/match*.c.
 *
 * Pure code. ASCII case does not count.
 */
#ifndef MATCH_WORD_H
#define MATCH_WORD_H

#include "conf/match.h"

/* A domain, HELO name or tag against a pattern that is no table; negation is the caller's. */
bool	 pattern_word(const struct pattern *, const char *value);
/* local@domain ("" is the null reverse-path): a pattern with @ means the address (with or without +tag), else the domain. */
bool	 pattern_address(const struct pattern *, const char *value);
/* The answer to this question; a new one is noted as open. */
const struct answer *answers_find(struct answers *, enum ask_kind, uint16_t table, const char *key);

#endif
