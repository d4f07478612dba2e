/* links: */
/*
 * test_msg: the message table. Every payload round-trips and its broken encodings are refused; every edge is fed truncated,
 * oversized, wrong-typed and random frames, and descriptors that do not belong: the edge ends, the handler is not called
 * with anything malformed, and this process goes on.
 */
#include <sys/socket.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "proc/ev.h"
#include "base/log.h"
#include "proc/msg.h"
#include "test.h"
#include "base/xmalloc.h"

/* ---- every payload, filled at random from its own field list ---- */

static char strings[64][41];

static void
make_strings(void)
{
	for (size_t i = 0; i < 64; i++) {
		size_t n = arc4random_uniform(40);

		for (size_t k = 0; k < n; k++)
			strings[i][k] = (char)(1 + arc4random_uniform(255));
		strings[i][n] = '\0';
	}
}

#define FILL_u8(v)	(v) = (uint8_t)arc4random()
#define FILL_u16(v)	(v) = (uint16_t)arc4random()
#define FILL_u32(v)	(v) = arc4random()
#define FILL_u64(v)	(v) = (uint64_t)arc4random() << 32 | arc4random()
#define FILL_i64(v)	(v) = (int64_t)((uint64_t)arc4random() << 32 | arc4random())
#define FILL_str(v)	(v) = strings[arc4random_uniform(64)]
#define FILL_blob(v)	(v) = (struct blob){ (const uint8_t *)strings[arc4random_uniform(64)], arc4random_uniform(41) }
#define FILL_F(type, name)	FILL_##type(p->name);
#define FILL_L(payload, name) \
	p->name##_n = arc4random_uniform(4); \
	p->name = p->name##_n == 0 ? NULL : xcalloc(p->name##_n, sizeof(*p->name)); \
	for (uint32_t i = 0; i < p->name##_n; i++) \
		fill_##payload(&p->name[i]);
#define FILL_PROTO(name)	static void fill_##name(struct p_##name *);
#define FILL(name) \
	static void \
	fill_##name(struct p_##name *p) \
	{ \
		(void)p; \
		P_##name(FILL_F, FILL_L) \
	}
MSG_PAYLOADS(FILL_PROTO)
MSG_PAYLOADS(FILL)

static bool
same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(buf_data(a), buf_data(b), a->len) == 0);
}

/* Cut anywhere, the reader is bad; with a byte more, something is left; with any byte changed, nothing breaks. */
#define PAYLOAD(name) \
	static void \
	payload_##name(void) \
	{ \
		struct p_##name p, q; \
		struct buf first = BUF_INIT, again = BUF_INIT; \
		struct rd rd; \
		bool cut_is_bad = true; \
\
		fill_##name(&p); \
		p_##name##_put(&first, &p); \
		p_##name##_free(&p); \
		buf_str(&first); \
		rd = (struct rd){ buf_data(&first), first.len, false }; \
		p_##name##_get(&rd, &q); \
		TEST(!rd.bad && rd.left == 0); \
		p_##name##_put(&again, &q); \
		p_##name##_free(&q); \
		TEST(same(&first, &again)); \
		for (size_t n = 0; n < first.len; n++) { \
			uint8_t *copy = xmemdup(buf_data(&first), n == 0 ? 1 : n); \
\
			rd = (struct rd){ copy, n, false }; \
			p_##name##_get(&rd, &q); \
			cut_is_bad &= rd.bad; \
			p_##name##_free(&q); \
			free(copy); \
		} \
		TEST(cut_is_bad); \
		for (size_t n = 0; n < first.len; n++) { \
			uint8_t *copy = xmemdup(buf_data(&first), first.len); \
\
			copy[n] = (uint8_t)arc4random(); \
			rd = (struct rd){ copy, first.len, false }; \
			p_##name##_get(&rd, &q); \
			p_##name##_free(&q); \
			free(copy); \
		} \
		buf_free(&first); \
		buf_free(&again); \
	}
MSG_PAYLOADS(PAYLOAD)

/* ---- every edge ---- */

static unsigned calls, closes;
static int last_fd;

#define HANDLER(NAME, payload, carries) \
	void \
	on_##NAME(struct edge *e, uint32_t id, struct p_##payload *p, int fd) \
	{ \
		(void)e; \
		(void)id; \
		(void)p; \
		calls++; \
		last_fd = fd; \
		if (fd != -1) \
			close(fd); \
	}
#define HANDLERS(EDGE)	EDGE(HANDLER)
MSG_EDGES(MSG_RECEIVER)
MSG_EDGES(HANDLERS)
#define ROWS(EDGE)	static const struct msg_row rows_##EDGE[] = { EDGE(MSG_ROW_M) };
MSG_EDGES(ROWS)

/* A sample of every message, as its payload's bytes. */
struct sample {
	unsigned	 type;
	bool		 has_fd;
	void		(*make)(struct buf *);
};
#define SAMPLE(name) \
	static __attribute__((unused)) void \
	sample_##name(struct buf *b) \
	{ \
		struct p_##name p; \
\
		fill_##name(&p); \
		p_##name##_put(b, &p); \
		p_##name##_free(&p); \
	}
MSG_PAYLOADS(SAMPLE)
#define SAMPLE_ROW(NAME, payload, fd)	{ MSG_##NAME, fd, sample_##payload },
#define SAMPLE_ROWS(EDGE)		EDGE(SAMPLE_ROW)
static const struct sample samples[] = { MSG_EDGES(SAMPLE_ROWS) };

struct edge_table {
	const char		*name;
	const struct msg_row	*rows;
	size_t			 n;
};
#define TABLE(EDGE)	{ #EDGE, rows_##EDGE, sizeof(rows_##EDGE) / sizeof(*rows_##EDGE) },
static const struct edge_table tables[] = { MSG_EDGES(TABLE) };

static void
closed(struct edge *e, void *arg)
{
	(void)e;
	(void)arg;
	closes++;
}

static const struct edge_ops ops = { closed, NULL };

static void
put_frame(struct buf *b, unsigned type, unsigned flags, size_t len, const void *payload, size_t real)
{
	put_u16(b, (uint16_t)type);
	put_u16(b, (uint16_t)flags);
	put_u32(b, (uint32_t)len);
	put_u32(b, 7);
	if (real > 0)
		buf_add(b, payload, real);
}

static void
write_bytes(int fd, const struct buf *b, int pass)
{
	struct iovec iov = { buf_data(b), b->len };
	union { struct cmsghdr h; char space[CMSG_SPACE(sizeof(int))]; } c;
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	memset(&c, 0, sizeof(c));
	if (pass != -1) {
		m.msg_control = &c;
		m.msg_controllen = sizeof(c);
		c.h.cmsg_level = SOL_SOCKET;
		c.h.cmsg_type = SCM_RIGHTS;
		c.h.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&c.h), &pass, sizeof(pass));
	}
	TEST(sendmsg(fd, &m, MSG_NOSIGNAL) == (ssize_t)b->len);
}

static void
some_turns(void)
{
	for (int turn = 0; turn < 4 && closes == 0; turn++) {
		ev_wake();
		ev_turn();
	}
}

/* Feeds bytes to a fresh edge of that table, and the end if asked; the counts say what came of it. */
static void
feed(const struct edge_table *t, const struct buf *bytes, int pass, bool then_close)
{
	int sv[2];
	struct edge *e;

	calls = closes = 0;
	last_fd = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) == -1)
		abort();
	e = edge_new(sv[0], PROG_LISTENER, 0, t->rows, t->n, &ops, NULL);
	write_bytes(sv[1], bytes, pass);
	if (then_close)
		shutdown(sv[1], SHUT_WR);
	some_turns();
	if (closes == 0)
		edge_close(e);
	close(sv[1]);
}

static const struct sample *
sample_of(unsigned type)
{
	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++)
		if (samples[i].type == type)
			return &samples[i];
	abort();
}

static int
any_fd(bool wanted)
{
	return wanted ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
}

/* One frame, right or spoilt in one way. */
static void
try_frame(const struct edge_table *t, unsigned type, unsigned flags, long stretch, bool with_fd, unsigned want_calls,
    unsigned want_closes)
{
	struct buf payload = BUF_INIT, bytes = BUF_INIT;
	int fd = any_fd(with_fd);
	size_t len;

	sample_of(type)->make(&payload);
	if (stretch > 0)
		for (long i = 0; i < stretch; i++)
			buf_adds(&payload, "x");
	len = stretch < 0 && payload.len > 0 ? payload.len - 1 : payload.len;
	put_frame(&bytes, type, flags, len, payload.len > 0 ? buf_data(&payload) : NULL, len);
	feed(t, &bytes, fd, false);
	if (!TEST_INT(calls, want_calls) || !TEST_INT(closes, want_closes))
		fprintf(stderr, "\t%s %s\n", t->name, msg_name(type));
	if (fd != -1)
		close(fd);
	buf_free(&payload);
	buf_free(&bytes);
}

static void
test_row(const struct edge_table *t, const struct msg_row *row)
{
	struct buf payload = BUF_INIT;

	try_frame(t, row->type, row->has_fd, 0, row->has_fd, 1, 0);
	TEST(row->has_fd ? last_fd != -1 : last_fd == -1);
	try_frame(t, row->type, row->has_fd, 1, row->has_fd, 0, 1);		/* a byte too much */
	try_frame(t, row->type, !row->has_fd, 0, !row->has_fd, 0, 1);		/* a descriptor where none belongs, or none */
	try_frame(t, row->type, row->has_fd, 0, !row->has_fd, row->has_fd ? 0 : 1, 1);	/* ... and a flag that lies about it */
	try_frame(t, row->type, 0x8000, 0, row->has_fd, 0, 1);			/* unknown flags */
	sample_of(row->type)->make(&payload);
	if (payload.len > 0)
		try_frame(t, row->type, row->has_fd, -1, row->has_fd, 0, 1);	/* a byte short */
	buf_free(&payload);
}

/* A frame with a descriptor whose head comes in two pieces: what fills the reader's buffer may end anywhere. */
static void
test_split(const struct edge_table *t, const struct msg_row *row)
{
	struct buf bytes = BUF_INIT, part, payload = BUF_INIT;
	int sv[2], fd = any_fd(row->has_fd);
	struct edge *e;

	sample_of(row->type)->make(&payload);
	put_frame(&bytes, row->type, row->has_fd, payload.len, payload.len > 0 ? buf_data(&payload) : NULL, payload.len);
	calls = closes = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) == -1)
		abort();
	e = edge_new(sv[0], PROG_LISTENER, 0, t->rows, t->n, &ops, NULL);
	part = (struct buf){ bytes.base, bytes.off, 5, bytes.cap };
	write_bytes(sv[1], &part, fd);
	some_turns();
	buf_drain(&bytes, 5);
	write_bytes(sv[1], &bytes, -1);
	some_turns();
	TEST_INT(calls, 1);
	if (TEST_INT(closes, 0))
		edge_close(e);
	close(sv[1]);
	if (fd != -1)
		close(fd);
	buf_free(&payload);
	buf_free(&bytes);
}

static bool
is_row(const struct edge_table *t, unsigned type)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->rows[i].type == type)
			return true;
	return false;
}

static void
test_edge(const struct edge_table *t)
{
	struct buf bytes = BUF_INIT;
	uint8_t junk[512];

	for (size_t i = 0; i < t->n; i++)
		test_row(t, &t->rows[i]);
	for (size_t i = 0; i < t->n; i++)
		test_split(t, &t->rows[i]);
	for (unsigned type = 0; type < MSG__MAX; type++)
		if (!is_row(t, type))
			try_frame(t, type, sample_of(type)->has_fd, 0, sample_of(type)->has_fd, 0, 1);
	put_frame(&bytes, MSG__MAX, 0, 0, NULL, 0);
	feed(t, &bytes, -1, false);
	TEST(calls == 0 && closes == 1);
	buf_reset(&bytes, 0);
	put_frame(&bytes, t->rows[0].type, t->rows[0].has_fd, (size_t)MSG_MAX + 1, NULL, 0);
	feed(t, &bytes, -1, false);
	TEST(calls == 0 && closes == 1);
	/* A header alone, then the end. */
	buf_reset(&bytes, 0);
	put_frame(&bytes, t->rows[0].type, t->rows[0].has_fd, 1000, NULL, 0);
	feed(t, &bytes, -1, true);
	TEST(calls == 0 && closes == 1);
	for (int i = 0; i < 200; i++) {
		arc4random_buf(junk, sizeof(junk));
		if (i & 1) {			/* a fitting header in front of noise */
			memset(junk, 0, 12);
			junk[0] = (uint8_t)t->rows[(size_t)i % t->n].type;
			junk[4] = (uint8_t)(i * 2);
		}
		buf_reset(&bytes, 0);
		buf_add(&bytes, junk, sizeof(junk));
		feed(t, &bytes, -1, true);
		TEST(closes == 1);
	}
	buf_free(&bytes);
}

#define RUN_PAYLOAD(name)	for (int i = 0; i < 20; i++) payload_##name();

int
main(void)
{
	log_init("test");
	log_target(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_TO_FILE, LOG_TEXT);	/* offences are logged loudly */
	ev_init();
	make_strings();
	MSG_PAYLOADS(RUN_PAYLOAD)
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
		test_edge(&tables[i]);
	return test_end("msg");
}
