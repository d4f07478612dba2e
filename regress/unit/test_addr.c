/* links: */
/*
 * test_addr: paths and addresses: what the grammar takes and what it refuses, and the texts made of them.
 */
#include <stdlib.h>
#include "mail/addr.h"
#include "test.h"

#define A10	"aaaaaaaaaa"
#define A60	A10 A10 A10 A10 A10 A10
#define L63	A60 "aaa"
#define UM	"\xc3\xbc"		/* u umlaut */

enum { Q = 1, L = 2, U = 4, N = 8 };	/* quoted, literal, utf8, null */

struct good {
	const char	*in;
	const char	*text, *domain;
	unsigned	 flags;
};

static const struct good good_forward[] = {
	{ "<a@b>", "a@b", "b", 0 },
	{ "<a@b> SIZE=1", "a@b", "b", 0 },
	{ "<John.Doe+tag@Example.ORG>", "John.Doe+tag@Example.ORG", "Example.ORG", 0 },
	{ "<!#$%&'*+-/=?^_`{|}~@b>", "!#$%&'*+-/=?^_`{|}~@b", "b", 0 },
	{ "<Postmaster>", "Postmaster", "", 0 },
	{ "<postMASTER>", "postMASTER", "", 0 },
	{ "<postmaster@b>", "postmaster@b", "b", 0 },
	{ "<\"john doe\"@b>", "\"john doe\"@b", "b", Q },
	{ "<\"a\\\"b\\\\c\"@b>", "\"a\\\"b\\\\c\"@b", "b", Q },
	{ "<\"a@b\"@c>", "\"a@b\"@c", "c", Q },
	{ "<\"x>y<z\"@c>", "\"x>y<z\"@c", "c", Q },
	{ "<\"\"@c>", "\"\"@c", "c", Q },
	{ "<a@[127.0.0.1]>", "a@[127.0.0.1]", "[127.0.0.1]", L },
	{ "<a@[IPv6:::1]>", "a@[IPv6:::1]", "[IPv6:::1]", L },
	{ "<a@[ipv6:2001:db8::ffff:192.0.2.1]>", "a@[ipv6:2001:db8::ffff:192.0.2.1]",
	    "[ipv6:2001:db8::ffff:192.0.2.1]", L },
	{ "<@x:a@b>", "a@b", "b", 0 },
	{ "<@x.org,@y.org,@z:a@b>", "a@b", "b", 0 },
	{ "<a%b@c>", "a%b@c", "c", 0 },
	{ "<a!b@c>", "a!b@c", "c", 0 },
	{ "<a@under_score.org>", "a@under_score.org", "under_score.org", 0 },
	{ "<a@_dmarc.b>", "a@_dmarc.b", "_dmarc.b", 0 },
	{ "<a@1.2.3.4>", "a@1.2.3.4", "1.2.3.4", 0 },
	{ "<a@x--y.xn--bcher-kva.example>", "a@x--y.xn--bcher-kva.example", "x--y.xn--bcher-kva.example", 0 },
	{ "<" UM "@b>", UM "@b", "b", U },
	{ "<a@" UM ".de>", "a@" UM ".de", UM ".de", U },
	{ "<\"" UM " x\"@b>", "\"" UM " x\"@b", "b", Q | U },
	{ "<" A60 "aaaa@b>", A60 "aaaa@b", "b", 0 },
	{ "<a@" L63 ".b>", "a@" L63 ".b", L63 ".b", 0 },
	/* What the field has: dots anywhere in the local part, and more than 64 octets of it. */
	{ "<.a@b>", ".a@b", "b", 0 },
	{ "<a.@b>", "a.@b", "b", 0 },
	{ "<a..b@c>", "a..b@c", "c", 0 },
	{ "<.@b>", ".@b", "b", 0 },
	{ "<" A60 "aaaaa@b>", A60 "aaaaa@b", "b", 0 },
	{ "<\"" A60 "aaa\"@b>", "\"" A60 "aaa\"@b", "b", Q },
	{ "<" A60 A60 A60 A60 "aaaaaaaaaaaa@b>", A60 A60 A60 A60 "aaaaaaaaaaaa@b", "b", 0 },
	{ "<a@[IPv6:1:2:3:4:5:6::]>", "a@[IPv6:1:2:3:4:5:6::]", "[IPv6:1:2:3:4:5:6::]", L },
	{ "<a@[IPv6:::2:3:4:5:6:7]>", "a@[IPv6:::2:3:4:5:6:7]", "[IPv6:::2:3:4:5:6:7]", L },
	{ "<a@[IPv6:1:2:3:4::192.0.2.1]>", "a@[IPv6:1:2:3:4::192.0.2.1]", "[IPv6:1:2:3:4::192.0.2.1]", L },
	{ "<|id@x>", "|id@x", "x", 0 },
	{ "<--help@x>", "--help@x", "x", 0 },
};

static const char *const bad_forward[] = {
	"", "<", ">", "<>", "<@>", "a@b", " <a@b>", "< a@b>", "<a@b >", "<a@b", "<a @b>", "<a", "<\"a", "<a@>",
	    "<@b>", "<a>", "<root>",
	"<postmaster2>", "<\"postmaster\">", "<@x:postmaster>", "<a@.b>",
	    "<a@b.>", "<a@b..c>",
	"<a@.>", "<a@b@c>", "<a@@b>", "<a@-b>", "<a@b->", "<a@b.-c.d>", "<a@b!c>", "<a@b c>", "<a@b,c>", "<a,b@c>",
	    "<a:b@c>", "<a;b@c>",
	"<a(x)@b>", "<a@b(x)>", "<\"a\"b@c>", "<a\"b\"@c>", "<a.\"b\"@c>", "<\"a\".b@c>", "<\"a\\\"@b>",
	    "<\"a\nb\"@c>", "<\"a\\\nb\"@c>",
	"<a\rb@c>", "<a\tb@c>", "<a\177b@c>", "<\"a\177\"@c>", "<a\\b@c>", "<<a@b>>", "<a@[]>", "<a@[1.2.3]>",
	    "<a@[1.2.3.256]>",
	"<a@[1.2.3.4>", "<a@[1.2.3.4].b>", "<a@[1.2.3.4]b>", "<a@[::1]>", "<a@[IPv6:1.2.3.4]>", "<a@[IPv6:::1%eth0]>",
	    "<a@[IPv6:::g]>", "<a@[tag:x]>",
	"<a@[ 1.2.3.4]>", "<a@b[1.2.3.4]>", "<@x,a@b>", "<@x;a@b>", "<@x a@b>", "<@x:>", "<@x>", "<@:a@b>",
	    "<@x,@:a@b>", "<@[1.2.3.4]:a@b>",
	"<@x:@y:a@b>", "<@x.:a@b>", "<" A60 A60 A60 A60 "aaaaaaaaaaaaa@b>", "<a@[IPv6:1:2:3:4:5:6:7::]>", "<a@[IPv6:1:2:3:4:5::192.0.2.1]>", "<a@" L63 "a.b>", "<a@\xff.b>",
	    "<\xc3@b>", "<\xc0\xaf@b>", "<\xed\xa0\x80@b>",
	"<\xc2\x9b@b>", "<\"\\" UM "\"@b>", "<@" "\xff" ":a@b>",
};

static const struct good good_bare[] = {
	{ "root", "root", "", 0 },
	{ "a@b", "a@b", "b", 0 },
	{ "\"a b\"", "\"a b\"", "", Q },
	{ "\"a@b\"", "\"a@b\"", "", Q },
	{ "\"a@b\"@c", "\"a@b\"@c", "c", Q },
	{ "a@[1.2.3.4]", "a@[1.2.3.4]", "[1.2.3.4]", L },
	{ UM, UM, "", U },
};
static const char *const bad_bare[] = { "", "<a@b>", "a@b>", "a b", "a@b c", "a@", "@b", "a@b@c", "a@b.", "@x:a@b",
    "a,b", "a@b\n", "a\n" };

static const struct good good_reverse[] = { { "<>", "", "", N }, { "<> BODY=8BITMIME", "", "", N },
{ "<a@b>", "a@b", "b", 0 } };
static const char *const bad_reverse[] = { "", "<", "<a>", "<Postmaster>", "<<>>", "< >", "<\"\">" };

static void
one_good(const struct good *g, enum addr_kind kind)
{
	struct addr a;
	size_t used, n = strlen(g->in);
	const char *why = addr_parse(g->in, n, kind, &a, &used);

	if (!TEST(why == NULL)) {
		fprintf(stderr, "\t%s: %s\n", g->in, why);
		return;
	}
	TEST_STR(a.text, g->text);
	TEST_STR(a.text + a.domain, g->domain);
	TEST_STR(addr_domain(a.text), g->domain);
	TEST(a.quoted == !!(g->flags & Q) && a.literal == !!(g->flags & L));
	TEST(a.utf8 == !!(g->flags & U) && a.null == !!(g->flags & N));
	TEST(kind == ADDR_BARE ? used == n : g->in[used - 1] == '>');
	/* No prefix may be taken for more than it is, nor be read past. */
	for (size_t i = 0; i < used; i++) {
		char *cut = malloc(i + 1);
		struct addr b;
		size_t u;

		memcpy(cut, g->in, i);
		TEST(kind == ADDR_BARE || addr_parse(cut, i, kind, &b, &u) != NULL);
		(void)addr_parse(cut, i, ADDR_BARE, &b, &u);
		free(cut);
	}
}

static void
one_bad(const char *in, size_t n, enum addr_kind kind)
{
	struct addr a;
	size_t used;
	const char *why = addr_parse(in, n, kind, &a, &used);

	if (!TEST(why != NULL))
		fprintf(stderr, "\ttaken: %s -> %s\n", in, a.text);
	else
		TEST(strlen(why) > 10 && strlen(why) < 60);
}

#define EACH(i, array) for (size_t i = 0; i < sizeof (array) / sizeof (array)[0]; i++)

static void
test_tables(void)
{
	EACH(i, good_forward)
		one_good(&good_forward[i], ADDR_FORWARD);
	EACH(i, bad_forward)
		one_bad(bad_forward[i], strlen(bad_forward[i]), ADDR_FORWARD);
	EACH(i, good_reverse)
		one_good(&good_reverse[i], ADDR_REVERSE);
	EACH(i, bad_reverse)
		one_bad(bad_reverse[i], strlen(bad_reverse[i]), ADDR_REVERSE);
	EACH(i, good_bare)
		one_good(&good_bare[i], ADDR_BARE);
	EACH(i, bad_bare)
		one_bad(bad_bare[i], strlen(bad_bare[i]), ADDR_BARE);
	one_bad("<a\0b@c>", 7, ADDR_FORWARD);
	one_bad("<\"a\0b\"@c>", 9, ADDR_FORWARD);
	one_bad("<\"a\\\0b\"@c>", 10, ADDR_FORWARD);
	one_bad("<a@b\0>", 6, ADDR_FORWARD);
	one_bad("<a@[1.2.3.4\0]>", 14, ADDR_FORWARD);
	one_bad("a\0", 2, ADDR_BARE);
}

/* local (64) + '@' + domain, at and over the limit of the path. */
static void
test_path_length(void)
{
	char in[600], domain[400] = "";
	struct addr a;
	size_t used, n;

	for (n = 180; n <= 300; n++) {
		for (size_t i = 0; i < n; i++)
			domain[i] = i % 50 == 49 && i + 1 < n ? '.' : 'd';
		domain[n] = '\0';
		snprintf(in, sizeof in, "<%saaaa@%s>", A60, domain);
		TEST((addr_parse(in, strlen(in), ADDR_FORWARD, &a, &used) == NULL) == (64 + 1 + n <= ADDR_PATH_MAX));
		TEST(addr_valid_domain(domain, false) == (n <= 253));
	}
	snprintf(in, sizeof in, "<@%s:a@b>", "route.example");
	TEST(addr_parse(in, strlen(in), ADDR_FORWARD, &a, &used) == NULL && used == strlen(in));
}

static void
test_words_of_errors(void)
{
	static const struct { const char *in, *why; } rows[] = {
		{ "a@b", "an address stands in angle brackets" }, { "<a@b@c>", "more than one @" },
		{ "<a@b.>", "misplaced dot in the domain" },
		{ "<a@>", "the domain is missing" }, { "<root>", "the domain is missing" },
		{ "<@b>", "the local part is missing" },
		{ "<a@b", "the closing > is missing" }, { "<>", "the address is empty" },
	};
	struct addr a;
	size_t used;

	EACH(i, rows)
		TEST_STR(addr_parse(rows[i].in, strlen(rows[i].in), ADDR_FORWARD, &a, &used), rows[i].why);
}

static void
test_key(void)
{
	static const struct { const char *text, *whole, *cut; } rows[] = {
		{ "Root", "root", "root" }, { "User+Tag@Dom", "user+tag", "user" }, { "+tag@d", "+tag", "+tag" },
		{ "a++b", "a++b", "a" },
		{ "\"John \\\"X\\\" Doe\"@d", "john \"x\" doe", "john \"x\" doe" }, { "\"a@b\"@c", "a@b", "a@b" },
		{ "\"a+b\"@c", "a+b", "a" },
		{ "\"\"@c", "", "" }, { "\"open", "open", "open" }, { "", "", "" }, { UM "A@b", UM "a", UM "a" },
	};
	char user[ADDR_LOCAL_MAX + 1], small[4];

	EACH(i, rows) {
		addr_key(rows[i].text, user, sizeof user, false);
		TEST_STR(user, rows[i].whole);
		addr_key(rows[i].text, user, sizeof user, true);
		TEST_STR(user, rows[i].cut);
	}
	addr_key("abcdef@x", small, sizeof small, false);
	TEST_STR(small, "abc");
	TEST_STR(addr_domain("\"a@b\""), "");
	TEST_STR(addr_domain("\"a\\\"@b\"@c"), "c");
	TEST_STR(addr_domain(""), "");
	TEST_STR(addr_domain("a@b@c"), "c");
}

static void
test_valid_domain(void)
{
	static const char *const good[] = { "a", "localhost", "mx1.example.org", "WIN_HOST", "1.2.3.4", "_x._y",
	    "a-b.c" };
	static const char *const bad[] = { "", ".", "a.", ".a", "a..b", "-a", "a-", "a b", "a@b", "a:b", "[1.2.3.4]",
	    UM ".de", "a/b", "a\n", "a;id", "*" };

	EACH(i, good)
		TEST(addr_valid_domain(good[i], false) && addr_valid_domain(good[i], true));
	EACH(i, bad)
		TEST(!addr_valid_domain(bad[i], false));
	TEST(addr_valid_domain("[1.2.3.4]", true) && addr_valid_domain("[IPv6:::1]", true));
	TEST(!addr_valid_domain("[1.2.3.4", true) && !addr_valid_domain("[1.2.3.4]x",
	    true) && !addr_valid_domain("[::1]", true));
	TEST(addr_valid_domain(L63, false) && !addr_valid_domain(L63 "a", false));
}

static void
test_path_encode(void)
{
	static const struct { const char *in, *out; } rows[] = {
		{ "user", "user" }, { "User", "user" }, { "", "%00" }, { ".", "%2E" }, { "..", "%2E." },
		{ "../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd" },
		{ ".ssh", "%2Essh" }, { "a.b", "a.b" }, { "a%b", "a%25b" }, { "%2f", "%252f" },
		{ "a\nb\177", "a%0Ab%7F" }, { "a b", "a b" },
		{ "/", "%2F" }, { UM, UM }, { "-froot", "-froot" },
	};
	char out[64], small[8];

	EACH(i, rows) {
		TEST(addr_path_encode(rows[i].in, out, sizeof out));
		TEST_STR(out, rows[i].out);
	}
	TEST(addr_path_encode("abcd", small, sizeof small));
	TEST(!addr_path_encode("abcdefgh", small, sizeof small) && small[0] == '\0');
	TEST(!addr_path_encode("a/b/c", small, sizeof small));
	TEST(!addr_path_encode("", small, 3));
}

static void
test_xtext(void)
{
	static const struct { const char *in, *out; } good[] = {
		{ "", "" }, { "abc", "abc" }, { "a+2Bb", "a+b" }, { "a+2bb", "a+b" }, { "rfc822;a@b", "rfc822;a@b" },
		{ "a+20b", "a b" }, { "+3D", "=" },
		{ "utf-8;" UM, "utf-8;" UM },
	};
	static const char *const bad[] = { "+", "a+", "a+2", "+2", "+G0", "+0G", "+ 1", "a=b", "=", "a b", "a\tb",
	    "rfc822;a+0D+0AX", "+00", "+0A", "+7F", "+C3",
	    "+C2+9B", "\xff", "a\x80" };
	char out[32], back[64], all[256], wide[800];

	EACH(i, good) {
		TEST(xtext_decode(good[i].in, strlen(good[i].in), out, sizeof out));
		TEST_STR(out, good[i].out);
	}
	EACH(i, bad)
		TEST(!xtext_decode(bad[i], strlen(bad[i]), out, sizeof out));
	TEST(!xtext_decode("a\0b", 3, out, sizeof out));
	TEST(xtext_decode("1234567", 7, out, 8) && !xtext_decode("12345678", 8, out, 8) && !xtext_decode("1", 1, out,
	    0));
	xtext_encode("a+b=c d\177" UM, back, sizeof back);
	TEST_STR(back, "a+2Bb+3Dc+20d+7F+C3+BC");
	xtext_encode("abc+", back, 6);
	TEST_STR(back, "abc");
	for (int c = ' '; c < 0x7f; c++)
		all[c - ' '] = (char)c;
	all[0x7f - ' '] = '\0';
	xtext_encode(all, wide, sizeof wide);
	TEST(xtext_decode(wide, strlen(wide), back, sizeof back) == false);
	TEST(xtext_decode(wide, strlen(wide), wide + 400, 200));
	TEST_STR(wide + 400, all);
}

static void
test_utf8(void)
{
	static const char *const good[] = { "", "abc", UM, "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf",
	    "\xed\x9f\xbf", "\xee\x80\x80", "\xc2\xa0" };
	static const char *const bad[] = { "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf",
	    "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xed\xa0\x80",
	    "\xed\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc3", "\xe2\x82", "\xf0\x9f\x98",
	    "\xc3(", "\xe2\x82(", "a\xc3" };

	EACH(i, good)
		TEST(utf8_valid(good[i], strlen(good[i])) && utf8_clean(good[i], strlen(good[i])));
	EACH(i, bad)
		TEST(!utf8_valid(bad[i], strlen(bad[i])) && !utf8_clean(bad[i], strlen(bad[i])));
	TEST(utf8_valid("\0", 1) && !utf8_clean("\0", 1));
	TEST(utf8_valid("\xc2\x80", 2) && !utf8_clean("\xc2\x80", 2) && !utf8_clean("\x7f", 1) && !utf8_clean("\n", 1));
}

int
main(void)
{
	test_tables();
	test_path_length();
	test_words_of_errors();
	test_key();
	test_valid_domain();
	test_path_encode();
	test_xtext();
	test_utf8();
	return test_end("addr");
}
