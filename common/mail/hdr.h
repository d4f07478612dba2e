/*
 * hdr: reading a message's header (RFC 5322): fields, address lists by the grammar. Pure code.
 *
 * Used by sendmail -t and the queue's bounces (Subject, Message-ID). Survives everything.
 */
#ifndef HDR_H
#define HDR_H

#include <stdbool.h>
#include <stddef.h>

struct hdr_field {
	const char	*name;		/* points into the message */
	size_t		 name_len;
	const char	*value;		/* after the colon, folded lines included, without the last line end */
	size_t		 value_len;
	size_t		 whole_len;	/* of the field with its last line end, from name on */
};
/* The next field at *at (0 at first); false at the header's end: an empty line, or one that is no field. Line ends: CRLF or LF. */
bool	hdr_next(const char *msg, size_t len, size_t *at, struct hdr_field *);
bool	hdr_is(const struct hdr_field *, const char *name);

/*
 * Calls cb with each address (local@domain, or a bare local part) of an address list: groups, comments, folding, quoted
 * strings. Quotes are kept only where they are needed. -> count, -1 when malformed (what could be read was given).
 */
int	hdr_addresses(const char *value, size_t len, void (*cb)(void *, const char *addr), void *arg);

#endif
