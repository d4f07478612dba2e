/*
 * table_list: a table whose entries stand in the configuration.
 *
 * Called by lookup.c for each generation. Cannot fail.
 */
#include <string.h>
#include "tables/table_store.h"

static uint32_t
add_string(struct table *t, const char *s)
{
	uint32_t off = (uint32_t)t->text.len;

	buf_add(&t->text, s, strlen(s) + 1);
	return off;
}

struct table *
table_list(const struct conf_table *ct)
{
	struct table *t = table_new();
	uint32_t key, value;

	for (size_t i = 0; i < ct->n; i++) {
		key = add_string(t, ct->keys[i]);
		value = ct->values[i] == NULL ? 0 : add_string(t, ct->values[i]);
		table_put(t, key, value);
	}
	return t;
}
