/*
 * table_file: a table in a file: one item, or `key [:=] value`, a line.
 *
 * Called by lookup.c with the descriptor that the parent opened. The file is read whole and taken apart in place. A line that
 * cannot be understood is passed over and counted in the log; a file that cannot be read makes no table.
 */
#include <sys/stat.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "conf/match.h"
#include "tables/table_store.h"

static bool
blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Where the unquoted word at s ends: at a blank, or at a colon that is not within brackets. */
static char *
word_end(char *s)
{
	bool bracket = false;

	for (; *s != '\0' && !blank(*s); s++) {
		if (*s == '[' || *s == ']')
			bracket = *s == '[';
		else if (*s == ':' && !bracket)
			break;
	}
	return s;
}

static bool
is_network(const char *s, const char *end)
{
	char text[64];
	struct cidr c;

	snprintf(text, sizeof(text), "%.*s", (int)(end - s), s);
	return (size_t)(end - s) < sizeof(text) && cidr_parse(text, &c);
}

/* 2001:db8::/32 has colons and is one word; so is what is left of 192.0.2.0/24: without its separator. NULL: no network. */
static char *
network_end(char *s)
{
	char *end = s + strcspn(s, " \t\r");

	if (is_network(s, end))
		return end;
	return end > s && end[-1] == ':' && is_network(s, end - 1) ? end - 1 : NULL;
}

/* Takes the quotes of a key out in place: "a b"@d, "a b@d". NULL: not closed; else where the key ended. */
static char *
unquote(char *s)
{
	char *out = s;
	bool in = false;

	for (; *s != '\0' && (in || (!blank(*s) && *s != ':')); s++) {
		if (*s == '"')
			in = !in;
		else if (in && *s == '\\' && s[1] != '\0')
			*out++ = *++s;
		else
			*out++ = *s;
	}
	if (in)
		return NULL;
	if (out < s)
		memset(out, '\0', (size_t)(s - out));
	return s;
}

static char *
key_end(char *s)
{
	char *end;

	if (memchr(s, '"', (size_t)(word_end(s) - s)) != NULL)
		return unquote(s);
	end = network_end(s);
	return end != NULL ? end : word_end(s);
}

static uint32_t
value_of(const struct table *t, char *s)
{
	char *end;

	s += strspn(s, " \t\r");
	if (*s == ':' || *s == '=')
		s += 1 + strspn(s + 1, " \t\r");
	for (end = s + strlen(s); end > s && blank(end[-1]); end--)
		;
	*end = '\0';
	return *s == '\0' ? 0 : (uint32_t)(s - (char *)buf_data(&t->text));
}

/* False: the line makes no sense. */
static bool
take_line(struct table *t, char *s)
{
	uint32_t value;
	char *end;

	s += strspn(s, " \t\r");
	if (*s == '\0' || *s == '#')
		return true;
	if ((end = key_end(s)) == NULL || end == s || *s == '\0')
		return false;
	if (*end == '\0') {
		value = 0;
	} else {
		value = value_of(t, end);		/* before the key gets its end: the separator is needed */
		*end = '\0';
		if (end[-1] == '=' && end - s > 1)	/* key= value */
			end[-1] = '\0';
	}
	table_put(t, (uint32_t)(s - (char *)buf_data(&t->text)), value);
	return true;
}

/* The lines of t->text, behind its first NUL. */
static void
take_lines(struct table *t, const char *name)
{
	char *s, *end, *nl;
	size_t bad = 0;

	buf_str(&t->text);				/* a NUL behind the last line */
	s = (char *)buf_data(&t->text) + 1;
	end = s + t->text.len - 1;
	if (end - s >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0)
		s += 3;
	for (; s < end; s = nl + 1) {
		if ((nl = memchr(s, '\n', (size_t)(end - s))) == NULL)
			nl = end;
		*nl = '\0';
		bad += strlen(s) != (size_t)(nl - s) || !take_line(t, s);
	}
	if (bad > 0)
		log_warn("table %s: %zu lines make no sense and are passed over", name, bad);
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

/* -> errno */
static int
read_text(struct table *t, int fd)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) == -1)
		return errno;
	if (!S_ISREG(st.st_mode))
		return EINVAL;
	if (st.st_size > TABLE_MAX)
		return EFBIG;
	buf_reserve(&t->text, (size_t)st.st_size + 4096);
	while ((n = read(fd, buf_reserve(&t->text, 65536), 65536)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return errno;
		buf_grow(&t->text, (size_t)n);
		if (t->text.len > TABLE_MAX)
			return EFBIG;
	}
	return 0;
}

struct table *
table_file(const char *name, int fd)
{
	struct table *t = table_new();
	int error = read_text(t, fd);

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
