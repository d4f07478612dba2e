/* links: queue/spool/spool.c queue/spool/segment.c queue/spool/seg_make.c queue/spool/record.c queue/spool/mark_code.c queue/spool/body.c queue/spool/commit.c queue/spool/batch.c queue/spool/mark.c queue/spool/sync.c queue/spool/helper.c queue/spool/order.c queue/spool/scan.c queue/spool/scan_start.c queue/spool/reclaim.c queue/spool/compact.c queue/spool/space.c queue/spool/lock.c */
/*
 * fuzz_spool: a segment with any content, as a damaged disk may give it back: scanned, and found by a start.
 *
 * The first byte has the choices; then pieces of the segment are made from orders (see below), so that checksums are right where that is
 * wanted. No content is fatal. Every record that is whole is found in the place where it was put, whatever lies between, unless a seal
 * comes before; two scans tell the same, and so do two starts, which lose nothing and put damage aside.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/crc32c.h"
#include "proc/ev.h"
#include "folder.h"
#include "base/log.h"
#include "spool/spool_priv.h"

#define PIECES	64
#define SEG	7		/* its number */

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Choices. */
enum { BAD_HEAD = 1, OWN = 2, RESCAN = 4, LETTERS = 8, START = 16 /* a start, too: that costs more */ };
/* Orders: a byte, a length of two bytes, and so many bytes. */
enum order { GOOD, BAD_CRC, BAD_BODY, JUNK, SEAL, ENVELOPE /* a right one, for so many recipients */, ORDERS };

static struct {
	struct buf	 bytes;
	uint8_t		 rnd[RND_LEN];
	struct found { uint64_t off; bool seen; } whole[PIECES];
	size_t		 nwhole;
	bool		 sealed;
	size_t		 records;	/* that a start found */
} fz;

static void
check(bool ok)
{
	if (!ok)
		abort();
}

/* ---- the segment ---- */

static void
put_record(enum order how, struct blob env, uint32_t nrcpt, struct blob body)
{
	size_t at = fz.bytes.len;
	uint32_t crc = crc32c(0, body.p, body.len);

	rec_put(&fz.bytes, fz.rnd, env, nrcpt, body.len, how == BAD_BODY ? ~crc : crc);
	if (how == BAD_CRC)
		buf_data(&fz.bytes)[at + REC_HEAD - 1] ^= 0x55;
	buf_add(&fz.bytes, body.p, body.len);
	if (how != BAD_CRC && how != BAD_BODY && nrcpt > 0 && env.len > 0 && !fz.sealed)
		fz.whole[fz.nwhole++].off = at;
}

/* The bytes are the envelope, and the message, too. */
static void
put_any(enum order how, const uint8_t *p, size_t n)
{
	uint32_t nrcpt = n > 0 ? p[0] % 8 : 0;
	size_t at = fz.bytes.len + REC_HEAD;

	put_record(how, (struct blob){ p, n }, nrcpt, (struct blob){ p, n });
	if (n >= 8)
		memcpy(buf_data(&fz.bytes) + at, p, nrcpt);	/* marks */
}

static void
put_envelope(const uint8_t *p, size_t n)
{
	struct p_env_rcpt r[8];
	struct p_env env = { .version = 1, .id = 100 + fz.nwhole, .sender = "a@b.test", .envid = "", .client_addr = "", .client_name = "",
	    .helo = "", .proto = "", .user = "", .tag = "", .rcpts = r, .rcpts_n = n > 0 ? 1 + p[0] % 8 : 1 };
	struct buf b = BUF_INIT;
	uint32_t i;

	for (i = 0; i < env.rcpts_n; i++)
		r[i] = (struct p_env_rcpt){ .addr = "c@d.test", .orig = "", .orcpt = "", .action = "out", .sender = "", .trail = "" };
	p_env_put(&b, &env);
	put_record(GOOD, (struct blob){ buf_data(&b), b.len }, env.rcpts_n, (struct blob){ p, n });
	buf_free(&b);
}

static void
put_piece(enum order what, const uint8_t *p, size_t n)
{
	if (what == ENVELOPE)
		put_envelope(p, n);
	else if (what == JUNK)
		buf_add(&fz.bytes, p, n);
	else if (what == SEAL) {
		rec_put_seal(&fz.bytes, fz.rnd);
		fz.sealed = true;
	} else
		put_any(what, p, n);
}

static struct seg_head
make(const uint8_t *p, size_t n)
{
	struct seg_head h = { .version = p[0] & LETTERS ? MARKS_LETTERS : SEG_VERSION, .kind = p[0] & OWN ? SEG_OWN : SEG_SHARED,
	    .made = 1700000000000, .rescan = p[0] & RESCAN };
	bool bad = p[0] & BAD_HEAD;
	size_t len, pieces;

	memcpy(fz.rnd, "sixteen of them!", RND_LEN);
	memcpy(h.rnd, fz.rnd, RND_LEN);
	buf_reset(&fz.bytes, SIZE_MAX);
	fz.nwhole = 0;
	fz.sealed = false;
	seg_head_put(&fz.bytes, &h);
	for (p++, n--, pieces = 0; n >= 3 && pieces < PIECES; p += 3 + len, n -= 3 + len, pieces++) {
		len = (size_t)p[2] << 8 | p[1];
		len = len < n - 3 ? len : n - 3;
		put_piece((enum order)(p[0] % ORDERS), p + 3, len);
	}
	if (bad)
		buf_data(&fz.bytes)[9] ^= 0xff;
	return h;
}

/* ---- the scan ---- */

static uint32_t
scan(int fd, const struct seg_head *h, bool bodies)
{
	struct scan sc;
	enum scan_what what;
	uint64_t behind = SEG_HEAD;
	uint32_t sum = 0;
	size_t next = 0;

	scan_init(&sc, fd, fz.bytes.len, h, 0);
	sc.bodies = bodies;
	while ((what = scan_next(&sc)) != SCAN_END && what != SCAN_SEAL) {
		check(sc.at >= behind && sc.len > 0 && sc.at + sc.len <= fz.bytes.len && sc.off == sc.at + sc.len);
		behind = sc.at + sc.len;
		if (sc.env != NULL)
			sum = crc32c(sum, sc.env, sc.head.env_len);
		if (sc.marks != NULL)
			sum = crc32c(sum, sc.marks, sc.head.nrcpt);
		if (what == SCAN_GOOD && next < fz.nwhole && sc.at == fz.whole[next].off)
			next++;
		sum = crc32c(sum, &sc.at, sizeof sc.at);
	}
	check(!sc.unreadable && (next == fz.nwhole || what == SCAN_SEAL));
	scan_free(&sc);
	return sum;
}

static void
scans(const struct seg_head *h)
{
	static int fd = -1;
	uint32_t sum;

	if (fd == -1)
		fd = memfd_create("segment", MFD_CLOEXEC);
	check(fd != -1 && ftruncate(fd, 0) == 0);
	check(pwrite(fd, buf_data(&fz.bytes), fz.bytes.len, 0) == (ssize_t)fz.bytes.len);
	sum = scan(fd, h, true);
	check(sum == scan(fd, h, true));
	scan(fd, h, false);
}

/* ---- a start ---- */

static uint64_t
scanned(void *arg, uint32_t seg, const uint8_t rnd[16])
{
	(void)arg;
	(void)seg;
	(void)rnd;
	return 0;
}

static void
unopened(void *arg, uint32_t seg)
{
	(void)arg;
	(void)seg;
	abort();
}

static void
record(void *arg, const struct spool_record *r)
{
	uint32_t i, wrong = 0;

	(void)arg;
	check(r->env.rcpts_n > 0 && r->body_off + r->body_len <= fz.bytes.len);
	for (i = 0; i < r->env.rcpts_n; i++)
		check(strlen(r->env.rcpts[i].addr) < fz.bytes.len && wrong == 0 && mark_of(mark_code((enum mark)r->marks[i]), SEG_VERSION, &wrong) == (enum mark)r->marks[i]);
	fz.records++;
}

static void
segment(void *arg, uint32_t seg, const uint8_t rnd[16], uint64_t end)
{
	(void)arg;
	(void)seg;
	(void)rnd;
	check(end <= (seg == SEG ? fz.bytes.len : UINT64_MAX));
}

static size_t
start(void)
{
	struct spool_hooks hooks = { .scanned = scanned, .unopened = unopened, .record = record, .segment = segment };
	struct spool *s;

	fz.records = 0;
	s = spool_open(&hooks);
	spool_settled(s);
	spool_close(s);
	return fz.records;
}

static void
empty(const char *name)
{
	struct dirent *e;
	DIR *d = opendir(name);

	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			check(unlinkat(dirfd(d), e->d_name, 0) == 0);
	if (d != NULL)
		closedir(d);
}

static void
write_segment(void)
{
	char name[32];
	int fd;

	empty("seg");
	empty("quarantine");
	check(mkdir("seg", 0700) == 0 || errno == EEXIST);
	seg_name(name, SEG);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	check(fd != -1 && write(fd, buf_data(&fz.bytes), fz.bytes.len) == (ssize_t)fz.bytes.len);
	close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static bool begun;
	struct seg_head h;
	size_t once;

	if (n == 0)
		return 0;
	if (!begun) {
		folder_begin();
		log_init("fuzz");
		log_target(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_TO_FILE, LOG_TEXT);
		ev_init();
		begun = true;
	}
	h = make(p, n);
	scans(&h);
	if (!(p[0] & START))
		return 0;
	write_segment();
	once = start();
	check(start() == once);
	return 0;
}
