/*
 * id: queue ids that never repeat. 31 bits: the run's number, 32 bits: a sequence that is given away in leases.
 *
 * The run's number is its start in seconds since 2020, but at least one more than any number used before (last-run in the
 * spool remembers it), so neither a fast restart nor a clock that went back makes an id again. Between two leases up to 63
 * numbers are skipped at random.
 */
#ifndef ID_H
#define ID_H

#include <stdbool.h>
#include <stdint.h>

#define ID_LEASE	4096		/* ids in a lease */

/*
 * In the spool directory; fatal if last-run cannot be written. That file may be lost: at_least is the latest run that an id in the spool
 * is from, made_ms when its latest segment was made; a run that used() knows is passed over.
 */
void	 id_open(uint32_t at_least, int64_t made_ms, bool (*used)(uint32_t run));
uint64_t id_lease(uint32_t count);	/* the first of count ids in a row */
/* An id comes back with a transaction: true once, if it was leased in this run. */
bool	 id_use(uint64_t id);
/* The id of what a message gives birth to: the same for the same (parent, kind, number) in every run. */
uint64_t id_birth(uint64_t parent, uint8_t kind, uint32_t number);
/* The pure part of id_open, for tests: the number of a run that starts now, if the last one was last. */
uint32_t id_run(int64_t now_ms, uint32_t last);
void	 id_begin(uint32_t run);

#endif
