/*
 * table_store: the inside of a table, for those who fill it (table_list.c, table_file.c) and table_net.c.
 *
 * Keys and values are NUL-terminated in one text; entries and the hash over them hold offsets. Keys are folded when they
 * are put in; the first of two equal ones counts.
 */
#ifndef TABLE_STORE_H
#define TABLE_STORE_H

#include <stdint.h>
#include "base/buf.h"
#include "tables/table.h"

struct table_entry {
	uint32_t	hash, key, value;	/* offsets in text */
};
struct table_nets;
struct table {
	struct buf		 text;		/* begins with a NUL, so that offset 0 is the empty value */
	struct table_entry	*entry;
	size_t			 n, cap;
	uint32_t		*slot;		/* entry + 1; 0: free */
	size_t			 nslot;
	size_t			 twice;		/* entries that were left out since their key was there */
	struct table_nets	*nets;		/* made at the first look-up of an address */
	unsigned		 refs;
};

struct table *table_new(void);
/* Offsets of strings in t->text. False: the key is there already. */
bool	 table_put(struct table *, uint32_t key, uint32_t value);
/* The value of exactly this (folded) key, or NULL. */
const char *table_get(const struct table *, const char *key);

static inline const char *
table_at(const struct table *t, uint32_t off)
{
	return (const char *)buf_data(&t->text) + off;
}

/* The longest network in the table that has this address. */
const char *table_net(struct table *, const char *addr);
void	 table_nets_free(struct table_nets *);

#endif
