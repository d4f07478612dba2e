/*
 * tx: what is kept of a transaction, from MAIL to the queue's answer: its envelope, its number with the queue, the reader of its message, the verdict.
 *
 * Made by cmd_mail; the recipients come by cmd_rcpt; freed by message_drop.
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
void	 tx_free(struct tx *);			/* the queue knows nothing of it (any more) */
bool	 tx_has(const struct tx *, const char *addr);
void	 tx_rcpt(struct tx *, const struct p_env_rcpt *);	/* takes over its block */

#endif
