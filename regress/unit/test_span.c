/* test_span: times, sizes and numbers as people read them.
   links: queue/spool/span.c */
#include "spool/span.h"
#include "test.h"

#define S	1000LL
#define M	(60 * S)
#define H	(60 * M)
#define D	(24 * H)

static void
spans(void)
{
	static const struct { int64_t ms; const char *text; } v[] = {
		{ -5, "0s" }, { 0, "0s" }, { 499, "0s" }, { 500, "1s" }, { 59 * S, "59s" }, { M - 400, "1m" }, { 90 * S, "1m30s" },
		{ 5 * M, "5m" }, { 10 * M - 1, "10m" }, { 10 * M + 29 * S, "10m" }, { H - 1, "1h" }, { 3 * H - 5 * S, "3h" },
		{ 3 * H + 29 * M, "3h29m" }, { 23 * H + 29 * M, "23h" }, { D - M, "1d" }, { 36 * H, "1d12h" }, { 2 * D - 3 * S, "2d" },
		{ 5 * D - 10 * S, "5d" }, { 5 * D - 31 * M, "4d23h" }, { 10 * D + 11 * H, "10d" }, { 12 * D + 13 * H, "13d" },
	};
	size_t i;

	for (i = 0; i < sizeof v / sizeof v[0]; i++)
		TEST_STR(span(v[i].ms).s, v[i].text);
}

int
main(void)
{
	spans();
	TEST_STR(size_text(9999).s, "9999");
	TEST_STR(size_text(20 * 1024).s, "20K");
	TEST_STR(size_text(20 * 1024 * 1024).s, "20M");
	TEST_STR(plural(1, "delivery").s, "1 delivery");
	TEST_STR(plural(20, "delivery").s, "20 deliveries");
	TEST_STR(plural(0, "message").s, "0 messages");
	return test_end("span");
}
