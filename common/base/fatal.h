/*
 * fatal: the end of this one process, for what can only be our own fault (or the machine's); exit code 70, the parent starts it again.
 *
 * Used by every program. The text goes to standard error, or to what fatal_hook set (log.c: a line of the log).
 */
#ifndef FATAL_H
#define FATAL_H

/* fatal appends strerror(errno); fatalx does not. */
void	fatal(const char *, ...) __attribute__((format(printf, 1, 2), noreturn));
void	fatalx(const char *, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Where the last words go from now on. */
void	fatal_hook(void (*say)(const char *text));

#endif
