/*
 * body: the bytes of a message on their way to a server: read in blocks, checked, dot-stuffed.
 *
 * Used by relay. The check and the stuffing look at the bytes themselves, so that nothing bare leaves whatever the flags say.
 */
#ifndef BODY_H
#define BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BODY_BLOCK	(64 * 1024)

/* Where in the text the next byte stands. */
struct body_scan {
	uint8_t		 last;		/* the byte before */
	bool		 line_start;
};

struct body {
	int		 fd;
	uint64_t	 offset, left;
	bool		 stuff;		/* DATA: dots are stuffed, and the end is written */
	struct body_scan scan;
};

enum body_status { BODY_MORE, BODY_END, BODY_UNREADABLE /* the file */, BODY_UNFIT /* a bare CR or LF, or a NUL */ };

void	 body_open(struct body *, int fd, uint64_t offset, uint64_t length, bool stuff);
/* The next block, in a buffer that is valid until the next call. */
enum body_status body_next(struct body *, const uint8_t **p, size_t *n);

#define SCAN_UNFIT	1
#define SCAN_DOT	2	/* a line begins with a dot */
/* Pure: looks at n bytes and moves on. */
unsigned body_look(struct body_scan *, const uint8_t *, size_t n);
/* Pure: copies with dots stuffed; out has room for 2 * n. scan is as before body_look. -> bytes */
size_t	 body_stuff(struct body_scan, const uint8_t *, size_t n, uint8_t *out);

#endif
