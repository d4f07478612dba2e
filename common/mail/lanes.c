/*
 * turns: see turns.h. Owns nothing, cannot fail.
 */
#include "mail/lanes.h"

enum line
turns_next(const struct turns *t, bool new_waits, bool old_waits)
{
	if (new_waits && old_waits)
		return t->taken < TURNS_NEW ? LINE_NEW : LINE_OLD;
	return new_waits ? LINE_NEW : LINE_OLD;
}

void
turns_took(struct turns *t, enum line line, bool other_waits)
{
	t->taken = line == LINE_NEW && other_waits ? t->taken + 1 : 0;
}
