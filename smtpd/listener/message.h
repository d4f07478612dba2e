/*
 * message: the message of a transaction, from its first byte to the queue's answer.
 *
 * Nothing of it is kept: it goes on to the queue as it comes. Whatever ends a transaction ends it by message_drop, which leaves nothing of it behind.
 */
#ifndef MESSAGE_H
#define MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct edge;
struct p_tx_done;
struct session;

/* A message begins: what is put right in it, by who the client is. */
void	 message_mend(struct session *);
/* Message bytes. The first ones take the envelope and our Received: with them. */
void	 message_feed(struct session *, const uint8_t *, size_t, size_t *used, bool *end);
void	 message_complete(struct session *);	/* the end was read: commits, or answers the verdict */
void	 message_fail(struct session *, unsigned code, const char *dsn, const char *text);	/* the first one counts; text is static */
void	 message_verdict(struct session *);	/* answers that, and ends the transaction */
void	 message_drop(struct session *);	/* with what the queue has of it; the session may have none */
void	 message_gone(struct session *);	/* what it waits for from the queue will not come */

void	 message_queue(struct edge *);		/* NULL: gone */
void	 message_done(uint32_t number, const struct p_tx_done *);

#endif
