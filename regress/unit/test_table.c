/* links: lookup/tables/table.c lookup/tables/table_list.c lookup/tables/table_file.c lookup/tables/table_net.c */
/*
 * test_table: tables of all kinds and the orders of look-up; files with all their spellings; a million entries.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "tables/table.h"
#include "test.h"

static const char *
ask(struct table *t, enum ask_kind kind, const char *key)
{
	const char *value;

	return table_ask(t, kind, key, &value) == ANSWER_YES ? value : "-";
}

static struct table *
text(const char *s)
{
	return table_text("test", s, strlen(s));
}

static void
test_addresses(void)
{
	struct table *t = text("user+tag@a.example 1\nuser@a.example 2\nuser+tag 3\nuser 4\n@a.example 5\n* 6\n@c.example 7\n<> 8\nuser@b.example 9\n");

	TEST_STR(ask(t, ASK_ADDRESS, "User+Tag@A.Example"), "1");
	TEST_STR(ask(t, ASK_ADDRESS, "user+other@a.example"), "2");
	TEST_STR(ask(t, ASK_ADDRESS, "\"user\"@a.example"), "2");
	TEST_STR(ask(t, ASK_ADDRESS, "x@a.example"), "5");
	TEST_STR(ask(t, ASK_ADDRESS, "user+tag@c.example"), "7");
	TEST_STR(ask(t, ASK_LOCAL, "user+tag@c.example"), "3");
	TEST_STR(ask(t, ASK_LOCAL, "user+tag@b.example"), "9");
	TEST_STR(ask(t, ASK_LOCAL, "user+x@c.example"), "4");
	TEST_STR(ask(t, ASK_LOCAL, "user"), "4");
	TEST_STR(ask(t, ASK_LOCAL, "x@d.example"), "6");
	TEST_STR(ask(t, ASK_ADDRESS, "<>"), "8");
	table_unref(t);
	t = text("user\n@a.example\n");
	TEST_STR(ask(t, ASK_ADDRESS, "user@b.example"), "-");
	TEST_STR(ask(t, ASK_LOCAL, "user@b.example"), "");
	TEST_STR(ask(t, ASK_ADDRESS, "<>"), "-");
	TEST_STR(ask(t, ASK_ADDRESS, ""), "-");
	table_unref(t);
}

/* Domains hold in a table of addresses, behind all that names an address; where bare keys are local parts only .domain does. */
static void
test_address_domains(void)
{
	struct table *t = text("user@a.example 1\n@a.example 2\na.example 3\n.a.example 4\nb.example 5\n.B.example 6\n* 7\nc 8\n");

	TEST_STR(ask(t, ASK_ADDRESS, "user+x@a.example"), "1");
	TEST_STR(ask(t, ASK_ADDRESS, "x@a.example"), "2");
	TEST_STR(ask(t, ASK_ADDRESS, "user@x.a.example"), "4");
	TEST_STR(ask(t, ASK_ADDRESS, "x@B.Example"), "5");
	TEST_STR(ask(t, ASK_ADDRESS, "x@y.z.b.example"), "6");
	TEST_STR(ask(t, ASK_ADDRESS, "x@c"), "8");
	TEST_STR(ask(t, ASK_ADDRESS, "c@d.example"), "7");
	TEST_STR(ask(t, ASK_ADDRESS, "<>"), "7");
	TEST_STR(ask(t, ASK_LOCAL, "x@b.example"), "7");
	TEST_STR(ask(t, ASK_LOCAL, "x@y.b.example"), "6");
	TEST_STR(ask(t, ASK_LOCAL, "b.example@far.example"), "5");
	table_unref(t);
}

static void
test_domains(void)
{
	struct table *t = text("a.example 1\n.a.example 2\n.b.a.example 3\n.example 4\n");

	TEST_STR(ask(t, ASK_DOMAIN, "A.example"), "1");
	TEST_STR(ask(t, ASK_DOMAIN, "x.a.example"), "2");
	TEST_STR(ask(t, ASK_DOMAIN, "b.a.example"), "2");
	TEST_STR(ask(t, ASK_DOMAIN, "x.y.b.a.example"), "3");
	TEST_STR(ask(t, ASK_DOMAIN, "z.example"), "4");
	TEST_STR(ask(t, ASK_DOMAIN, "example"), "-");
	TEST_STR(ask(t, ASK_DOMAIN, "xa.exampl"), "-");
	TEST_STR(ask(t, ASK_DOMAIN, ""), "-");
	table_unref(t);
	t = text("*\n");
	TEST_STR(ask(t, ASK_DOMAIN, "example"), "");
	table_unref(t);
}

static void
test_networks(void)
{
	struct table *t = text("10.0.0.0/8 1\n10.1.0.0/16 2\n10.1.2.3: 3\n2001:db8::/32 4\n2001:db8::1 = 5\nfoo 6\n192.0.2.7/24 7\n");

	TEST_STR(ask(t, ASK_NETWORK, "10.9.9.9"), "1");
	TEST_STR(ask(t, ASK_NETWORK, "10.1.9.9"), "2");
	TEST_STR(ask(t, ASK_NETWORK, "10.1.2.3"), "3");
	TEST_STR(ask(t, ASK_NETWORK, "::ffff:10.1.2.3"), "3");
	TEST_STR(ask(t, ASK_NETWORK, "2001:db8:5::1"), "4");
	TEST_STR(ask(t, ASK_NETWORK, "2001:db8::1"), "5");
	TEST_STR(ask(t, ASK_NETWORK, "192.0.2.200"), "7");
	TEST_STR(ask(t, ASK_NETWORK, "11.0.0.1"), "-");
	TEST_STR(ask(t, ASK_NETWORK, "foo"), "-");
	table_unref(t);
	t = text("");
	TEST_STR(ask(t, ASK_NETWORK, "10.0.0.1"), "-");
	TEST_STR(ask(t, ASK_DOMAIN, "x"), "-");
	table_unref(t);
}

static void
test_spellings(void)
{
	struct table *t = text("\xef\xbb\xbf" "# comment\n\n  # another\n  one  value one \r\ntwo: value two\nthree:value\nfour = x = y\n"
	    "five= 5\nsix =6\nseven\n\"a b\"@x.example 8\n\"c \\\" d\": 9\nuser@[IPv6:::1] 10\nkey#x 11\nseven 12\neight:\n: bad\n\"bad\nlast 13");

	TEST_STR(ask(t, ASK_DOMAIN, "one"), "value one");
	TEST_STR(ask(t, ASK_DOMAIN, "two"), "value two");
	TEST_STR(ask(t, ASK_DOMAIN, "three"), "value");
	TEST_STR(ask(t, ASK_DOMAIN, "four"), "x = y");
	TEST_STR(ask(t, ASK_DOMAIN, "five"), "5");
	TEST_STR(ask(t, ASK_DOMAIN, "six"), "6");
	TEST_STR(ask(t, ASK_DOMAIN, "seven"), "");
	TEST_STR(ask(t, ASK_ADDRESS, "\"A b\"@x.example"), "8");
	TEST_STR(ask(t, ASK_DOMAIN, "c \" d"), "9");
	TEST_STR(ask(t, ASK_ADDRESS, "user@[ipv6:::1]"), "10");
	TEST_STR(ask(t, ASK_DOMAIN, "key#x"), "11");
	TEST_STR(ask(t, ASK_DOMAIN, "eight"), "");
	TEST_STR(ask(t, ASK_DOMAIN, "last"), "13");
	TEST_STR(ask(t, ASK_DOMAIN, "# comment"), "-");
	TEST_INT(table_size(t), 13);
	table_unref(t);
	t = table_text("test", "a\0b c\nd e\n", 10);
	TEST_STR(ask(t, ASK_DOMAIN, "a"), "-");
	TEST_STR(ask(t, ASK_DOMAIN, "d"), "e");
	table_unref(t);
}

static void
test_list(void)
{
	char *keys[] = { (char[]){ "Bob@Example.org" }, (char[]){ "10.0.0.0/8" }, (char[]){ "bob@example.org" } }, *values[] = { NULL, NULL, (char[]){ "x" } };
	struct conf_table ct = { .kind = TABLE_LIST, .keys = keys, .values = values, .n = 3 };
	struct table *t = table_list(&ct);

	TEST_STR(ask(t, ASK_ADDRESS, "bob@example.org"), "");
	TEST_STR(ask(t, ASK_NETWORK, "10.0.0.1"), "");
	TEST_INT(table_size(t), 2);
	table_unref(table_ref(t));
	table_unref(t);
}

static void
test_file(void)
{
	char path[] = "/tmp/test_table.XXXXXX";
	int fd = mkstemp(path), p[2];
	struct table *t;

	TEST_INT(write(fd, "a b\n", 4), 4);
	lseek(fd, 0, SEEK_SET);
	t = table_file("test", fd);
	if (TEST(t != NULL))
		TEST_STR(ask(t, ASK_DOMAIN, "a"), "b");
	table_unref(t);
	unlink(path);
	TEST(table_file("dir", open("/", O_RDONLY)) == NULL);
	TEST(pipe(p) == 0);
	TEST(table_file("pipe", p[0]) == NULL);
	close(p[1]);
}

/* A million entries load in seconds, and a look-up stays below a microsecond or so. */
static void
test_large(void)
{
	struct buf b = BUF_INIT;
	struct timespec t0, t1;
	unsigned found = 0;
	struct table *t;
	char key[64];

	for (unsigned i = 0; i < 1000000; i++)
		buf_addf(&b, "user%u@example.org\n", i);
	t = table_text("large", (const char *)buf_data(&b), b.len);
	TEST_INT(table_size(t), 1000000);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(key, sizeof(key), "user%u@example.org", i * 20);
		found += strcmp(ask(t, ASK_ADDRESS, key), "") == 0;
	}
	clock_gettime(CLOCK_MONOTONIC, &t1);
	TEST_INT(found, 50000);
	TEST((t1.tv_sec - t0.tv_sec) * 1000 + (t1.tv_nsec - t0.tv_nsec) / 1000000 < 5000);
	table_unref(t);
	buf_free(&b);
}

int
main(void)
{
	test_addresses();
	test_address_domains();
	test_domains();
	test_networks();
	test_spellings();
	test_list();
	test_file();
	test_large();
	return test_end("table");
}
