/* links: */
/*
 * test_hdr: header fields, and address lists by the grammar and beside it.
 */
#include <stdlib.h>
#include "mail/hdr.h"
#include "test.h"

#define EACH(i, array) for (size_t i = 0; i < sizeof (array) / sizeof (array)[0]; i++)
#define UM	"\xc3\xbc"

/* Fields as name=value|, and where the reader stopped. */
static void
fields(const char *msg, size_t len, char *out, size_t size, size_t *at)
{
	struct hdr_field f;
	size_t n = 0;

	*at = 0;
	out[0] = '\0';
	while (hdr_next(msg, len, at, &f)) {
		n += (size_t)snprintf(out + n, size - n, "%.*s=%.*s|", (int)f.name_len, f.name, (int)f.value_len,
		    f.value);
		TEST(f.name + f.whole_len == msg + *at && *at <= len && f.value + f.value_len <= msg + *at);
	}
}

static void
test_fields(void)
{
	static const struct { const char *in, *out; size_t at; } rows[] = {
		{ "", "", 0 },
		{ "\r\n", "", 0 },
		{ "A: b\r\n\r\nc: d\r\n", "A= b|", 6 },
		{ "A: b\n\nc: d\n", "A= b|", 5 },
		{ "A:b", "A=b|", 3 },
		{ "A:", "A=|", 2 },
		{ "A:\r\n", "A=|", 4 },
		{ "A:\n", "A=|", 3 },
		{ "A:\r", "A=\r|", 3 },
		{ "A : b\r\nC\t: d\r\n", "A= b|C= d|", 14 },
		{ "A: b\r\n c\r\n\td\r\nE: f\r\n", "A= b\r\n c\r\n\td|E= f|", 20 },
		{ "A: b\r\n", "A= b|", 6 },
		{ "A: b: c\r\n", "A= b: c|", 9 },
		{ " A: b\r\n", "", 0 },
		{ ": b\r\n", "", 0 },
		{ "A b: c\r\n", "", 0 },
		{ "A: b\r\nno field\r\nC: d\r\n", "A= b|", 6 },
		{ "From x@y Mon\r\nA: b\r\n", "", 0 },
		{ "A", "", 0 },
		{ "A\r\n: b\r\n", "", 0 },
		{ UM ": b\r\n", "", 0 },
		{ "A: b\r\n \r\n\r\nx", "A= b\r\n |", 9 },
	};
	char out[256];
	struct hdr_field f;
	size_t at;

	EACH(i, rows) {
		size_t n = strlen(rows[i].in);
		char *copy = malloc(n + 1);

		memcpy(copy, rows[i].in, n);
		fields(copy, n, out, sizeof out, &at);
		TEST_STR(out, rows[i].out);
		TEST_INT(at, rows[i].at);
		free(copy);
	}
	at = 0;
	TEST(hdr_next("Subject: x\r\n", 12, &at, &f));
	TEST(hdr_is(&f, "Subject") && hdr_is(&f, "SUBJECT") && !hdr_is(&f, "Sub") && !hdr_is(&f,
	    "Subjects") && !hdr_is(&f, ""));
	TEST(!hdr_next("Subject: x\r\n", 12, &at, &f));
}

struct got {
	char	text[4096];
	size_t	n;
	int	count;
};

static void
on_address(void *arg, const char *addr)
{
	struct got *g = arg;

	g->count++;
	g->n += (size_t)snprintf(g->text + g->n, sizeof g->text - g->n, "%s|", addr);
	if (g->n >= sizeof g->text)
		g->n = sizeof g->text - 1;
}

static int
parse(const char *in, size_t n, struct got *g)
{
	char *copy = malloc(n + 1);
	int count;

	memset(g, 0, sizeof *g);
	memcpy(copy, in, n);
	count = hdr_addresses(copy, n, on_address, g);
	free(copy);
	TEST(count == -1 || count == g->count);
	return count;
}

static const struct {
	const char	*in, *out;
	int		 count;		/* -1: malformed */
} lists[] = {
	{ "", "", 0 },
	{ " \r\n ", "", 0 },
	{ "a@b", "a@b|", 1 },
	{ "root", "root|", 1 },
	{ "root, bob", "root|bob|", 2 },
	{ " a@b , c@d\r\n\t, <e@f> ", "a@b|c@d|e@f|", 3 },
	{ ",,a@b,,c@d,", "a@b|c@d|", 2 },
	{ "John Doe <j@d>", "j@d|", 1 },
	{ "\"Doe, John\" <j@d>, x@y", "j@d|x@y|", 2 },
	{ "\"a \\\" <x@y>, b\" <j@d>", "j@d|", 1 },
	{ "J. R. \"Bob\" Dobbs <j@d>", "j@d|", 1 },
	{ "=?utf-8?q?J=C3=B6rg?= <j@d>", "j@d|", 1 },
	{ "J" UM "rg <j@d>", "j@d|", 1 },
	{ UM "@" UM ".de", UM "@" UM ".de|", 1 },
	{ "<root>", "root|", 1 },
	{ "j@d (John (the (real)) Doe \\) \\()", "j@d|", 1 },
	{ "(c)j(c)@(c)d(c).(c)e(c)", "j@d.e|", 1 },
	{ "j . k @ d . e", "j.k@d.e|", 1 },
	{ "x (a, b) <(c)j@d(e)> (f)", "j@d|", 1 },
	{ "j@x.org <j@d>", "j@d|", 1 },
	{ "<@a,@b:j@d>", "j@d|", 1 },
	{ "<@a , , @b.c : j@d>", "j@d|", 1 },
	{ "<,@a:j@d>", "j@d|", 1 },
	{ "\"john doe\"@d", "\"john doe\"@d|", 1 },
	{ "\"john\"@d", "john@d|", 1 },
	{ "\"john\".doe@d", "john.doe@d|", 1 },
	{ "\"j@x\".doe@d", "\"j@x.doe\"@d|", 1 },
	{ "\"a\\\"b\\\\c\"@d", "\"a\\\"b\\\\c\"@d|", 1 },
	{ "\"a\\b\"@d", "ab@d|", 1 },
	{ "\"a\r\n b\"@d", "\"a b\"@d|", 1 },
	{ "\"a\tb\"@d", "\"a b\"@d|", 1 },
	{ "\"\"@d", "\"\"@d|", 1 },
	{ "\"a..b\"@d", "\"a..b\"@d|", 1 },
	{ "a@[1.2.3.4]", "a@[1.2.3.4]|", 1 },
	{ "a@[IPv6:::1], b@c", "a@[IPv6:::1]|b@c|", 2 },
	{ "undisclosed-recipients:;", "", 0 },
	{ "undisclosed recipients: ;", "", 0 },
	{ "g:a@b,c@d;", "a@b|c@d|", 2 },
	{ "A Group: Ed <e@f>, (c) g, \"x y\"@z ; , h@i, \"q r\":j@k;", "e@f|g|\"x y\"@z|h@i|j@k|", 5 },
	{ "g:,,a@b,;,c@d", "a@b|c@d|", 2 },
	{ "a!b@c, x%y@z", "a!b@c|x%y@z|", 2 },
	{ ";id;@x", "id|", -1 },
	{ "|id", "|id|", 1 },
	{ "$(id)", "$|", 1 },
	{ "a@b;", "a@b|", -1 },
	{ "a@b; c@d", "a@b|c@d|", -1 },
	{ "g:a@b; c@d", "a@b|c@d|", -1 },
	{ "g:a@b", "a@b|", -1 },
	{ "g:", "", -1 },
	{ ":a@b;", "", -1 },
	{ "g:h:a@b;;", "", -1 },
	{ "alice bob", "", -1 },
	{ "alice bob, c@d", "c@d|", -1 },
	{ "a@b c@d, e@f", "e@f|", -1 },
	{ "<a@b> <c@d>, e@f", "a@b|e@f|", -1 },
	{ "<>", "", -1 },
	{ "<a@b", "", -1 },
	{ "<a@b, c@d", "c@d|", -1 },
	{ "a@", "", -1 },
	{ "@b", "", -1 },
	{ "a@b.", "", -1 },
	{ "a@.b", "", -1 },
	{ "a@b..c", "", -1 },
	{ ".a@b", "", -1 },
	{ "a.@b", "", -1 },
	{ "a..b@c", "", -1 },
	{ "a b@c", "", -1 },
	{ "a@b@c, d@e", "d@e|", -1 },
	{ "\"a@b, c@d", "", -1 },
	{ "(a@b", "", -1 },
	{ "x@y (a@b", "x@y|", -1 },
	{ ") a@b, c@d", "c@d|", -1 },
	{ "a@[1.2", "", -1 },
	{ "a@[1]2]", "", -1 },
	{ "a@[1\\]2]", "", -1 },
	{ "\"a\\\nb\"@c, d@e", "d@e|", -1 },
	{ "\"a\001b\"@c", "", -1 },
	{ "a\001@c", "", -1 },
	{ "a>b@c", "", -1 },
	{ "<@a j@d>", "", -1 },
	{ "<@a:>", "", -1 },
};

static void
test_lists(void)
{
	struct got g;

	EACH(i, lists) {
		bool ok = TEST_INT(parse(lists[i].in, strlen(lists[i].in), &g), lists[i].count);

		if (!(TEST_STR(g.text, lists[i].out) && ok))
			fprintf(stderr, "\t%s\n", lists[i].in);
	}
	TEST_INT(parse("a\0b@c, d@e", 10, &g), -1);
	TEST_STR(g.text, "d@e|");
	TEST_INT(parse("\"a\\\0b\"@c", 8, &g), -1);
	TEST_STR(g.text, "");
}

/* What was given reads back as itself; every prefix is survived. */
static void
test_again(void)
{
	struct got g, again;

	EACH(i, lists) {
		char *rest = g.text, *one;

		for (size_t n = 0; n < strlen(lists[i].in); n++)
			(void)parse(lists[i].in, n, &g);
		if (lists[i].count <= 0 || strchr(lists[i].in, '|') != NULL)
			continue;
		(void)parse(lists[i].in, strlen(lists[i].in), &g);
		while ((one = strsep(&rest, "|")) != NULL && *one != '\0') {
			TEST_INT(parse(one, strlen(one), &again), 1);
			TEST(strncmp(again.text, one, strlen(one)) == 0 && again.n == strlen(one) + 1);
		}
	}
}

static void
test_bounds(void)
{
	size_t n = 1 << 20;
	char *in = malloc(n);
	struct got g;

	memset(in, 'a', n);
	TEST_INT(parse(in, n, &g), -1);
	memcpy(in + n - 8, " <a@b.c>", 8);
	TEST_INT(parse(in, n, &g), 1);		/* a very long display name */
	memset(in, '(', n);
	TEST_INT(parse(in, n, &g), -1);
	memset(in, '"', n);
	TEST_INT(parse(in, n, &g), -1);
	memset(in, ',', n);
	TEST_INT(parse(in, n, &g), 0);
	memset(in, '<', n);
	TEST_INT(parse(in, n, &g), -1);
	memset(in, '.', n);
	TEST_INT(parse(in, n, &g), -1);
	memset(in, ';', n);
	TEST_INT(parse(in, n, &g), -1);
	memset(in, '@', n);
	TEST_INT(parse(in, n, &g), -1);
	for (size_t i = 0; i + 4 <= n; i += 4)
		memcpy(in + i, "a@b,", 4);
	TEST_INT(parse(in, n, &g), n / 4);
	free(in);
}

int
main(void)
{
	test_fields();
	test_lists();
	test_again();
	test_bounds();
	return test_end("hdr");
}
