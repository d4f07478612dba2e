/*
 * table_text: the file of a table: one item, or `key [:=] value`, a line.
 *
 * Used by lookup, which fills tables with it, and by the parent, which looks before whether it means something.
 */
#ifndef TABLE_TEXT_H
#define TABLE_TEXT_H

#include <stddef.h>
#include "base/buf.h"

#define TABLE_MAX	(512 * 1024 * 1024)	/* bytes of text */

/* Adds all of the file to what is there. -> errno, 0: all is read; EINVAL: it is no regular file, EFBIG: more than TABLE_MAX. fd stays open. */
int	 table_text_read(int fd, struct buf *);

/*
 * Takes the text apart in place (text[len] is a NUL that may be written to): entry is called for each line that has one, counted from 1. Key
 * NULL: the line makes no sense; value NULL: there is none.
 */
typedef void table_entry_fn(void *arg, unsigned line, char *key, char *value);
void	 table_text_entries(char *text, size_t len, table_entry_fn *, void *arg);

#endif
