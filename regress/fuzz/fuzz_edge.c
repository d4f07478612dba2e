/* links:  */
/*
 * fuzz_edge: what a captured process may send: frames of every edge of msg.h, with descriptors or without, whole, in pieces, wrong.
 *
 * The first byte chooses the edge. Then come orders (see below), each with a length and so many bytes. What holds: a handler sees only what
 * its row allows, and a payload that can be written again as it was read; a descriptor is handed over, or closed.
 */
#include <sys/socket.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "proc/ev.h"
#include "base/log.h"
#include "proc/msg.h"

#define HEADER	12
#define FDS	10		/* with one send; an edge takes fewer */

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* An order. Without RAW the bytes are a payload, and the frame's head is made for it. */
enum { FD = 1, FLAG = 2, RAW = 4, MANY = 8, TURN = 16, LONG = 32 /* the head tells one byte more than there is */ };

static struct {
	struct edge	*edge;		/* NULL: it ended */
	int		 peer;
} fz;

static void
check(bool ok)
{
	if (!ok)
		abort();
}

static bool
same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(buf_data(a), buf_data(b), a->len) == 0);
}

/* The handler of every message: also one that ends its edge. */
static void
heard(struct edge *e, uint32_t id, bool carries, int fd)
{
	check(e == fz.edge && (fd != -1) == carries);
	if (fd != -1)
		check(close(fd) == 0);
	if (id % 16 == 14)
		edge_cut(e);
	else if (id % 16 == 15) {
		fz.edge = NULL;
		edge_close(e);
	}
}

#define HANDLER_M(NAME, payload, carries) \
	void \
	on_##NAME(struct edge *e, uint32_t id, struct p_##payload *p, int fd) \
	{ \
		struct buf once = BUF_INIT, again = BUF_INIT; \
		struct p_##payload q; \
		struct rd rd; \
		p_##payload##_put(&once, p); \
		rd = (struct rd){ buf_data(&once), once.len, false }; \
		p_##payload##_get(&rd, &q); \
		check(!rd.bad && rd.left == 0); \
		p_##payload##_put(&again, &q); \
		check(same(&once, &again)); \
		p_##payload##_free(&q); \
		buf_free(&once); \
		buf_free(&again); \
		heard(e, id, carries, fd); \
	}
#define TABLE_E(EDGE) \
	MSG_RECEIVER(EDGE) \
	EDGE(HANDLER_M) \
	static const struct msg_row rows_##EDGE[] = { MSG_ROWS(EDGE) };
MSG_EDGES(TABLE_E)

#define EDGE_E(EDGE)	{ rows_##EDGE, sizeof rows_##EDGE / sizeof rows_##EDGE[0] },
static const struct { const struct msg_row *rows; size_t n; } edges[] = { MSG_EDGES(EDGE_E) };

static void
closed(struct edge *e, void *arg)
{
	(void)arg;
	check(e == fz.edge);
	fz.edge = NULL;
}

static const struct edge_ops ops = { closed, NULL };

static void
turn(void)
{
	ev_wake();
	ev_turn();
}

static void
send_bytes(struct buf *b, int fd, unsigned fds)
{
	union { struct cmsghdr h; char space[CMSG_SPACE(FDS * sizeof(int))]; } c;
	struct iovec iov = { buf_data(b), b->len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	unsigned i;

	memset(&c, 0, sizeof c);
	if (fds > 0) {
		m.msg_control = &c;
		m.msg_controllen = CMSG_SPACE(fds * sizeof fd);
		c.h.cmsg_level = SOL_SOCKET;
		c.h.cmsg_type = SCM_RIGHTS;
		c.h.cmsg_len = CMSG_LEN(fds * sizeof fd);
		for (i = 0; i < fds; i++)
			memcpy(CMSG_DATA(&c.h) + i * sizeof fd, &fd, sizeof fd);
	}
	if (b->len > 0)
		(void)sendmsg(fz.peer, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* -> how many bytes of the input it was */
static size_t
order(const struct msg_row *rows, size_t nrows, const uint8_t *p, size_t n, int fd)
{
	size_t len = (size_t)p[3] << 8 | p[2], have = len < n - 4 ? len : n - 4;
	struct buf b = BUF_INIT;

	if (!(p[0] & RAW)) {
		put_u16(&b, p[1] == 0xff ? MSG__MAX : rows[p[1] % nrows].type);
		put_u16(&b, p[0] & FLAG ? 1 : 0);
		put_u32(&b, (uint32_t)have + (p[0] & LONG ? 1 : 0));
		put_u32(&b, p[1] / 16);
	}
	buf_add(&b, p + 4, have);
	send_bytes(&b, fd, p[0] & FD ? (p[0] & MANY ? FDS : 1) : 0);
	buf_free(&b);
	if (p[0] & TURN)
		turn();
	return 4 + have;
}

/* Every copy of the pipe's end is closed when the edge is. */
static void
none_left(int end[2])
{
	char c;

	close(end[1]);
	check(read(end[0], &c, 1) == 0);
	close(end[0]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static bool begun;
	size_t which, k;
	int sv[2], end[2];

	if (n == 0)
		return 0;
	if (!begun) {
		log_init("fuzz");
		log_target(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_TO_FILE, LOG_TEXT);
		ev_init();
		begun = true;
	}
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv) == 0 && pipe2(end, O_NONBLOCK | O_CLOEXEC) == 0);
	which = *p % (sizeof edges / sizeof edges[0]);
	fz.peer = sv[1];
	fz.edge = edge_new(sv[0], PROG_AGENT, 0, edges[which].rows, edges[which].n, &ops, NULL);
	for (p++, n--; n >= 4 && fz.edge != NULL; p += k, n -= k)
		k = order(edges[which].rows, edges[which].n, p, n, end[1]);
	turn();
	close(fz.peer);
	turn();
	turn();
	if (fz.edge != NULL)
		edge_close(fz.edge);
	fz.edge = NULL;
	none_left(end);
	return 0;
}
