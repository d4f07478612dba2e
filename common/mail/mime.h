/*
 * mime: a message taken to pieces as it streams by (RFC 2045, 2046): header fields, bodies of parts, what stands between them. Pure code.
 *
 * Used by convert. Fed in pieces of any size; lines end with CRLF. Any bytes are survived, and every byte that goes in comes out by one of
 * the functions of mime_ops, in order. Memory is bounded: MIME_DEPTH boundaries, one header field, one piece of a line.
 */
#ifndef MIME_H
#define MIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

#define MIME_DEPTH	30		/* multiparts in multiparts; a deeper one is not looked into */
#define MIME_PARTS	10000		/* likewise a further one */

enum mime_kind {
	MIME_LEAF,
	MIME_MULTIPART,
	MIME_MESSAGE,			/* message/rfc822: what follows is a header again */
	MIME_OPAQUE			/* signed, or encoded, or not understood: nothing in it may change */
};
enum mime_cte { CTE_NONE, CTE_7BIT, CTE_8BIT, CTE_BINARY, CTE_OTHER /* it is encoded already */ };

struct mime_part {
	size_t		 number;	/* in the order of their headers; 0 is the message */
	enum mime_kind	 kind;		/* known from header_end on */
	enum mime_cte	 cte;
	bool		 text;		/* text/..., or no type is given */
	bool		 typed, versioned;	/* it has a Content-Type; a MIME-Version */
	bool		 message;	/* its header is that of a message */
};

struct mime_ops {
	/* A header field with its folded lines and last line end, or a line that is none. long_: only a piece of one. */
	void	(*field)(void *arg, const struct mime_part *, const char *, size_t, bool long_);
	/* The empty line behind them (blank), or the end of the part without one. */
	void	(*header_end)(void *arg, const struct mime_part *, bool blank);
	void	(*body)(void *arg, const struct mime_part *, const uint8_t *, size_t);	/* of a leaf or what is opaque */
	void	(*body_end)(void *arg, const struct mime_part *);
	void	(*frame)(void *arg, const uint8_t *, size_t);	/* delimiters with the CRLF before, preamble, epilogue */
};

struct mime {
	const struct mime_ops	*ops;
	void			*arg;
	bool			 into_signed;	/* multipart/signed and encrypted are looked into as others are */
	/* state */
	int			 state;
	struct mime_part	 part;
	size_t			 parts;
	struct { char *boundary; bool digest; } open[MIME_DEPTH];
	size_t			 depth;
	bool			 digest;	/* the part is one of a multipart/digest */
	char			*boundary;	/* of the type that was read */
	unsigned		 type;
	bool			 begun;		/* some of the line was given already */
	bool			 held;		/* a CRLF that belongs to the delimiter, if one follows */
	bool			 cut;		/* the field is too long to be kept */
	struct buf		 line, field;
};

void	 mime_init(struct mime *, const struct mime_ops *, void *arg, bool into_signed);
void	 mime_feed(struct mime *, const uint8_t *, size_t);
void	 mime_end(struct mime *);
void	 mime_free(struct mime *);

/*
 * mime_words.c: adds a field with bytes over 0x7e to out without them: encoded words (RFC 2047), parameters by RFC 2231. What has no
 * such form (an address) stays as it is, or becomes question marks by force. -> false: bytes over 0x7e are left
 */
bool	 mime_words(struct buf *out, const char *field, size_t len, bool force);

#endif
