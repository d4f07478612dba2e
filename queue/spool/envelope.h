/*
 * envelope: whether a decoded envelope is one that may be stored. Pure code. Used by intake, for what a listener sends.
 */
#ifndef ENVELOPE_H
#define ENVELOPE_H

#include "proc/msg.h"

/* What is wrong with it, or NULL. */
const char *envelope_fault(const struct p_env *);
const char *envelope_rcpts_fault(const struct p_env_rcpt *, uint32_t n);

#endif
