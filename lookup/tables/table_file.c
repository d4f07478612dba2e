/*
 * table_file: a table in a file, or in text that looks like one.
 *
 * Called by lookup.c with the descriptor that the parent opened. The file is read whole and taken apart in place. A line that
 * cannot be understood is passed over and counted in the log; a file that cannot be read makes no table.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "conf/table_text.h"
#include "tables/table_store.h"

struct filling {
	struct table	*t;
	size_t		 bad;
};

static void
take_entry(void *arg, unsigned line, char *key, char *value)
{
	struct filling *f = arg;
	const char *text = (const char *)buf_data(&f->t->text);

	(void)line;
	if (key == NULL)
		f->bad++;
	else
		table_put(f->t, (uint32_t)(key - text), value == NULL ? 0 : (uint32_t)(value - text));
}

/* The lines of t->text, behind its first NUL. */
static void
take_lines(struct table *t, const char *name)
{
	struct filling f = { .t = t };

	buf_str(&t->text);				/* a NUL behind the last line */
	table_text_entries((char *)buf_data(&t->text) + 1, t->text.len - 1, take_entry, &f);
	if (f.bad > 0)
		log_warn("table %s: %zu lines make no sense and are passed over", name, f.bad);
	if (t->twice > 0)
		log_warn("table %s: %zu keys stand there twice; the first one counts", name, t->twice);
}

struct table *
table_text(const char *name, const char *text, size_t len)
{
	struct table *t = table_new();

	buf_add(&t->text, text, len);
	take_lines(t, name);
	return t;
}

struct table *
table_file(const char *name, int fd)
{
	struct table *t = table_new();
	int error = table_text_read(fd, &t->text);

	close(fd);
	if (error != 0) {
		log_error("table %s: cannot be read: %s; look-ups in it fail for now", name,
		    error == EINVAL ? "this is no file" : strerror(error));
		table_unref(t);
		return NULL;
	}
	take_lines(t, name);
	log_debug("table %s: %zu entries", name, t->n);
	return t;
}
