/*
 * to_queue: the edge to the queue: ids for messages, and the transactions that it knows of.
 *
 * Called by message, by cmd_mail (is there room?) and by main with the queue's messages. What is asked of a queue that is gone cannot be had; what
 * it was sent then is gone too: message ends those transactions.
 */
#ifndef TO_QUEUE_H
#define TO_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include "listener/tx.h"

struct buf;
struct session;

/* An id for the session's message. ID_WAIT: then() goes on. ID_NONE: the queue cannot give one. */
enum tx_id { ID_OK, ID_WAIT, ID_NONE };
enum tx_id to_queue_id(struct session *, void (*then)(struct session *));

void	 to_queue_data(struct session *, const struct buf *);	/* behind the envelope, if these are the first bytes; the queue is there */
void	 to_queue_commit(struct session *);	/* the session waits for TX_DONE */
void	 to_queue_abort(struct tx *);		/* what the queue has of it, if anything */
void	 to_queue_forget(struct tx *);		/* the queue has done so */
struct tx *to_queue_find(uint32_t number);	/* NULL: ended meanwhile */

bool	 to_queue_there(void);
bool	 to_queue_busy(void);			/* it has enough for now */
bool	 to_queue_space_low(void);

void	 to_queue_edge(struct edge *);		/* NULL: gone */
void	 to_queue_lease(const struct p_lease *);
void	 to_queue_space(bool low);

#endif
