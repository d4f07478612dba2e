/*
 * table: the hash of a table, and look-ups in it.
 *
 * Called by lookup.c, and by table_list.c and table_file.c, which fill it. Owns the text, the entries and the hash. Nothing here
 * fails: an empty table answers no.
 */
#include <stdlib.h>
#include <string.h>
#include "conf/table_key.h"
#include "tables/table_store.h"
#include "base/xmalloc.h"

static uint32_t
hash_of(const char *s)
{
	uint64_t h = 14695981039346656037ULL;

	for (; *s != '\0'; s++)
		h = (h ^ (uint8_t)*s) * 1099511628211ULL;
	return (uint32_t)(h ^ h >> 32);
}

static void
fold(char *s)
{
	for (; *s != '\0'; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s += 'a' - 'A';
}

/* ---- the store ---- */

struct table *
table_new(void)
{
	struct table *t = xcalloc(1, sizeof(*t));

	t->refs = 1;
	buf_add(&t->text, "", 1);
	return t;
}

struct table *
table_ref(struct table *t)
{
	t->refs++;
	return t;
}

void
table_unref(struct table *t)
{
	if (t == NULL || --t->refs > 0)
		return;
	table_nets_free(t->nets);
	buf_free(&t->text);
	free(t->entry);
	free(t->slot);
	free(t);
}

size_t
table_size(const struct table *t)
{
	return t->n;
}

/* The slot of this key, or the free one where it belongs. */
static uint32_t *
slot_of(const struct table *t, uint32_t hash, const char *key)
{
	size_t i = hash & (t->nslot - 1);
	const struct table_entry *e;

	for (; t->slot[i] != 0; i = (i + 1) & (t->nslot - 1)) {
		e = &t->entry[t->slot[i] - 1];
		if (e->hash == hash && strcmp(table_at(t, e->key), key) == 0)
			break;
	}
	return &t->slot[i];
}

static void
grow(struct table *t)
{
	size_t i, k;

	t->cap = t->cap == 0 ? 16 : t->cap * 2;
	t->entry = xreallocarray(t->entry, t->cap, sizeof(*t->entry));
	free(t->slot);
	t->nslot = t->cap * 2;
	t->slot = xcalloc(t->nslot, sizeof(*t->slot));
	for (k = 0; k < t->n; k++) {
		for (i = t->entry[k].hash & (t->nslot - 1); t->slot[i] != 0; i = (i + 1) & (t->nslot - 1))
			;
		t->slot[i] = (uint32_t)k + 1;
	}
}

bool
table_put(struct table *t, uint32_t key, uint32_t value)
{
	char *s = (char *)buf_data(&t->text) + key;
	uint32_t hash, *slot;

	if (t->n == t->cap)
		grow(t);
	fold(s);
	hash = hash_of(s);
	slot = slot_of(t, hash, s);
	if (*slot != 0) {
		t->twice++;
		return false;
	}
	t->entry[t->n++] = (struct table_entry){ hash, key, value };
	*slot = (uint32_t)t->n;
	return true;
}

const char *
table_get(const struct table *t, const char *key)
{
	uint32_t *slot;

	if (t->n == 0)
		return NULL;
	slot = slot_of(t, hash_of(key), key);
	return *slot == 0 ? NULL : table_at(t, t->entry[*slot - 1].value);
}

/* ---- look-ups ---- */

struct probe {
	const struct table	*t;
	const char		*value;
};

static bool
probe(void *arg, const char *key)
{
	struct probe *p = arg;

	p->value = table_get(p->t, key);
	return p->value != NULL;
}

enum answer_status
table_ask(struct table *t, enum ask_kind kind, const char *key, const char **value)
{
	struct probe p = { .t = t };

	if (kind == ASK_NETWORK)
		p.value = table_net(t, key);
	else if (kind < ASK_ACCOUNT)
		table_keys(kind, key, probe, &p);
	*value = p.value != NULL ? p.value : "";
	return p.value != NULL ? ANSWER_YES : ANSWER_NO;
}
