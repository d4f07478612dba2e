/*
 * log_line: what a line of the log looks like, and what it looks like on its way from a program to the parent. Pure code.
 *
 * Used by log.c, and by the parent for the lines of its children. A record is one line that begins with a byte no text has; what else a program
 * writes to its standard error (the C library's last words, a sanitizer's report) is a line of text, so both fit in one pipe.
 */
#ifndef LOG_LINE_H
#define LOG_LINE_H

#include "base/buf.h"
#include "base/log.h"

#define LOG_TEXT_MAX	8192	/* bytes of text in a line; the rest is cut off */

struct log_style {
	enum log_kind	 kind;
	enum log_format	 format;
	const char	*host;
};

/* The line, with LF, goes to the end of the buffer. Nothing in it ends a line or moves a terminal's cursor but that LF. */
void	log_line_add(struct buf *, const struct log_style *, const struct log_from *, enum log_level, const char *text, size_t len);
/* The text alone, made harmless. */
void	log_text_add(struct buf *, const char *text, size_t len, bool json);

uint64_t log_clock(void);	/* ns, monotonic: when a record is made */

struct log_record {
	uint64_t	 ns;		/* log_clock(); 0: a line that is no record */
	enum log_level	 level;
	const char	*name, *text;	/* in the line */
	size_t		 name_len, text_len;
};

void	log_record_put(struct buf *, const struct log_record *);
/* Of a line without its LF. What is no record is text, an error, without a name. */
void	log_record_get(const char *line, size_t len, struct log_record *);

#endif
