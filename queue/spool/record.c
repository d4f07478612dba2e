/* record: see record.h. Nothing here fails but by saying no. */
#include <string.h>
#include "base/crc32c.h"
#include "spool/record.h"

static const char seg_magic[] = "PosternS", rec_magic[] = "PsRc";
#define SEG_MAGIC_LEN	(sizeof seg_magic - 1)
#define REC_MAGIC_LEN	(sizeof rec_magic - 1)
#define SEG_CRC_AT	34	/* what it covers */
#define REC_CRC_AT	40

void
seg_head_put(struct buf *b, const struct seg_head *h)
{
	size_t start = b->len;

	buf_add(b, seg_magic, SEG_MAGIC_LEN);
	put_u8(b, SEG_VERSION);
	put_u8(b, h->kind);
	buf_add(b, h->rnd, RND_LEN);
	put_i64(b, h->made);
	put_u32(b, crc32c(0, buf_data(b) + start, SEG_CRC_AT));
	put_u8(b, h->rescan ? '!' : 0);
	memset(buf_reserve(b, SEG_HEAD - SEG_RESCAN - 1), 0, SEG_HEAD - SEG_RESCAN - 1);
	buf_grow(b, SEG_HEAD - SEG_RESCAN - 1);
}

bool
seg_head_get(const uint8_t p[SEG_HEAD], struct seg_head *h)
{
	struct rd r = { p + SEG_MAGIC_LEN, SEG_HEAD - SEG_MAGIC_LEN, false };

	h->version = get_u8(&r);
	if (memcmp(p, seg_magic, SEG_MAGIC_LEN) != 0 || h->version < MARKS_LETTERS || h->version > SEG_VERSION)
		return false;
	h->kind = get_u8(&r) == SEG_OWN ? SEG_OWN : SEG_SHARED;
	memcpy(h->rnd, r.p, RND_LEN);
	r.p += RND_LEN;
	r.left -= RND_LEN;
	h->made = get_i64(&r);
	if (get_u32(&r) != crc32c(0, p, SEG_CRC_AT))
		return false;
	h->rescan = get_u8(&r) != 0;
	return true;
}

void
rec_put(struct buf *b, const uint8_t rnd[RND_LEN], struct blob env, uint32_t nrcpt, uint64_t body_len, uint32_t body_crc)
{
	size_t start = b->len;
	uint32_t crc;

	buf_add(b, rec_magic, REC_MAGIC_LEN);
	buf_add(b, rnd, RND_LEN);
	put_u32(b, nrcpt);
	put_u32(b, (uint32_t)env.len);
	put_u64(b, body_len);
	put_u32(b, body_crc);
	crc = crc32c(0, buf_data(b) + start, REC_CRC_AT);
	put_u32(b, crc32c(crc, env.p, env.len));
	memset(buf_reserve(b, nrcpt), mark_code(MARK_PENDING), nrcpt);
	buf_grow(b, nrcpt);
	buf_add(b, env.p, env.len);
}

void
rec_put_seal(struct buf *b, const uint8_t rnd[RND_LEN])
{
	rec_put(b, rnd, (struct blob){ NULL, 0 }, 0, 0, 0);
}

bool
rec_get(const uint8_t p[REC_HEAD], const uint8_t rnd[RND_LEN], struct rec_head *h)
{
	struct rd r = { p + REC_KEY, REC_HEAD - REC_KEY, false };

	if (memcmp(p, rec_magic, REC_MAGIC_LEN) != 0 || memcmp(p + REC_MAGIC_LEN, rnd, RND_LEN) != 0)
		return false;
	h->nrcpt = get_u32(&r);
	h->env_len = get_u32(&r);
	h->body_len = get_u64(&r);
	h->body_crc = get_u32(&r);
	h->head_crc = get_u32(&r);
	return true;
}

void
rec_key(uint8_t out[REC_KEY], const uint8_t rnd[RND_LEN])
{
	memcpy(out, rec_magic, REC_MAGIC_LEN);
	memcpy(out + REC_MAGIC_LEN, rnd, RND_LEN);
}

bool
rec_rnd(const uint8_t p[REC_HEAD], uint8_t rnd[RND_LEN])
{
	if (memcmp(p, rec_magic, REC_MAGIC_LEN) != 0)
		return false;
	memcpy(rnd, p + REC_MAGIC_LEN, RND_LEN);
	return true;
}

bool
rec_envelope_ok(const uint8_t head[REC_HEAD], const struct rec_head *h, const uint8_t *env)
{
	return crc32c(crc32c(0, head, REC_CRC_AT), env, h->env_len) == h->head_crc;
}
