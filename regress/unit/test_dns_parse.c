/*
 * links: lookup/resolver/dns_parse.c
 * Record data from the DNS, well-formed and not; reverse names.
 */
#include <sys/socket.h>
#include "resolver/dns_parse.h"
#include "test.h"

#define BLOB(s) ((struct blob){ (const uint8_t *)(s), sizeof(s) - 1 })

static char		 text[DNS_NAME_MAX + 1];
static struct dns_mx	 mx;

static void
names(void)
{
	TEST(dns_parse_name(BLOB("\3mx1\7example\3org\0"), text));
	TEST_STR(text, "mx1.example.org");
	TEST(dns_parse_name(BLOB("\0"), text));
	TEST_STR(text, "");
	TEST(dns_parse_name(BLOB("\4_a-9\1Z\0"), text));
	TEST_STR(text, "_a-9.z");
}

static void
bad_names(void)
{
	static const struct blob	 bad[] = {
		{ NULL, 0 }, { (const uint8_t *)"\3mx", 3 }, { (const uint8_t *)"\3mx1", 4 }, { (const uint8_t *)"\1a\0\0", 4 },
		{ (const uint8_t *)"\300\014", 2 }, { (const uint8_t *)"\1a\300\0\0", 5 }, { (const uint8_t *)"\3a\nb\0", 5 },
		{ (const uint8_t *)"\5$(id)\0", 7 }, { (const uint8_t *)"\3a b\0", 5 }, { (const uint8_t *)"\3a.b\0", 5 },
		{ (const uint8_t *)"\3a\0b\0", 5 }, { (const uint8_t *)"\2\303\244\0", 4 }, { (const uint8_t *)"\1;\0", 3 },
		{ (const uint8_t *)"\377", 1 }, { (const uint8_t *)"\0\0", 2 }
	};
	size_t	 i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (!TEST(!dns_parse_name(bad[i], text)))
			fprintf(stderr, "\tnumber %zu\n", i);
}

/* Labels of 63 and names of 253 are the most there is. */
static void
lengths(void)
{
	uint8_t	 wire[300];
	size_t	 i, n;

	memset(wire, 'x', sizeof(wire));
	wire[0] = 63;
	wire[64] = 0;
	TEST(dns_parse_name((struct blob){ wire, 65 }, text));
	wire[0] = 64;
	wire[65] = 0;
	TEST(!dns_parse_name((struct blob){ wire, 66 }, text));
	for (n = 125; n < 130; n++) {
		for (i = 0; i < n; i++) {
			wire[2 * i] = 1;
			wire[2 * i + 1] = 'x';
		}
		wire[2 * n] = 0;
		TEST_INT(dns_parse_name((struct blob){ wire, 2 * n + 1 }, text), n <= 127);
	}
}

/* Code 0 and no data: only where the packet says so itself. */
static void
no_data(void)
{
#define Q "\1d\0\0\17\0\1"
#define CNAME "\300\014\0\5\0\1\0\0\0\5\0\3\1e\0"
	TEST(dns_says_no_data(BLOB("\0\0\201\200\0\1\0\0\0\0\0\0" Q), 15));
	TEST(dns_says_no_data(BLOB("\0\0\201\200\0\1\0\1\0\0\0\0" Q CNAME), 15));
	TEST(!dns_says_no_data(BLOB("\0\0\203\200\0\1\0\0\0\0\0\0" Q), 15));		/* truncated */
	TEST(!dns_says_no_data(BLOB("\0\0\201\200\0\1\0\1\0\0\0\0" Q CNAME), 5));	/* there is one */
	TEST(!dns_says_no_data(BLOB("\0\0\201\200\0\1\0\2\0\0\0\0" Q CNAME), 15));	/* and where is the second? */
	TEST(!dns_says_no_data(BLOB("\0\0\201\200\0\1\0\0\0\0\0"), 15));
	TEST(!dns_says_no_data((struct blob){ NULL, 0 }, 15));
}

static void
mx_data(void)
{
	TEST(dns_parse_mx(BLOB("\1\2\2mx\1d\0"), &mx));
	TEST_INT(mx.preference, 258);
	TEST_STR(mx.host, "mx.d");
	TEST(dns_parse_mx(BLOB("\0\0\0"), &mx));
	TEST_STR(mx.host, "");
	TEST(!dns_parse_mx(BLOB(""), &mx));
	TEST(!dns_parse_mx(BLOB("\1"), &mx));
	TEST(!dns_parse_mx(BLOB("\1\2"), &mx));
	TEST(!dns_parse_mx(BLOB("\1\2\3mx"), &mx));
}

static void
addresses(void)
{
	char	 a[INET6_ADDRSTRLEN];

	TEST(dns_parse_address(AF_INET, BLOB("\300\0\2\1"), a));
	TEST_STR(a, "192.0.2.1");
	TEST(!dns_parse_address(AF_INET, BLOB("\300\0\2"), a));
	TEST(!dns_parse_address(AF_INET6, BLOB("\300\0\2\1"), a));
	TEST(dns_parse_address(AF_INET6, BLOB("\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1"), a));
	TEST_STR(a, "2001:db8::1");
}

static void
reverse(void)
{
	int	 family;

	TEST(dns_reverse("192.0.2.10", text, &family));
	TEST_STR(text, "10.2.0.192.in-addr.arpa");
	TEST_INT(family, AF_INET);
	TEST(dns_reverse("::ffff:192.0.2.10", text, &family));
	TEST_STR(text, "10.2.0.192.in-addr.arpa");
	TEST_INT(family, AF_INET);
	TEST(dns_reverse("2001:db8::1f", text, &family));
	TEST_STR(text, "f.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
	TEST_INT(family, AF_INET6);
	TEST(!dns_reverse("", text, &family));
	TEST(!dns_reverse("localhost", text, &family));
	TEST(!dns_reverse("1.2.3.4.5", text, &family));
}

int
main(void)
{
	names();
	bad_names();
	lengths();
	no_data();
	mx_data();
	addresses();
	reverse();
	return test_end("dns_parse");
}
