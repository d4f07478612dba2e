/*
 * dsn_text: what dsn and dsn_words write with. Private to them.
 */
#ifndef DSN_TEXT_H
#define DSN_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include "base/buf.h"

#define FIELD_MAX	900		/* octets of a value, with what folding leaves room for */

void	 dsn_clean(struct buf *, const char *, size_t n, bool utf8);
/* s in lines, each after the first behind prefix; used: what stands on the first line already. Ends with CRLF. */
void	 dsn_wrapped(struct buf *, const char *s, size_t used, const char *prefix, bool utf8);
/* A folded field; none if the value is empty. */
void	 dsn_field(struct buf *, const char *name, const char *value, bool utf8);
/* The host in "host[address]:port"; "" where it is none ("maildir", "none"). */
void	 dsn_host(const char *relay, char *out, size_t);

#endif
