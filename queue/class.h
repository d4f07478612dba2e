/*
 * class: which class of mail a message is, and how long mail of that class is tried. Pure code.
 *
 * Used by policy.
 */
#ifndef CLASS_H
#define CLASS_H

#include "conf.h"
#include "msg.h"

enum mail_class class_of(const struct p_env *);
const char *class_name(enum mail_class);		/* "normal", "bulk", "bounce" */
/* What holds for a recipient in that domain by that action (name), whose MX that is; NULL: not known. */
struct dest_policy class_policy(const struct conf *, const struct p_env *, const char *action, const char *domain, const char *mx);

#endif
