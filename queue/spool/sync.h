/*
 * sync: brings files (fdatasync) and directories (fsync) to the disk by a helper thread.
 *
 * Used by commit.c, one job at a time: sync_start, then the loop turns when it is done, and sync_finished says true once.
 * The items belong to the thread from sync_start to that moment.
 */
#ifndef SYNC_H
#define SYNC_H

#include <stdbool.h>
#include <stddef.h>

struct sync;

struct sync_item {
	int	 fd;
	bool	 dir;
	int	 error;		/* errno; 0: on the disk */
};

struct sync *sync_open(void);
void	 sync_close(struct sync *);
void	 sync_start(struct sync *, struct sync_item *, size_t);
bool	 sync_running(const struct sync *);
bool	 sync_finished(struct sync *, bool wait);

#endif
