/*
 * maildir: a batch of messages into Maildirs, each on stable storage before it counts as delivered.
 *
 * Used by the agent. Each step is done for the whole batch (write all, sync all, move all, sync each directory once), so
 * that the messages of one turn share their syncs. A file is named after its queue id and recipient: a delivery that was made before, by
 * an agent that could not say so, is found and not made again.
 */
#ifndef MAILDIR_H
#define MAILDIR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/expand.h"
#include "agent/letter.h"
#include "agent/maildir_open.h"
#include "proc/msg.h"

#define MAILDIR_BATCH	128
#define MAILDIR_BATCH_BYTES	(16 * 1024 * 1024)	/* of more than one message */
#define MAILDIR_TEXT	640

struct delivery {			/* one message for one recipient */
	const struct letter	*letter;
	const char		*sender, *rcpt;
	uint64_t		 id;			/* of the message in the queue */
	uint32_t		 number;		/* of the recipient in that message */
	int64_t			 arrival;		/* wall ms */
	bool			 again;			/* it may have been tried before */
	struct mailbox_path	 box;
	/* the result */
	enum outcome		 outcome;
	uint16_t		 code;
	const char		*dsn;
	char			 text[MAILDIR_TEXT];
	/* state */
	enum { DV_NEW, DV_WRITTEN, DV_SYNCED, DV_MOVED, DV_FOUND, DV_FAILED } state;
	struct maildir		*dir;
	int			 fd;
	int64_t			 size;
	char			 name[NAME_MAX + 1];
	char			 earlier[NAME_MAX + 1];	/* its name in cur; "": it is not there */
};

/* n <= MAILDIR_BATCH. Each gets its result; a failure is always a temporary one. hostname: for the names of the files. */
void	 maildir_deliver(struct delivery *, size_t n, const char *hostname);

#endif
