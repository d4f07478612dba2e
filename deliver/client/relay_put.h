/*
 * relay_put: the commands of a transaction as text, and what a server must offer for a message. Pure code.
 *
 * Used by relay_step alone. Every parameter is sent only where the server offers its extension.
 */
#ifndef RELAY_PUT_H
#define RELAY_PUT_H

#include <stdbool.h>
#include "base/buf.h"
#include "client/job.h"
#include "client/relay_step.h"

void	 put_rset(const struct tx *, const struct peer *, unsigned, struct buf *);
void	 put_mail(const struct tx *, const struct peer *, unsigned, struct buf *);
void	 put_rcpt(const struct tx *, const struct peer *, unsigned i, struct buf *);
void	 put_data(const struct tx *, const struct peer *, unsigned, struct buf *);
void	 put_bdat(const struct tx *, const struct peer *, unsigned, struct buf *);

bool	 put_nonascii(const char *);
/* SMTPUTF8 is said for it, whoever the recipients are: needed for the sender, or kept for the header where the server offers it. */
bool	 put_utf8(const struct job *, const struct peer *);
/* Is it converted, by what 8-bit mail has for a sender and the policy say? Then what is not planned yet must be. */
bool	 put_converts(const struct job *, const struct peer *);
/* NULL: it goes as it is. */
struct convert_plan *put_plan(const struct job *, const struct peer *);
/* True: this server cannot serve this recipient; the verdict says why. */
bool	 put_unfit(const struct job *, const struct rcpt *, const struct peer *, struct verdict *);

#endif
