/*
 * ask: the way from a command to the running daemon: its sockets in the runtime directory, and the control protocol.
 *
 * Used by posternctl, and by sendmail for its socket and for mailq.
 */
#ifndef ASK_H
#define ASK_H

#include <stdbool.h>

/* $POSTERN_RUNTIME, else the directory that was compiled in. */
const char *runtime_dir(void);
/* Connects to a socket in dir, however long its path is. -1 with errno. */
int	 runtime_connect(const char *dir, const char *name);

/*
 * Sends one command (words, n of them) and copies the answer: text to standard output, complaints to standard error. ASK_SILENT: complaints alone.
 * Gives the exit code that the daemon ends its answer with; EX_UNAVAILABLE if the connection breaks before.
 * Closes fd.
 */
enum ask_mode { ASK_TEXT, ASK_JSON, ASK_SILENT };
int	 ask(int fd, enum ask_mode, char *const *words, int n);

#endif
