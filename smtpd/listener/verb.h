/*
 * verb: the names of the commands, as a client says them and as the log does. Pure code.
 *
 * What each does, and when, is in the table of cmd.c.
 */
#ifndef VERB_H
#define VERB_H

#include <stddef.h>

#define VERBS(V) \
	V(HELO) V(EHLO) V(MAIL) V(RCPT) V(DATA) V(BDAT) V(RSET) V(NOOP) V(VRFY) V(EXPN) V(HELP) V(QUIT) \
	V(AUTH) V(STARTTLS) V(ETRN) V(ATRN) V(TURN) V(SEND) V(SOML) V(SAML) V(XCLIENT) V(XFORWARD)

#define VERB_M(name)	VERB_##name,
enum verb {
	VERB_NONE,		/* no command yet */
	VERBS(VERB_M)
	VERB_UNKNOWN,
	VERB__MAX
};

struct verb_text { char s[12]; };

enum verb verb_find(const char *line, size_t n, size_t *end);	/* at the beginning of line; *end is behind it */
const char *verb_name(enum verb);			/* "MAIL"; "CONNECT" before the first, "UNKNOWN" */
struct verb_text verb_count_name(enum verb);		/* "mail" */

#endif
