/* mark_code: see mark_code.h. Owns nothing, cannot fail. */
#include <string.h>
#include "spool/mark_code.h"

static const struct { uint8_t code, mark; } codes[] = {
	{ 0x55, MARK_PENDING }, { 0x5a, MARK_HELD }, { 0x33, MARK_DELIVERED }, { 0x3c, MARK_BOUNCED },
	{ 0x66, MARK_EXPANDED }, { 0x69, MARK_REMOVED }, { 0x96, MARK_MOVED }, { 0x99, MARK_NEVER },
	{ 0xaa, MARK_TO_HOLD }, { 0xa5, MARK_TO_REMOVE }, { 0xcc, MARK_TO_BOUNCE }, { 0xc3, MARK_TO_EXPIRE }, { 0xf0, MARK_TO_REROUTE },
};
#define N_CODES	(sizeof codes / sizeof codes[0])

static const char letters[] = "phdberm";

uint8_t
mark_code(enum mark mark)
{
	size_t i;

	for (i = 0; i < N_CODES - 1 && codes[i].mark != mark; i++)
		;
	return codes[i].code;
}

bool
mark_is_letter(uint8_t byte)
{
	return byte != 0 && strchr(letters, byte) != NULL;
}

/* The one mark within so many bits; -1: none. */
static int
nearest(uint8_t byte, int bits)
{
	size_t i;

	for (i = 0; i < N_CODES; i++)
		if (__builtin_popcount(byte ^ codes[i].code) <= bits)
			return codes[i].mark;
	return -1;
}

enum mark
mark_of(uint8_t byte, uint8_t version, uint32_t *wrong)
{
	int mark = nearest(byte, 0);

	if (mark != -1)
		return (enum mark)mark;
	if (version == MARKS_LETTERS && mark_is_letter(byte))
		return (enum mark)byte;
	(*wrong)++;
	/* A letter may be one bit away from a code: only where there are none can a byte be mended. */
	mark = version == MARKS_LETTERS ? -1 : nearest(byte, 1);
	return mark != -1 ? (enum mark)mark : MARK_PENDING;
}

uint32_t
marks_decode(uint8_t *out, const uint8_t *in, uint32_t n, uint8_t version)
{
	uint32_t i, wrong = 0;

	for (i = 0; i < n; i++)
		out[i] = (uint8_t)mark_of(in[i], version, &wrong);
	return wrong;
}

void
marks_encode(uint8_t *out, const uint8_t *marks, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		out[i] = mark_code(marks[i]);
}

bool
marks_never(const uint8_t *marks, uint32_t n)
{
	return memchr(marks, MARK_NEVER, n) != NULL;
}

bool
marks_void(const uint8_t *marks, uint32_t n)
{
	return memchr(marks, MARK_MOVED, n) != NULL || marks_never(marks, n);
}

bool
marks_live(const uint8_t *marks, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n && mark_final(marks[i]); i++)
		;
	return i < n && !marks_void(marks, n);
}
