/* test_mark_code: marks on the disk, whole and damaged, of this version and the one before.   links: queue/spool/mark_code.c */
#include <string.h>
#include "spool/mark_code.h"
#include "test.h"

static const uint8_t all[] = "phdbermnHRBXO";
#define N	(sizeof all - 1)

static void
there_and_back(void)
{
	uint8_t code[N], back[N];

	marks_encode(code, all, N);
	TEST_INT(marks_decode(back, code, N, MARKS_CODES), 0);
	TEST(memcmp(back, all, N) == 0);
	TEST_INT(marks_decode(code, code, N, MARKS_LETTERS), 0);	/* what is written into an old segment */
	TEST(memcmp(code, all, N) == 0);
}

static void
letters(void)
{
	uint8_t back[9];

	TEST_INT(marks_decode(back, (const uint8_t *)"phdberm\0x", 9, MARKS_LETTERS), 2);
	TEST(memcmp(back, "phdbermpp", 9) == 0);
	TEST(mark_is_letter('d') && !mark_is_letter(0) && !mark_is_letter(mark_code(MARK_EXPANDED)));
}

static void
far_apart(void)
{
	unsigned i, k;

	for (i = 0; i < N; i++) {
		TEST(__builtin_popcount(mark_code(all[i])) == 4);	/* from 0x00 and 0xff as well */
		TEST(!mark_is_letter(mark_code(all[i])));
		for (k = 0; k < i; k++)
			TEST(__builtin_popcount(mark_code(all[i]) ^ mark_code(all[k])) >= 3);
	}
}

static void
damaged(void)
{
	unsigned i, bit, other;
	uint32_t wrong = 0;
	uint8_t byte;

	for (i = 0; i < N; i++)
		for (bit = 0; bit < 8; bit++) {
			byte = (uint8_t)(mark_code(all[i]) ^ 1 << bit);
			TEST_INT(mark_of(byte, MARKS_CODES, &wrong), all[i]);
			other = (bit + 3) % 8;
			TEST_INT(mark_of((uint8_t)(byte ^ 1 << other), MARKS_CODES, &wrong), MARK_PENDING);
		}
	TEST_INT(wrong, N * 8 * 2);
	TEST_INT(mark_of(0, MARKS_CODES, &wrong), MARK_PENDING);
	TEST_INT(mark_of(0xff, MARKS_CODES, &wrong), MARK_PENDING);
	TEST_INT(wrong, N * 8 * 2 + 2);
}

static void
of_a_record(void)
{
	TEST(marks_live((const uint8_t *)"dp", 2) && marks_live((const uint8_t *)"hd", 2) && !marks_live((const uint8_t *)"dr", 2));
	TEST(!marks_live((const uint8_t *)"pm", 2) && !marks_live((const uint8_t *)"np", 2));
	TEST(marks_void((const uint8_t *)"pm", 2) && marks_void((const uint8_t *)"np", 2) && !marks_void((const uint8_t *)"pr", 2));
	TEST(marks_never((const uint8_t *)"np", 2) && !marks_never((const uint8_t *)"mp", 2));
}

int
main(void)
{
	there_and_back();
	letters();
	far_apart();
	damaged();
	of_a_record();
	return test_end("mark_code");
}
