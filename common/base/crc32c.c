/* crc32c: see crc32c.h. The table is for CPUs without the instruction. */
#include <string.h>
#include "base/crc32c.h"

#define POLY 0x82f63b78u	/* reflected */

static uint32_t
by_table(uint32_t crc, const uint8_t *p, size_t n)
{
	static uint32_t table[256];
	uint32_t i, c;
	int k;

	if (table[1] == 0)
		for (i = 0; i < 256; i++) {
			for (c = i, k = 0; k < 8; k++)
				c = c & 1 ? c >> 1 ^ POLY : c >> 1;
			table[i] = c;
		}
	while (n-- > 0)
		crc = table[(crc ^ *p++) & 0xff] ^ crc >> 8;
	return crc;
}

#ifdef __x86_64__
#include <nmmintrin.h>

static uint32_t __attribute__((target("sse4.2")))
by_cpu(uint32_t crc, const uint8_t *p, size_t n)
{
	uint64_t c = crc, word;

	for (; n >= 8; n -= 8, p += 8) {
		memcpy(&word, p, 8);
		c = _mm_crc32_u64(c, word);
	}
	for (; n > 0; n--)
		c = _mm_crc32_u8((uint32_t)c, *p++);
	return (uint32_t)c;
}
#endif

uint32_t
crc32c(uint32_t crc, const void *p, size_t n)
{
#ifdef __x86_64__
	static int cpu = -1;

	if (cpu == -1)
		cpu = __builtin_cpu_supports("sse4.2") != 0;
	if (cpu)
		return ~by_cpu(~crc, p, n);
#endif
	return ~by_table(~crc, p, n);
}
