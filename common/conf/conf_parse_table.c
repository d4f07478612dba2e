/*
 * conf_parse_table: `table NAME { ... }`, `table NAME file "/path" [owner ACCOUNT]`, and <name> where a table is meant.
 *
 * Called by conf_parse. Pure code: the file of a table is opened by the parent and read by lookup.
 */
#include <string.h>
#include "conf/conf_parse.h"
#include "base/xmalloc.h"

static int
table_index(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->ntable; i++)
		if (strcmp(c->table[i].name, name) == 0)
			return (int)i;
	return -1;
}

int
conf_want_table(struct parse *p)
{
	const struct conf_tok *t = conf_peek(p);
	int i;

	if (t == NULL || t->kind != TOK_TABLE) {
		conf_expected(p, t, "a table, written <name>");
		return -1;
	}
	p->i++;
	if ((i = table_index(p->conf, t->text)) == -1)
		conf_bad(p, t, "there is no table \"%s\"; add a statement: table %s { ... }", t->text, t->text);
	return i;
}

static bool
table_item(struct parse *p, void *obj)
{
	struct conf_table *t = obj;
	struct conf_pos **at = &p->at.item[t - p->conf->table];
	const struct conf_tok *first = conf_peek(p);
	const char *key = conf_want(p, "an item, or key = value"), *value = NULL;
	bool map;

	if (key == NULL)
		return false;
	map = conf_accept_kind(p, TOK_EQUAL);
	if (map && (value = conf_want(p, "a value")) == NULL)
		return false;
	if (t->n > 0 && map != (t->kind == TABLE_MAP))
		return conf_bad(p, first, "table %s has items with and without a value; it must be one or the other", t->name);
	t->kind = map ? TABLE_MAP : TABLE_LIST;
	t->keys = conf_more(t->keys, t->n, sizeof(*t->keys));
	t->values = conf_more(t->values, t->n, sizeof(*t->values));
	*at = conf_more(*at, t->n, sizeof(**at));
	(*at)[t->n] = first->pos;
	t->keys[t->n] = xstrdup(key);
	t->values[t->n++] = map ? xstrdup(value) : NULL;
	return true;
}

static bool
table_file(struct parse *p, struct conf_table *t)
{
	const char *owner;

	t->kind = TABLE_FILE;
	if (!conf_want_path(p, &t->path))
		return false;
	if (conf_accept(p, "owner")) {
		if ((owner = conf_want(p, "an account")) == NULL)
			return false;
		t->owner = xstrdup(owner);
	}
	return conf_want_end(p);
}

bool
parse_table(struct parse *p)
{
	struct conf *c = p->conf;
	const struct conf_tok *t = conf_peek(p);
	const char *name = conf_want_name(p, "table", table_index);
	struct conf_table *table;

	if (name == NULL)
		return false;
	if (c->ntable >= UINT16_MAX)
		return conf_bad(p, t, "too many tables");
	c->table = conf_more(c->table, c->ntable, sizeof(*c->table));
	p->at.table = conf_more(p->at.table, c->ntable, sizeof(*p->at.table));
	p->at.table[c->ntable] = t->pos;
	p->at.item = conf_more(p->at.item, c->ntable, sizeof(*p->at.item));
	table = &c->table[c->ntable++];
	table->name = xstrdup(name);
	if (conf_accept(p, "file"))
		return table_file(p, table);
	if (conf_tok_is(conf_peek(p), "sqlite"))
		return conf_bad(p, conf_peek(p), "sqlite tables are not available yet; use file");
	if ((t = conf_peek(p)) == NULL || t->kind != TOK_OPEN)
		return conf_expected(p, t, "{ or file");
	return conf_items(p, table_item, table);
}
