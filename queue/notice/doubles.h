/*
 * doubles: who could not be told that mail failed (double bounces), for the postmaster: of the first he hears at once, of what follows within
 * a day in one list.
 *
 * Used by bounce. The list is the file "doubles" of the spool (STATES.md): it is written before the mark of the bounce is set, so that it
 * survives whatever the mark survives but a power cut.
 */
#ifndef DOUBLES_H
#define DOUBLES_H

#include <stdbool.h>
#include <stdint.h>

struct spool;

void	 doubles_init(struct spool *);
/* A notice of its own may go to the postmaster; then a day begins. False: doubles_note is for this one. */
bool	 doubles_first(void);
/* The message id was lost on the way to whom: why, in words. */
void	 doubles_note(uint64_t id, const char *whom, const char *why);

/* So many more are only counted. */
void	 doubles_more(uint64_t n);

#endif
