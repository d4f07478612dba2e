/* links: lookup/tables/table.c lookup/tables/table_file.c lookup/tables/table_net.c */
/*
 * fuzz_table: the file of a table, and look-ups of every kind with words from it.
 * Every value that is found lies within the table and ends.
 */
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "tables/table.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
look(struct table *t, const char *key)
{
	const char *value;

	for (unsigned kind = ASK_ADDRESS; kind < ASK_ACCOUNT; kind++)
		if (table_ask(t, kind, key, &value) != ANSWER_YES && value[0] != '\0')
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	struct table *t;
	char key[300];
	size_t len;

	log_level(LOG_LV_ERROR);
	t = table_text("fuzz", (const char *)in, n);
	for (size_t i = 0; i < n; i += len + 1) {
		len = strcspn((const char *)memcpy(memset(key, 0, sizeof(key)), in + i, n - i < 299 ? n - i : 299), " :\n");
		key[len] = '\0';
		look(t, key);
	}
	look(t, "bob+tag@example.org");
	look(t, "10.0.0.1");
	if (table_size(t) > n)
		abort();
	table_unref(t);
	return 0;
}
