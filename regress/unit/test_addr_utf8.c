/*
 * test_addr_utf8: "\x{E9}" and back, whatever is in it.
 */
#include "mail/addr.h"
#include "test.h"

static void
pair(const char *utf8, const char *ascii)
{
	char out[200];

	addr_utf8_escape(utf8, out, sizeof(out));
	TEST_STR(out, ascii);
	addr_utf8_unescape(ascii, out, sizeof(out));
	TEST_STR(out, utf8);
}

int
main(void)
{
	static const char *const same[] = { "\\x{}", "\\x{", "\\x{E9", "\\x{G}", "\\x{D800}", "\\x{110000}", "\\x{0A}", "\\x{85}", "\\y{E9}", "\\x{1234567}" };
	char out[200], few[6];
	size_t i;

	pair("a@b.test", "a@b.test");
	pair("", "");
	pair("b\xc3\xa9@b.test", "b\\x{E9}@b.test");
	pair("\xe2\x82\xac\xf0\x9f\x98\x80", "\\x{20AC}\\x{1F600}");
	for (i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		addr_utf8_unescape(same[i], out, sizeof(out));
		TEST_STR(out, same[i]);
	}
	addr_utf8_escape("\xff", out, sizeof(out));
	TEST_STR(out, "");
	addr_utf8_escape("ab\xc3\xa9", few, sizeof(few));
	TEST_STR(few, "ab");
	addr_utf8_unescape("abcd\\x{E9}", few, sizeof(few));
	TEST_STR(few, "abcd");
	return test_end("test_addr_utf8");
}
