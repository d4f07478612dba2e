/*
 * log: one line an event, in the shape administrators know ("postern/smtp[pid]: ID: to=<...>, ...").
 *
 * Used by every program. Lines are gathered and leave with one write a turn (log_flush, called by ev_turn and at exit): those of a child as
 * records through a pipe to the parent (log_to_parent), which alone holds the log. What cannot leave now waits, up to a bound; beyond it
 * lines are lost and counted, never mail: nothing here blocks or fails.
 * Control characters and bytes over 0x7e in arguments are written as \xNN, so a peer cannot forge a line; valid
 * UTF-8 passes.
 *
 * Two kinds of error: what a client, a server or a file did wrong is logged and answered by the caller;
 * fatal/fatalx (fatal.h) are for what can only be our own fault (or the machine's) and end this one process; log_init takes their words.
 */
#ifndef LOG_H
#define LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/fatal.h"

enum log_level { LOG_LV_ERROR, LOG_LV_WARN, LOG_LV_INFO, LOG_LV_DEBUG };
enum log_kind { LOG_TO_STDERR, LOG_TO_FILE, LOG_TO_SYSLOG };
enum log_format { LOG_TEXT, LOG_JSON };

/* The name in "postern/NAME[pid]"; kept, not copied. */
void	log_init(const char *name);
void	log_level(enum log_level);
/* -> ms after which what could not leave now should be tried again; 0: all has left */
unsigned log_flush(void);
/* From now on lines leave as records (log_line.h) on standard error, which is a pipe to the parent. */
void	log_to_parent(void);

/* log_as: a line under another name of the same program ("smtp" and "local" of deliver, "qmgr", "cleanup"). */
void	log_as(const char *name, enum log_level, const char *, ...) __attribute__((format(printf, 3, 4)));
void	log_error(const char *, ...) __attribute__((format(printf, 1, 2)));
void	log_warn(const char *, ...) __attribute__((format(printf, 1, 2)));
void	log_info(const char *, ...) __attribute__((format(printf, 1, 2)));
void	log_debug(const char *, ...) __attribute__((format(printf, 1, 2)));

/* ---- for the one that holds the log ---- */

/* Where lines go from now on: fd is owned by log afterwards (-1: there is none yet; lines wait). */
void	log_target(int fd, enum log_kind, enum log_format);
/* Gives a new descriptor of a target that takes nothing any more, or -1; asked once a second then. */
void	log_reopen(int (*fn)(void));
/* Errors are also said on standard error, for whoever waits there for the start. */
void	log_console(bool on);

struct log_from {		/* whose line it is */
	const char	*name;
	int		 pid;
};
/* Another program's line; of the text at most LOG_TEXT_MAX bytes. */
void	log_for(const struct log_from *, enum log_level, const char *text, size_t len);

#endif
