/*
 * mark_code: what became of a recipient, and the byte that says so on the disk. Pure code.
 *
 * Used by the spool's files (the bytes) and all of the queue (the marks). Each two of the bytes differ in four bits, and each differs in
 * four from a zeroed or erased byte: one wrong bit is mended, two are seen, and a mark is never mistaken for another. STATES.md has the table.
 */
#ifndef MARK_CODE_H
#define MARK_CODE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Everything but PENDING and HELD is final, and but those in capitals: pending, and an administrator has said what is to become of it when what
 * is under way is over. MOVED and NEVER are the spool's own, and one such mark says that all of its record is void:
 * MOVED, another copy of it counts (compaction); NEVER, nobody was ever told that it is there.
 */
enum mark { MARK_PENDING = 'p', MARK_DELIVERED = 'd', MARK_BOUNCED = 'b', MARK_EXPANDED = 'e', MARK_REMOVED = 'r', MARK_HELD = 'h',
	MARK_MOVED = 'm', MARK_NEVER = 'n',
	MARK_TO_HOLD = 'H', MARK_TO_REMOVE = 'R', MARK_TO_BOUNCE = 'B', MARK_TO_EXPIRE = 'X', MARK_TO_REROUTE = 'O' };

static inline bool
mark_final(uint8_t m)
{
	return m != MARK_PENDING && m != MARK_HELD && m > 'Z';
}

/* The version of a segment's format: in the first one marks were letters. They are read; what is written is always the new bytes. */
#define MARKS_LETTERS	1
#define MARKS_CODES	2

uint8_t	 mark_code(enum mark);
/* *wrong: counts the bytes that are no mark: they are read as the one they are nearest to, or as pending: rather twice than not at all. */
enum mark mark_of(uint8_t byte, uint8_t version, uint32_t *wrong);
/* n of them; out may be in. -> how many were no mark */
uint32_t marks_decode(uint8_t *out, const uint8_t *in, uint32_t n, uint8_t version);
void	 marks_encode(uint8_t *out, const uint8_t *marks, uint32_t n);
bool	 mark_is_letter(uint8_t byte);			/* of a segment of the first version */

/* Of one record's marks. */
bool	 marks_void(const uint8_t *, uint32_t n);	/* MOVED or NEVER */
bool	 marks_never(const uint8_t *, uint32_t n);
bool	 marks_live(const uint8_t *, uint32_t n);	/* something is still to be done */

#endif
