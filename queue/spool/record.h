/*
 * record: the bytes of segment headers and records (STATES.md has the layout). Pure code.
 *
 * Used by the spool's files alone (commit, body, segment, scan, mark). Lengths that come from the disk are believed only after
 * rec_envelope_ok; until then they are bounded by the file's size.
 */
#ifndef RECORD_H
#define RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "spool/mark_code.h"

#define SEG_HEAD	64	/* the first record begins here */
#define SEG_VERSION	MARKS_CODES
#define SEG_RESCAN	38	/* offset of the byte that asks for a full scan */
#define REC_HEAD	44
#define REC_KEY		20	/* magic and random bytes: what a scan looks for */
#define RND_LEN		16

enum seg_kind { SEG_SHARED, SEG_OWN /* one message, never torn */ };

struct seg_head {
	uint8_t		version;	/* of its format: SEG_VERSION, or an earlier one that can be read */
	enum seg_kind	kind;
	uint8_t		rnd[RND_LEN];
	int64_t		made;
	bool		rescan;
};

struct rec_head {
	uint32_t	nrcpt, env_len;
	uint64_t	body_len;
	uint32_t	body_crc, head_crc;
};

void	seg_head_put(struct buf *, const struct seg_head *);
bool	seg_head_get(const uint8_t p[SEG_HEAD], struct seg_head *);

/* Header, marks (all pending) and envelope; the message follows. */
void	rec_put(struct buf *, const uint8_t rnd[RND_LEN], struct blob env, uint32_t nrcpt, uint64_t body_len, uint32_t body_crc);
void	rec_put_seal(struct buf *, const uint8_t rnd[RND_LEN]);
/* False if this is no header of that segment. */
bool	rec_get(const uint8_t p[REC_HEAD], const uint8_t rnd[RND_LEN], struct rec_head *);
/* Puts the bytes every record header of a segment begins with. */
void	rec_key(uint8_t out[REC_KEY], const uint8_t rnd[RND_LEN]);
/* The random bytes in what may be a record header; false if the magic is wrong. */
bool	rec_rnd(const uint8_t p[REC_HEAD], uint8_t rnd[RND_LEN]);
bool	rec_envelope_ok(const uint8_t head[REC_HEAD], const struct rec_head *, const uint8_t *env);

static inline bool
rec_is_seal(const struct rec_head *h)
{
	return h->nrcpt == 0 && h->env_len == 0 && h->body_len == 0;
}

static inline uint64_t
rec_env_off(const struct rec_head *h)	/* from the record's beginning; likewise */
{
	return REC_HEAD + (uint64_t)h->nrcpt;
}

static inline uint64_t
rec_body_off(const struct rec_head *h)
{
	return rec_env_off(h) + h->env_len;
}

/* The whole record lies within room bytes. */
static inline bool
rec_fits(const struct rec_head *h, uint64_t room)
{
	return rec_body_off(h) <= room && h->body_len <= room - rec_body_off(h);
}

static inline uint64_t
rec_len(const struct rec_head *h)
{
	return rec_body_off(h) + h->body_len;
}

#endif
