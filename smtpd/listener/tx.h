/*
 * tx: a transaction, from MAIL to the queue's answer.
 *
 * The recipients and parameters are kept here until the message begins; of the message nothing is kept: it goes on to the queue
 * as it comes. Whatever ends a transaction ends it by tx_end, which leaves nothing of it behind.
 */
#ifndef TX_H
#define TX_H

#include <sys/queue.h>
#include <stdbool.h>
#include <stdint.h>
#include "mail/addr.h"
#include "mail/line.h"
#include "mail/mend.h"
#include "proc/msg.h"

struct session;

struct tx {
	LIST_ENTRY(tx)	 by_number;
	struct session	*session;
	uint32_t	 number;		/* with the queue */
	uint64_t	 id;			/* 0: none yet */
	bool		 asked_id;		/* and waited once */
	bool		 begun;			/* the queue knows of it */

	struct addr	 sender;
	uint64_t	 size;			/* as declared; 0: not */
	uint8_t		 body, ret;		/* BODY_*, RET_* */
	bool		 smtputf8;
	char		*envid;			/* NULL if none */

	struct p_env_rcpt *rcpt;		/* addr is the start of the block that holds its strings */
	size_t		 nrcpt, cap;
	uint32_t	*hash;			/* of addresses: index + 1, 0 free; NULL while there are few */
	size_t		 hash_size;

	struct datard	 rd;
	struct mend	 mend;			/* of a local client's message; what is 0: nothing */
	unsigned	 code;			/* the verdict before the end; 0: none */
	char		 dsn[12];
	const char	*text;
};

struct tx *tx_new(struct session *);		/* not the session's yet */
void	 tx_free(struct tx *);
void	 tx_end(struct session *);		/* aborts what the queue has of it; the session may have none */
bool	 tx_has(const struct tx *, const char *addr);
const char *tx_action_name(const char *);	/* the same name for good: it outlives a reload */
void	 tx_rcpt(struct tx *, const struct p_env_rcpt *);	/* takes over its block */

/* An id for the message. ID_WAIT: then() goes on. ID_NONE: the queue cannot give one. */
enum tx_id { ID_OK, ID_WAIT, ID_NONE };
enum tx_id tx_take_id(struct session *, void (*then)(struct session *));

/* A message begins: what is put right in it, by who the client is. */
void	 tx_mend(struct session *);
/* Message bytes. The first ones take the envelope and our Received: with them. */
void	 tx_feed(struct session *, const uint8_t *, size_t, size_t *used, bool *end);
void	 tx_complete(struct session *);		/* the end was read: commits, or answers the verdict */
void	 tx_fail(struct session *, unsigned code, const char *dsn, const char *text);	/* the first one counts; text is static */
void	 tx_verdict(struct session *);		/* answers that, and ends the transaction */
bool	 tx_busy(void);				/* the queue has enough for now */
void	 tx_gone(struct session *);		/* no answer will come */

/* The edge to the queue, and what it says. */
void	 tx_queue(struct edge *);		/* NULL: gone */
bool	 tx_queue_there(void);
bool	 tx_space_low(void);
void	 tx_space(bool low);
void	 tx_lease(const struct p_lease *);
void	 tx_done(uint32_t number, const struct p_tx_done *);

#endif
