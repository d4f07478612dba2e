/*
 * archive: copies of messages for the addresses that `archive` names, made before the message itself is stored.
 *
 * Used by intake (one call for each message that is complete) and main (archive_run).
 */
#ifndef ARCHIVE_H
#define ARCHIVE_H

#include "core/message.h"

/* error: errno, 0: what must be archived is, as the message of that id (0: nothing must be). May come from inside archive_begin. */
typedef void archive_done(void *arg, int error, uint64_t copy);

void	 archive_init(struct spool *);
/* m and its body stay the caller's, and as they are until done. */
void	 archive_begin(struct message *m, struct body *, archive_done *, void *arg);
void	 archive_keep(uint64_t copy);		/* the message is stored: its copy may go out */
void	 archive_undo(uint64_t copy);		/* it cannot be: neither was the copy */
void	 archive_run(void);			/* a step of the main loop: goes on with large ones */

#endif
