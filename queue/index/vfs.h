/*
 * index_vfs: a disk for SQLite that is late but in order: what it writes and syncs is done by a helper thread, in the order in which it did so.
 *
 * Called by index.c alone. To SQLite it is a VFS whose writes and syncs succeed at once; what is not on the disk yet is read from memory.
 * Each sync is a barrier in the order, so a kill leaves what a kill of SQLite itself at an earlier moment leaves, and a power cut what a power
 * cut then leaves. A page of the write-ahead log leaves only when the marks that were made before it are on the disk (order.h). The first
 * error is the last thing that happens to the files: all of the content is then here, to be copied into memory.
 *
 * Switched off, which it is at first, everything passes through at once: for opening and closing.
 */
#ifndef INDEX_VFS_H
#define INDEX_VFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

const char *late_vfs(void);		/* its name, for sqlite3_open_v2 */
void	 late_on(void);
/* All of it goes to the disk, which is waited for, and the helper ends; what rests on marks that are not there, or comes after an error, is dropped. */
void	 late_off(void);
void	 late_turn(void);		/* hands over what may go: a step of the main loop; never waits */
int	 late_error(void);		/* errno of what failed; 0: nothing did */
void	 late_drop(void);		/* forgets what has not gone, and the error: these files are given up */
/* What was written and synced so far has a number; it has reached the disk (the page cache, what was only written), or was dropped. */
uint64_t late_number(void);
bool	 late_reached(uint64_t number);
size_t	 late_bytes(void);		/* in memory */

#endif
