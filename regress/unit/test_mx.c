/*
 * The order of a destination's hosts, and ourselves among them.
 * links: deliver/client/mx.c
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "client/mx.h"
#include "test.h"

static uint32_t
always_last(uint32_t n)
{
	return n - 1;
}

static uint32_t
always_first(uint32_t n)
{
	(void)n;
	return 0;
}

static bool
named_me(const struct mx_host *h, void *arg)
{
	return strcmp(h->name, arg) == 0;
}

static const char *
text(const struct mx_set *set)
{
	static char out[1024];
	char *t = mx_text(set);

	strlcpy(out, t, sizeof out);
	free(t);
	return out;
}

static struct mx_set
three(void)
{
	struct mx_set s = { NULL, 0 };

	mx_add(&s, 20, "b.test", "192.0.2.2", 25);
	mx_add(&s, 10, "a.test", "192.0.2.1", 25);
	mx_add(&s, 10, "a.test", "2001:db8::1", 25);
	mx_add(&s, 20, "c.test", "192.0.2.3", 25);
	mx_add(&s, 10, "a.test", "192.0.2.1", 25);
	mx_sort(&s);
	return s;
}

static void
test_add(void)
{
	static const char *const bad[] = { "0.0.0.0", "0.1.2.3", "255.255.255.255", "224.0.0.1", "::", "ff02::1", "::ffff:127.0.0.1",
	    "::127.0.0.1", " ", "1.2.3", "host.test", "1.2.3.4 ", "fe80::1%lo" };
	static const char *const good[] = { "127.0.0.1", "192.0.2.255", "::1", "2001:db8::2" };
	struct mx_set s = { NULL, 0 };
	size_t i;

	for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (!TEST(!mx_add(&s, 0, "x", bad[i], 25)))
			fprintf(stderr, "\t%s\n", bad[i]);
	for (i = 0; i < sizeof good / sizeof good[0]; i++)
		TEST(mx_add(&s, 0, "x", good[i], 25));
	TEST_INT(s.n, 4);
	mx_free(&s);
	TEST_INT(s.n, 0);
}

static void
test_sort(void)
{
	struct mx_set s = three();
	uint16_t o[MX_MAX];

	TEST_STR(text(&s), "10 a.test[2001:db8::1]:25, 10 a.test[192.0.2.1]:25, 20 b.test[192.0.2.2]:25, 20 c.test[192.0.2.3]:25");
	TEST_INT(mx_order(&s, 0, o, always_last), 4);
	TEST(o[0] == 0 && o[1] == 1 && o[2] == 2 && o[3] == 3);
	TEST_INT(mx_order(&s, 0, o, always_first), 4);
	TEST(o[0] == 0 && o[1] == 1 && o[2] == 3 && o[3] == 2);	/* equal hosts swapped, a's addresses together */
	mx_free(&s);
}

static struct mx_set
answer(const char *const *addresses)
{
	struct mx_set s = { NULL, 0 };

	for (; *addresses != NULL; addresses++)
		mx_add(&s, 10, "a.test", *addresses, 25);
	mx_add(&s, 20, "b.test", "192.0.2.1", 25);
	mx_sort(&s);
	return s;
}

/* The addresses of one walk, "9 1 2". */
static const char *
walk(const struct mx_set *s, unsigned turn)
{
	static char out[200];
	char address[46];
	uint16_t o[MX_MAX];
	size_t i, n = mx_order(s, turn, o, always_last);

	out[0] = '\0';
	for (i = 0; i < n; i++) {
		mx_address((const struct sockaddr *)&s->v[o[i]].sa, address, sizeof address);
		strlcat(out, i > 0 ? " " : "", sizeof out);
		strlcat(out, address, sizeof out);
	}
	return out;
}

/* As they came and not by their numbers, IPv6 first; the next walk begins with the next address. */
static void
test_turns(void)
{
	static const char *const first[] = { "192.0.2.9", "2001:db8::9", "192.0.2.3", "192.0.2.9", "2001:db8::3", "192.0.2.5", NULL };
	static const char *const then[] = { "192.0.2.3", "192.0.2.5", "2001:db8::3", "2001:db8::9", "192.0.2.9", NULL };
	struct mx_set s = answer(first), fresh = answer(then);
	char text_before[1024];

	TEST_STR(walk(&s, 0), "2001:db8::9 2001:db8::3 192.0.2.9 192.0.2.3 192.0.2.5 192.0.2.1");
	TEST_STR(walk(&s, 1), "2001:db8::3 2001:db8::9 192.0.2.3 192.0.2.5 192.0.2.9 192.0.2.1");
	TEST_STR(walk(&s, 2), "2001:db8::9 2001:db8::3 192.0.2.5 192.0.2.9 192.0.2.3 192.0.2.1");
	strlcpy(text_before, text(&s), sizeof text_before);
	TEST_STR(text(&fresh), text_before);			/* it is the same place */
	mx_rank(&s, &fresh);
	TEST_STR(walk(&s, 0), "2001:db8::3 2001:db8::9 192.0.2.3 192.0.2.5 192.0.2.9 192.0.2.1");
	TEST_STR(text(&s), text_before);
	mx_free(&s);
	mx_free(&fresh);
}

static void
test_prune(void)
{
	static char a[] = "a.test", b[] = "b.test", me[] = "me.test", none[] = "none";
	struct mx_set s = three();

	TEST_INT(mx_prune(&s, named_me, none), MX_FINE);
	TEST_INT(s.n, 4);
	TEST_INT(mx_prune(&s, named_me, b), MX_FINE);		/* c is no better than we are */
	TEST_STR(text(&s), "10 a.test[2001:db8::1]:25, 10 a.test[192.0.2.1]:25");
	TEST_INT(mx_prune(&s, named_me, a), MX_LOOP);
	TEST_INT(mx_prune(&s, named_me, a), MX_NOWHERE);
	mx_free(&s);

	s = three();			/* our name counts though its address is not known; another such host is of no use */
	mx_add(&s, 15, "me.test", "", 25);
	mx_add(&s, 1, "lost.test", "", 25);
	mx_sort(&s);
	TEST_INT(mx_prune(&s, named_me, me), MX_FINE);
	TEST_STR(text(&s), "10 a.test[2001:db8::1]:25, 10 a.test[192.0.2.1]:25");
	mx_free(&s);
}

static void
test_many(void)
{
	struct mx_set s = { NULL, 0 };
	uint16_t o[MX_MAX];
	char name[32], address[32];
	int i, taken = 0;

	for (i = 0; i < 5000; i++) {
		snprintf(name, sizeof name, "h%d.test", i);
		snprintf(address, sizeof address, "10.0.%d.%d", i / 250, i % 250 + 1);
		taken += mx_add(&s, (uint32_t)(5000 - i), name, address, 25);
	}
	TEST(taken >= 1000 && taken < 5000);
	mx_sort(&s);
	TEST_INT(s.n, MX_MAX);
	TEST(s.v[0].preference < s.v[1].preference);
	TEST_INT(mx_order(&s, 0, o, always_first), MX_MAX);
	mx_free(&s);
}

static void
families(void)
{
	struct mx_set set = { NULL, 0 }, copy;

	mx_add(&set, 10, "a", "192.0.2.1", 25);
	mx_add(&set, 10, "a", "2001:db8::1", 25);
	mx_add(&set, 20, "b", "192.0.2.2", 25);
	copy = mx_copy(&set);
	TEST(copy.n == 3 && copy.v[0].name != set.v[0].name);
	mx_keep_family(&copy, AF_UNSPEC);
	TEST_INT(copy.n, 3);
	mx_keep_family(&copy, AF_INET);
	TEST(copy.n == 2 && mx_has_family(&copy, AF_INET) && !mx_has_family(&copy, AF_INET6));
	mx_keep_family(&copy, AF_INET6);
	TEST_INT(copy.n, 0);
	mx_free(&copy);
	mx_keep_family(&set, AF_INET6);
	TEST_STR(text(&set), "10 a[2001:db8::1]:25");
	mx_free(&set);
}

int
main(void)
{
	families();
	test_add();
	test_sort();
	test_turns();
	test_prune();
	test_many();
	return test_end("mx");
}
