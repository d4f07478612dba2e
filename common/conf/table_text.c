/*
 * table_text: see table_text.h.
 *
 * Called by lookup and by the parent. Owns nothing. A line that cannot be understood is told as such, a file that cannot be read by errno.
 */
#include <sys/stat.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "conf/match.h"
#include "conf/table_text.h"

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

/* What stands behind the key; NULL: nothing. */
static char *
value_at(char *s)
{
	char *end;

	s += strspn(s, " \t\r");
	if (*s == ':' || *s == '=')
		s += 1 + strspn(s + 1, " \t\r");
	for (end = s + strlen(s); end > s && blank(end[-1]); end--)
		;
	*end = '\0';
	return *s == '\0' ? NULL : s;
}

static void
take_line(char *s, unsigned line, table_entry_fn *entry, void *arg)
{
	char *end, *value = NULL;

	s += strspn(s, " \t\r");
	if (*s == '\0' || *s == '#')
		return;
	if ((end = key_end(s)) == NULL || end == s || *s == '\0') {
		entry(arg, line, NULL, NULL);
		return;
	}
	if (*end != '\0') {
		value = value_at(end);			/* before the key gets its end: the separator is needed */
		*end = '\0';
		if (end[-1] == '=' && end - s > 1)	/* key= value */
			end[-1] = '\0';
	}
	entry(arg, line, s, value);
}

void
table_text_entries(char *text, size_t len, table_entry_fn *entry, void *arg)
{
	char *s = text, *end = text + len, *nl;
	unsigned line = 1;

	if (len >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0)
		s += 3;
	for (; s < end; s = nl + 1, line++) {
		if ((nl = memchr(s, '\n', (size_t)(end - s))) == NULL)
			nl = end;
		*nl = '\0';
		if (strlen(s) != (size_t)(nl - s))
			entry(arg, line, NULL, NULL);
		else
			take_line(s, line, entry, arg);
	}
}

int
table_text_read(int fd, struct buf *b)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) == -1)
		return errno;
	if (!S_ISREG(st.st_mode))
		return EINVAL;
	if (st.st_size > TABLE_MAX)
		return EFBIG;
	buf_reserve(b, (size_t)st.st_size + 4096);
	while ((n = read(fd, buf_reserve(b, 65536), 65536)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return errno;
		buf_grow(b, (size_t)n);
		if (b->len > TABLE_MAX)
			return EFBIG;
	}
	return 0;
}
