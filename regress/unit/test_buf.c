/* links: */
/* buf, qid, crc32c: what everything else stands on. */
#include <stdlib.h>
#include "base/buf.h"
#include "base/crc32c.h"
#include "mail/qid.h"
#include "test.h"

static void
fill_and_drain(void)
{
	struct buf b = BUF_INIT;
	unsigned i, k;

	for (i = 0; i < 1000; i++) {
		buf_addf(&b, "%03u", i);
		if (i % 3 == 2)
			buf_drain(&b, 6);
	}
	TEST_INT(b.len, 3000 - 333 * 6);
	for (k = 666; k < 1000; k++) {
		char want[4];

		snprintf(want, sizeof want, "%03u", k);
		if (memcmp(buf_data(&b), want, 3) != 0)
			break;
		buf_drain(&b, 3);
	}
	TEST_INT(k, 1000);
	TEST_INT(b.len, 0);
	buf_reset(&b, 0);
	TEST(b.base == NULL);
	buf_adds(&b, "text");
	TEST_STR(buf_str(&b), "text");
	buf_free(&b);
}

static void
round_trip(void)
{
	struct buf b = BUF_INIT;
	struct blob v;
	struct rd r;
	uint8_t all[256];
	unsigned i;

	for (i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	put_u8(&b, 0xfe);
	put_u16(&b, 0xfedc);
	put_u32(&b, 0xfedcba98);
	put_u64(&b, 0xfedcba9876543210);
	put_i64(&b, -2);
	put_str(&b, "a\xff\xfe");
	put_str(&b, NULL);
	put_blob(&b, (struct blob){ all, sizeof all });
	r = (struct rd){ buf_data(&b), b.len, false };
	TEST_INT(get_u8(&r), 0xfe);
	TEST_INT(get_u16(&r), 0xfedc);
	TEST_INT(get_u32(&r), 0xfedcba98);
	TEST(get_u64(&r) == 0xfedcba9876543210);
	TEST_INT(get_i64(&r), -2);
	TEST_STR(get_str(&r), "a\xff\xfe");
	TEST_STR(get_str(&r), "");
	v = get_blob(&r);
	TEST(v.len == 256 && memcmp(v.p, all, 256) == 0);
	TEST(!r.bad && r.left == 0);
	get_u8(&r);
	TEST(r.bad);
	buf_free(&b);
}

/* Every truncation is noticed and nothing behind the end is read (the sanitizers look). */
static void
truncated(void)
{
	struct buf b = BUF_INIT;
	size_t n;
	unsigned bad = 0;

	put_str(&b, "hello");
	put_blob(&b, (struct blob){ (const uint8_t *)"xyz", 3 });
	for (n = 0; n < b.len; n++) {
		uint8_t *copy = malloc(n ? n : 1);
		struct rd r = { copy, n, false };

		memcpy(copy, buf_data(&b), n);
		get_str(&r);
		get_blob(&r);
		bad += r.bad;
		free(copy);
	}
	TEST_INT(bad, b.len);
	buf_data(&b)[5] = '\0';		/* a NUL inside a str */
	struct rd r = { buf_data(&b), b.len, false };
	get_str(&r);
	TEST(r.bad);
	/* The longest length, which 1 more than would be none where a size has 32 bits; a reader that is bad stays so. */
	memset(buf_data(&b), 0xff, 4);
	r = (struct rd){ buf_data(&b), b.len, false };
	TEST_STR(get_str(&r), "");
	TEST(r.bad && r.left == b.len - 4);
	TEST_STR(get_str(&r), "");
	buf_free(&b);
}

static void
ids(void)
{
	uint64_t v, id;

	for (id = 1; id >> 62 == 0; id = id * 7 + 3)
		if (!qid_parse(qid_text(id).s, &v) || v != id)
			break;
	TEST(id >> 62 != 0);
	TEST(qid_parse("0000000000z10", &v) && v == 31 * 1024 + 32);
	TEST(!qid_parse("000000000000", &v));
	TEST(!qid_parse("00000000000000", &v));
	TEST(!qid_parse("000000000000!", &v));
	TEST(!qid_parse("ZZZZZZZZZZZZZ", &v));
	TEST(!qid_parse("", &v));
}

static void
crc(void)
{
	char zero[32] = { 0 };

	/* RFC 3720 B.4 */
	TEST(crc32c(0, zero, 32) == 0x8a9136aa);
	TEST(crc32c(0, "123456789", 9) == 0xe3069283);
	TEST(crc32c(crc32c(0, "1234", 4), "56789", 5) == 0xe3069283);
	TEST(crc32c(0, "", 0) == 0);
}

int
main(void)
{
	fill_and_drain();
	round_trip();
	truncated();
	ids();
	crc();
	return test_end("buf");
}
