/*
 * turns: mail that is new and mail that waited before stand in two lines; the new goes first, and the other is not forgotten. Pure code.
 *
 * Used by the queue (which destination, which message of it) and by deliver (which job of a destination). After an outage everything
 * that waited is due at once: nobody's new letter is to stand behind a million of those.
 */
#ifndef TURNS_H
#define TURNS_H

#include <stdbool.h>

#define TURNS_NEW	9		/* new ones for each old one, while both wait */

enum line { LINE_NEW, LINE_OLD, LINE__N };
struct turns { unsigned taken; };	/* new ones since the last old one; all zero at the beginning */

/* Which line gives the next one; one of them has some. */
enum line turns_next(const struct turns *, bool new_waits, bool old_waits);
/* It did, while others waited in the other line or not. */
void	 turns_took(struct turns *, enum line, bool other_waits);

#endif
