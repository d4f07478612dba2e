/*
 * conf_tables: what is in the tables of a configuration, looked at before it is in force.
 *
 * Used by conf_refs.c, and by kids.c, which opens the files for lookup. Reads each table's file when it is asked, holds nothing.
 */
#ifndef CONF_TABLES_H
#define CONF_TABLES_H

#include "conf/conf.h"
#include "proc/msg.h"

struct parse;

/* The file of a table, which nobody but root, who runs posternd and its owner may change (trust.h). -> descriptor, or -1 and *why */
int	 conf_open_table(const struct conf_table *, const char **why);
/* Reports, by file and line, that a file cannot be read and which entries mean nothing as the table is used. */
void	 conf_tables(struct parse *);
/* What lookup would answer, but for the value. */
enum answer_status conf_tables_ask(const struct conf *, enum ask_kind, size_t table, const char *key);

#endif
