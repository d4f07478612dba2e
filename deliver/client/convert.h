/*
 * convert: a message with bytes over 0x7f as one without, for a server that does not offer 8BITMIME (RFC 6152 3). Pure code.
 *
 * Used by body. A first reading makes the plan: what each part needs (quoted-printable, base64, encoded words in its header); writings
 * follow it as the message streams by. multipart/signed is not altered, so a message that has 8-bit bytes there, or where MIME has no form
 * for them, cannot be converted; by force (a notice of ours must never go raw) it can: what has no form becomes question marks.
 */
#ifndef CONVERT_H
#define CONVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

struct convert_plan {
	bool		 force;
	bool		 possible;	/* nothing over 0x7f is left in what is written */
	uint64_t	 length;	/* of what is written; set by who measures it */
	uint8_t		*deed;		/* by the number of the part */
	size_t		 n;
};

struct convert_plan *convert_plan_new(bool force);
void	 convert_plan_free(struct convert_plan *);	/* NULL is fine */

struct convert;
/* Makes the plan; nothing is written. It is complete with convert_end. */
struct convert *convert_reader(struct convert_plan *);
/* Follows it; the plan outlives the writer. */
struct convert *convert_writer(struct convert_plan *);
void	 convert_feed(struct convert *, const uint8_t *, size_t, struct buf *out);
void	 convert_end(struct convert *, struct buf *out);
void	 convert_free(struct convert *);		/* NULL is fine */

#endif
