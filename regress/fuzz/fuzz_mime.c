/*
 * links: deliver/client/convert.c
 * Any bytes as a message to be made 7-bit: written in pieces of any size it is the same, it is 7-bit where the plan or force say so, and
 * what is 7-bit already stays as it is.
 */
#include <stdlib.h>
#include <string.h>
#include "client/convert.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
pass(struct convert *c, const uint8_t *p, size_t n, size_t step, struct buf *out)
{
	size_t k;

	for (; n > 0; p += k, n -= k) {
		k = n < step ? n : step;
		convert_feed(c, p, k, out);
	}
	convert_end(c, out);
	convert_free(c);
}

static bool
has_high(const uint8_t *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (p[i] & 0x80)
			return true;
	return false;
}

static bool
same(const struct buf *b, const uint8_t *p, size_t n)
{
	return b->len == n && (n == 0 || memcmp(buf_data(b), p, n) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	size_t step = n > 0 ? p[0] % 70 + 1U : 1;
	struct buf whole = BUF_INIT, pieces = BUF_INIT;
	struct convert_plan *plan = convert_plan_new(n > 1 && (p[1] & 1));

	pass(convert_reader(plan), p, n, step, &whole);
	pass(convert_writer(plan), p, n, n + 1, &whole);
	pass(convert_writer(plan), p, n, step, &pieces);
	if (!same(&pieces, buf_data(&whole), whole.len))
		abort();
	if (plan->possible && has_high(buf_data(&whole), whole.len))
		abort();
	if (!has_high(p, n) && plan->n == 0 && !same(&whole, p, n))
		abort();
	buf_free(&whole);
	buf_free(&pieces);
	convert_plan_free(plan);
	return 0;
}
