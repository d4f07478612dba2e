/* links: */
/* io and ev on a socketpair: order, back-pressure, half-close, errors, deadlines, closing from inside callbacks. */
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "proc/ev.h"
#include "proc/io.h"
#include "test.h"

struct side {
	struct io	*io;
	size_t		 got;
	unsigned	 ins, outs, ends, timeouts, connects;
	int		 err;
	bool		 hold, close_in;
};

static void
in(void *arg)
{
	struct side *s = arg;

	s->ins++;
	if (s->hold) {
		io_pause(s->io);
		return;
	}
	s->got += io_in(s->io)->len;
	buf_drain(io_in(s->io), io_in(s->io)->len);
	if (s->close_in) {
		io_close(s->io);
		s->io = NULL;
	}
}

static void
out(void *arg)
{
	((struct side *)arg)->outs++;
}

static void
end(void *arg, int err)
{
	struct side *s = arg;

	s->ends++;
	s->err = err;
}

static void
timeout(void *arg)
{
	((struct side *)arg)->timeouts++;
}

static void
connected(void *arg)
{
	((struct side *)arg)->connects++;
}

static const struct io_ops ops = { connected, in, out, end, timeout };

static void
nothing(void *arg)
{
	(void)arg;
}

/* Turns the loop for a while; never hangs. */
static void
turns(unsigned ms)
{
	struct ev_timer t;
	uint64_t until = ev_now_ms() + ms;

	ev_timer_init(&t, nothing, NULL);
	do {
		ev_timer_set(&t, 5);
		ev_turn();
	} while (ev_now_ms() < until);
	ev_timer_clear(&t);
}

/* Turns until that is so, however busy the machine is; the test that follows says it if it never came. */
#define UNTIL(cond)	do { for (int i_ = 0; i_ < 3000 && !(cond); i_++) turns(1); } while (0)

static void
open_pair(struct side *a, struct side *b)
{
	int sv[2];

	*a = *b = (struct side){ 0 };
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) == -1)
		exit(1);
	a->io = io_new(sv[0], &ops, a);
	b->io = io_new(sv[1], &ops, b);
}

static void
big_write(void)
{
	struct side a, b;
	static char block[1 << 20];
	int i;

	open_pair(&a, &b);
	b.hold = true;
	for (i = 0; i < 8; i++)
		io_write(a.io, block, sizeof block);
	UNTIL(b.ins > 0);
	turns(30);
	TEST(io_pending(a.io) > 0);
	TEST_INT(a.outs, 0);
	TEST_INT(b.ins, 1);		/* paused: not called again */
	b.hold = false;
	io_resume(b.io);
	for (i = 0; i < 10000 && (b.got < sizeof block * 8 || io_pending(a.io) > 0); i++)	/* as long as a busy machine takes */
		turns(1);
	TEST_INT(b.got, sizeof block * 8);
	TEST_INT(io_pending(a.io), 0);
	TEST_INT(a.outs, 1);
	io_close(a.io);
	UNTIL(b.ends > 0);
	TEST(b.ends == 1 && b.err == 0);
	io_close(b.io);
}

static void
half_close(void)
{
	struct side a, b;

	open_pair(&a, &b);
	io_write(a.io, "QUIT", 4);
	io_flush(a.io);
	shutdown(io_fd(a.io), SHUT_WR);
	UNTIL(b.got == 4 && b.ends > 0);
	TEST(b.got == 4 && b.ends == 1 && b.err == 0);
	io_write(b.io, "bye", 3);	/* still possible */
	io_close_flushed(b.io);
	UNTIL(a.got == 3 && a.ends > 0);
	TEST(a.got == 3 && a.ends == 1);
	io_close(a.io);
}

static void
dead_peer(void)
{
	struct side a, b;

	open_pair(&a, &b);
	io_close(b.io);
	io_write(a.io, "x", 1);
	UNTIL(a.ends > 0);
	TEST_INT(a.ends, 1);
	io_write(a.io, "y", 1);
	turns(20);
	TEST_INT(a.ends, 1);		/* once */
	io_close(a.io);
}

static void
close_inside(void)
{
	struct side a, b;

	open_pair(&a, &b);
	b.close_in = true;
	io_write(a.io, "x", 1);
	UNTIL(b.io == NULL && a.ends > 0);
	TEST(b.io == NULL && a.ends == 1);
	io_close(a.io);
}

static void
deadlines(void)
{
	struct side a, b;

	open_pair(&a, &b);
	io_deadline(a.io, 20);
	io_deadline(a.io, 60000);	/* moved on: the timer re-arms by itself */
	io_deadline(b.io, 60000);
	io_deadline(b.io, 20);		/* moved nearer */
	UNTIL(b.timeouts > 0);
	turns(40);
	TEST(a.timeouts == 0 && b.timeouts == 1);
	io_deadline(a.io, 40);
	UNTIL(a.timeouts > 0);
	TEST_INT(a.timeouts, 1);
	io_deadline(a.io, 10);
	io_deadline(a.io, 0);
	turns(30);
	TEST_INT(a.timeouts, 1);
	io_close(a.io);
	io_close(b.io);
}

static void
refused(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(1), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct side a = { 0 };

	a.io = io_connect(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), (struct sockaddr *)&sin, sizeof sin, &ops, &a);
	io_write(a.io, "x", 1);
	TEST_INT(a.ends, 0);		/* never from inside */
	UNTIL(a.ends > 0);
	TEST(a.connects == 0 && a.ends == 1 && a.err == ECONNREFUSED);
	io_close(a.io);
}

int
main(void)
{
	ev_init();
	big_write();
	half_close();
	dead_peer();
	close_inside();
	deadlines();
	refused();
	return test_end("io");
}
