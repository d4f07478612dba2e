/*
 * order: the one rule between the spool and its index: marks are on the disk before what forgets them (STATES.md, "One order").
 *
 * Marks are numbered as they are made. The spool says which are made and which are durable (segment.c, commit.c); what makes it durable that
 * something is done, or need not be scanned again, waits for the marks that were made before it (index_vfs.c).
 */
#ifndef ORDER_H
#define ORDER_H

#include <stdint.h>

void	 order_begin(void);			/* a spool is opened: none are made yet */
void	 order_mark(void);			/* one more is made */
void	 order_durable(uint64_t number);	/* all up to that are on the disk, or never will be more than they are */
uint64_t order_marks(void);			/* made so far */
uint64_t order_marks_durable(void);

#endif
