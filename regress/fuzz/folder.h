/*
 * folder: a fuzz target's own empty folder, in memory if there is such a place; the process is in it until it ends.
 */
#ifndef FOLDER_H
#define FOLDER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];

static void
folder_end(void)
{
	char command[96];

	snprintf(command, sizeof command, "rm -rf %s", folder);
	if (chdir("/") == -1 || system(command) != 0)
		fprintf(stderr, "%s is left\n", folder);
}

static void
folder_begin(void)
{
	snprintf(folder, sizeof folder, "%s/postern-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(folder) == NULL || chdir(folder) == -1)
		abort();
	atexit(folder_end);
}

#endif
