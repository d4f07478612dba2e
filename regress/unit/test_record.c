/* test_record: the layout of segment headers and records, byte by byte where it is a promise.   links: queue/spool/record.c queue/spool/mark_code.c */
#include "base/crc32c.h"
#include "spool/record.h"
#include "test.h"

static const uint8_t rnd[RND_LEN] = "0123456789abcde", other[RND_LEN] = "0123456789abcdX";

static void
segment_header(void)
{
	struct seg_head h = { .kind = SEG_OWN, .made = 1700000000000 }, g;
	struct buf b = BUF_INIT;
	size_t i;

	memcpy(h.rnd, rnd, RND_LEN);
	seg_head_put(&b, &h);
	TEST_INT(b.len, SEG_HEAD);
	TEST(memcmp(buf_data(&b), "PosternS\2\1" "0123456789abcde", 26) == 0);
	TEST(seg_head_get(buf_data(&b), &g));
	TEST_INT(g.kind, SEG_OWN);
	TEST_INT(g.made, h.made);
	TEST(!g.rescan && memcmp(g.rnd, rnd, RND_LEN) == 0);
	for (i = 0; i < SEG_RESCAN; i++) {
		buf_data(&b)[i] ^= 1;
		TEST(!seg_head_get(buf_data(&b), &g));
		buf_data(&b)[i] ^= 1;
	}
	buf_data(&b)[SEG_RESCAN] = '!';
	TEST(seg_head_get(buf_data(&b), &g) && g.rescan);
	buf_free(&b);
}

static void
record(void)
{
	struct buf b = BUF_INIT;
	struct blob env = { (const uint8_t *)"an envelope", 11 };
	struct rec_head h;
	uint8_t key[REC_KEY], got[RND_LEN];
	size_t i;

	rec_put(&b, rnd, env, 3, 4000, 77);
	TEST_INT(b.len, REC_HEAD + 3 + 11);
	TEST(memcmp(buf_data(&b) + REC_HEAD, "UUUan envelope", 14) == 0);
	TEST(rec_get(buf_data(&b), rnd, &h));
	TEST(!rec_get(buf_data(&b), other, &h));
	TEST(rec_get(buf_data(&b), rnd, &h));
	TEST(h.nrcpt == 3 && h.env_len == 11 && h.body_len == 4000 && h.body_crc == 77);
	TEST_INT(rec_env_off(&h), REC_HEAD + 3);
	TEST_INT(rec_len(&h), REC_HEAD + 3 + 11 + 4000);
	TEST(rec_fits(&h, rec_len(&h)) && !rec_fits(&h, rec_len(&h) - 1) && !rec_fits(&h, 10));
	TEST(!rec_is_seal(&h));
	TEST(rec_envelope_ok(buf_data(&b), &h, buf_data(&b) + rec_env_off(&h)));
	for (i = 0; i < b.len; i++) {
		buf_data(&b)[i] ^= 0x40;
		if (rec_get(buf_data(&b), rnd, &h) && rec_fits(&h, 10000))
			TEST(rec_envelope_ok(buf_data(&b), &h, buf_data(&b) + rec_env_off(&h)) == (i >= REC_HEAD && i < REC_HEAD + 3));
		buf_data(&b)[i] ^= 0x40;
	}
	rec_key(key, rnd);
	TEST(memcmp(key, buf_data(&b), REC_KEY) == 0);
	TEST(rec_rnd(buf_data(&b), got) && memcmp(got, rnd, RND_LEN) == 0);
	buf_data(&b)[0] = 'X';
	TEST(!rec_rnd(buf_data(&b), got));
	buf_free(&b);
}

static void
lengths_that_lie(void)
{
	struct rec_head h = { .nrcpt = UINT32_MAX, .env_len = UINT32_MAX, .body_len = UINT64_MAX };

	TEST(!rec_fits(&h, 16 * 1024 * 1024));
	h.nrcpt = 1;
	h.env_len = 1;
	TEST(!rec_fits(&h, UINT64_MAX));
	TEST(!rec_fits(&h, 0));
}

static void
seal(void)
{
	struct buf b = BUF_INIT;
	struct rec_head h;

	rec_put_seal(&b, rnd);
	TEST_INT(b.len, REC_HEAD);
	TEST(rec_get(buf_data(&b), rnd, &h) && rec_is_seal(&h) && rec_envelope_ok(buf_data(&b), &h, buf_data(&b)));
	buf_free(&b);
}

int
main(void)
{
	segment_header();
	record();
	lengths_that_lie();
	seal();
	return test_end("record");
}
