/*
 * pool: see pool.h. Owns nothing. Each member draws a number from its name's place and the message's id; the lowest of number divided by
 * weight wins, so that a member that comes or goes moves no message between the others.
 */
#include "client/pool.h"

static uint64_t
mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* -log2(x / 2^32) in 32.32 fixed point, for x from 1 to 2^32 - 1: what makes "lowest" fair by weight. */
static uint64_t
minus_log2(uint32_t x)
{
	unsigned whole = 31 - (unsigned)__builtin_clz(x), i;
	uint64_t m = (uint64_t)x << (31 - whole), fraction = 0;	/* 1 <= m / 2^31 < 2 */

	for (i = 0; i < 24; i++) {
		m = m * m >> 31;
		fraction <<= 1;
		if (m >> 32) {
			m >>= 1;
			fraction |= 1;
		}
	}
	return ((uint64_t)(32 - whole) << 32) - (fraction << 8);
}

int
pool_pick(const struct conf_pool *p, uint64_t id, bool (*usable)(int, void *), void *arg)
{
	uint64_t score, best = UINT64_MAX;
	int chosen = -1;
	uint32_t x;

	for (size_t i = 0; i < p->nmember; i++) {
		if (!usable(p->member[i].source, arg))
			continue;
		x = (uint32_t)(mix(id * 0x9e3779b97f4a7c15 + mix(i + 1)) >> 32);
		score = minus_log2(x > 0 ? x : 1) / p->member[i].weight;
		if (score < best || chosen == -1) {
			best = score;
			chosen = p->member[i].source;
		}
	}
	return chosen;
}
