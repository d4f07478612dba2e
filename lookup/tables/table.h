/*
 * table: what one table of the configuration holds, ready for look-ups of every kind.
 *
 * Used by lookup.c. A table is filled once and then only read; it is shared by the generations that have it (table_ref,
 * table_unref). Look-ups take a bounded number of hash probes, however many entries there are.
 */
#ifndef TABLE_H
#define TABLE_H

#include <stddef.h>
#include "conf/conf.h"
#include "proc/msg.h"

struct table;

/* { a, b } and { a = b } of the configuration. */
struct table *table_list(const struct conf_table *);
/* The opened file, which is read whole and closed. NULL if it cannot be read (logged). */
struct table *table_file(const char *name, int fd);
/* The same from memory; name is for the log. */
struct table *table_text(const char *name, const char *text, size_t len);

struct table *table_ref(struct table *);
void	 table_unref(struct table *);		/* NULL is fine */
size_t	 table_size(const struct table *);

/* *value is "" where an entry has none; it lives as long as the table. kind is one below ASK_ACCOUNT. */
enum answer_status table_ask(struct table *, enum ask_kind, const char *key, const char **value);

#endif
