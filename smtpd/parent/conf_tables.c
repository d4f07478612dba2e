/*
 * conf_tables: see conf_tables.h.
 *
 * Called by conf_refs.c and kids.c, as the account that reads the configuration. A file is read whole, with lookup's own
 * bound, and freed at once. Of a file that is no table at all the first errors are enough.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/trust.h"
#include "base/xmalloc.h"
#include "conf/conf_parse.h"
#include "conf/table_key.h"
#include "conf/table_text.h"
#include "parent/conf_tables.h"
#include "proc/account.h"

#define REPORTS_MAX	50		/* of one file */

int
conf_open_table(const struct conf_table *t, const char **why)
{
	const struct passwd *pw;

	if (t->owner == NULL)
		return trust_open(t->path, O_RDONLY, 0, geteuid(), why);
	if (account_get(t->owner, &pw) != 1) {
		*why = "there is no such account as its owner";
		return -1;
	}
	return trust_open(t->path, O_RDONLY, 0, pw->pw_uid, why);
}

/* False: *why. */
static bool
read_table(const struct conf_table *t, struct buf *b, const char **why)
{
	int fd = conf_open_table(t, why), error;

	if (fd == -1)
		return false;
	error = table_text_read(fd, b);
	close(fd);
	buf_str(b);			/* a NUL behind the last line */
	if (error != 0)
		*why = error == EINVAL ? "it is no file" : strerror(error);
	return error == 0;
}

/* ---- does it mean something ---- */

struct checking {
	struct parse	*p;
	struct conf_pos	 pos;
	size_t		 table, before;
	unsigned	 uses;
};

static void
check_entry(void *arg, unsigned line, char *key, char *value)
{
	struct checking *c = arg;

	(void)value;
	if (c->p->unit->nnote - c->before >= REPORTS_MAX)
		return;
	c->pos.line = line;
	c->pos.col = 1;
	if (key == NULL)
		conf_report(c->p->unit, &c->pos, false, "this line makes no sense in the table <%s>; write an item, or key = value",
		    c->p->conf->table[c->table].name);
	else
		conf_table_entry(c->p, c->table, c->uses, &c->pos, key);
}

static void
check_file(struct parse *p, size_t i)
{
	const struct conf_table *t = &p->conf->table[i];
	struct checking c = { .p = p, .table = i, .before = p->unit->nnote, .uses = conf_table_uses(p->conf, i) };
	struct buf b = BUF_INIT;
	const char *why;

	if (!read_table(t, &b, &why)) {
		conf_report(p->unit, &p->at.table[i], false, "the table \"%s\": cannot read %s: %s", t->name, t->path, why);
	} else {
		c.pos.file = conf_unit_file(p->unit, t->path, &c.pos.nr);
		table_text_entries((char *)buf_data(&b), b.len, check_entry, &c);
	}
	buf_free(&b);
}

void
conf_tables(struct parse *p)
{
	for (size_t i = 0; i < p->conf->ntable; i++)
		if (p->conf->table[i].kind == TABLE_FILE)
			check_file(p, i);
}

/* ---- what it answers ---- */

struct wanted {
	char		**key;
	size_t		 n;
	bool		 found;
};

/* All keys, so that one walk through the table tells. */
static bool
want(void *arg, const char *key)
{
	struct wanted *w = arg;

	w->key = conf_more(w->key, w->n, sizeof(*w->key));
	w->key[w->n++] = xstrdup(key);
	return false;
}

static void
is_wanted(void *arg, unsigned line, char *key, char *value)
{
	struct wanted *w = arg;

	(void)line, (void)value;
	for (size_t i = 0; i < w->n && key != NULL && !w->found; i++)
		w->found = strcasecmp(w->key[i], key) == 0;
}

enum answer_status
conf_tables_ask(const struct conf *c, enum ask_kind kind, size_t table, const char *key)
{
	const struct conf_table *t = &c->table[table];
	struct wanted w = { 0 };
	struct buf b = BUF_INIT;
	const char *why;
	bool read;

	table_keys(kind, key, want, &w);
	for (size_t i = 0; i < t->n; i++)
		is_wanted(&w, 0, t->keys[i], NULL);
	read = t->kind != TABLE_FILE || read_table(t, &b, &why);
	if (t->kind == TABLE_FILE && read)
		table_text_entries((char *)buf_data(&b), b.len, is_wanted, &w);
	buf_free(&b);
	for (size_t i = 0; i < w.n; i++)
		free(w.key[i]);
	free(w.key);
	return !read ? ANSWER_TEMPFAIL : w.found ? ANSWER_YES : ANSWER_NO;
}
