/*
 * body: the bytes of a message on their way to a server: read in blocks, checked, made 7-bit where that is needed, dot-stuffed.
 *
 * Used by relay; whatever leaves by SMTP comes out of body_next. The check and the stuffing look at the bytes themselves, so that nothing
 * bare leaves whatever the flags say.
 */
#ifndef BODY_H
#define BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "client/convert.h"

#define BODY_BLOCK	(64 * 1024)

/* Where in the text the next byte stands. */
struct body_scan {
	uint8_t		 last;		/* the byte before */
	bool		 line_start;
};

struct body {
	int		 fd;
	uint64_t	 offset, left;
	uint32_t	 crc, want;	/* of what was read; of all of it */
	bool		 stuff;		/* DATA: dots are stuffed, and the end is written */
	struct body_scan scan, sent;	/* of what was read; of what leaves, which differs when it is converted */
	struct convert	*convert;	/* NULL: it goes as it is */
	struct buf	 converted;
};

enum body_status { BODY_MORE, BODY_END, BODY_UNREADABLE /* the file */, BODY_UNFIT /* a bare CR or LF, or a NUL */,
	BODY_DAMAGED /* not the bytes that were accepted: the last of them are kept back */ };

/* plan: it is converted so, and outlives the body; NULL: not at all. What was open there is closed. */
/* crc: CRC-32C of these bytes, as it was when they came in. */
void	 body_open(struct body *, int fd, uint64_t offset, uint64_t length, uint32_t crc, bool stuff, struct convert_plan *plan);
void	 body_close(struct body *);		/* at any time, also twice */
/* How that message is made 7-bit, with its length then. NULL: it cannot be read. Freed by the caller. */
struct convert_plan *body_plan(int fd, uint64_t offset, uint64_t length, bool force);
/* The next block, in a buffer that is valid until the next call. */
enum body_status body_next(struct body *, const uint8_t **p, size_t *n);

#define SCAN_UNFIT	1
#define SCAN_DOT	2	/* a line begins with a dot */
/* Pure: looks at n bytes and moves on. */
unsigned body_look(struct body_scan *, const uint8_t *, size_t n);
/* Pure: copies with dots stuffed; out has room for 2 * n. scan is as before body_look. -> bytes */
size_t	 body_stuff(struct body_scan, const uint8_t *, size_t n, uint8_t *out);

#endif
