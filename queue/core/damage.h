/*
 * damage: a message whose bytes on the disk are not those that were accepted, as deliver found by their checksum.
 *
 * Used by result. It is held, so that nothing of it leaves and it is not tried for ever; a copy goes to quarantine/, the postmaster is told.
 */
#ifndef DAMAGE_H
#define DAMAGE_H

#include "core/message.h"

void	 damage_init(struct spool *);
void	 damage_found(struct message *, uint32_t rcpt, const char *dsn, const char *text);
void	 damage_tell(struct message *);		/* when all recipients of a result were looked at */

#endif
