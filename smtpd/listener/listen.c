/*
 * listen: see listen.h. Accepts clients, over the limits of all listeners together.
 *
 * Called by the listener's handlers. The sockets are shared with the other listeners; a few clients are taken per event. Out
 * of descriptors: one is kept in reserve, so that the client gets its 421 and the event does not spin.
 */
#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "program/child.h"
#include "listener/client_count.h"
#include "listener/connection.h"
#include "listener/crowd.h"
#include "listener/door.h"
#include "listener/listen.h"
#include "base/log.h"
#include "listener/quiet.h"
#include "listener/session_say.h"
#include "base/xmalloc.h"

MSG_SENDER(LISTENER_TO_RESOLVER)

#define ACCEPTS		8		/* clients of one event */
#define REST_MS		200		/* after an accept that failed for want of resources */
#define REFUSE_READS	4		/* of what a refused client sent */

static struct {
	struct door	**door;
	size_t		 n;
	struct edge	*resolver;
	struct ev_timer	 rest;
	int		 reserve;
	bool		 started, paused, resting, none, shutting;
	struct quiet	 quiet;
	struct ev_timer	 tell;		/* ... of what it counted */
} doors;

static void
apply(struct door *door)
{
	ev_fd_want(&door->ev, doors.started && !doors.resting ? EV_R : 0);
}

static void
apply_all(void)
{
	size_t i;

	for (i = 0; i < doors.n; i++)
		apply(doors.door[i]);
}

/* ---- refusing ---- */

/* A line when it begins and when it is over, not per client. */
static void
note_no_descriptor(bool none)
{
	if (doors.none == none)
		return;
	doors.none = none;
	if (none)
		log_warn("refusing clients: out of file descriptors");
	else
		log_info("clients are accepted again");
}

static void
tell_more(unsigned more, const char *who)
{
	log_info("refused: %u more from %s", more, who);
}

static void
tell(void *arg)
{
	(void)arg;
	if (quiet_tell(&doors.quiet, ev_now_ms(), tell_more))
		ev_timer_set(&doors.tell, QUIET_MS);
}

/* One line, and then how many more there were. */
static void
log_refusal(const struct session_peer *p, const char *why)
{
	char who[QUIET_NAME], uid[32] = "";

	if (p->socket) {
		strlcpy(who, "localhost[127.0.0.1]", sizeof(who));
		snprintf(uid, sizeof(uid), " uid=%u", (unsigned)p->uid);
	} else
		snprintf(who, sizeof(who), "unknown[%s]", address_text(&p->sa).s);
	if (doors.quiet.n == 0)
		ev_timer_set(&doors.tell, QUIET_MS);
	if (quiet_due(&doors.quiet, p->key, who, ev_now_ms()))
		log_info("NOQUEUE: reject: CONNECT from %s: 421 4.3.2 <%s>: Client host rejected: %s; from=<> to=<> proto=SMTP helo=<>%s", who, who,
		    why, uid);
}

/* What it sent is read within bounds: a close with unread bytes may cost it our words, but no client keeps us here. */
static void
refuse(int fd, const struct door *door, const char *why)
{
	char line[512], drop[4096];
	int n = snprintf(line, sizeof(line), "421 4.3.2 %s: %s, try again later\r\n", door->hostname, why), i;

	for (i = 0; i < REFUSE_READS && recv(fd, drop, sizeof(drop), MSG_DONTWAIT) == (ssize_t)sizeof(drop); i++)
		;
	(void)send(fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

/* NULL, or why this client is not served. A full share has room where somebody idle gives way. */
static const char *
over(const struct session_peer *p)
{
	const char *why = crowd_over_own(p);

	if (why != NULL) {
		log_refusal(p, why);
		return why;
	}
	return crowd_full(p) && !connection_shed(p->pool) ? "too many connections" : NULL;
}

/* ---- accepting ---- */

/* An IPv4 client of an IPv6 socket is an IPv4 client. */
static void
unmap(struct sockaddr_storage *ss, socklen_t *len)
{
	struct sockaddr_in6 six;
	struct sockaddr_in four = { .sin_family = AF_INET };

	if (ss->ss_family != AF_INET6)
		return;
	memcpy(&six, ss, sizeof(six));
	if (!IN6_IS_ADDR_V4MAPPED(&six.sin6_addr))
		return;
	four.sin_port = six.sin6_port;
	memcpy(&four.sin_addr, &six.sin6_addr.s6_addr[12], sizeof(four.sin_addr));
	memset(ss, 0, sizeof(*ss));
	memcpy(ss, &four, sizeof(four));
	*len = sizeof(four);
}

static bool
loopback(const struct sockaddr_storage *ss)
{
	const void *sa = ss;

	if (ss->ss_family == AF_INET)
		return (ntohl(((const struct sockaddr_in *)sa)->sin_addr.s_addr) >> 24) == 127;
	return ss->ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)sa)->sin6_addr);
}

static bool
identify(struct session_peer *p)
{
	const struct sockaddr *sa = (const struct sockaddr *)&p->sa;
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int on = 1;

	if (!p->socket) {
		unmap(&p->sa, &p->salen);
		p->key = counts_key(sa);
		p->exempt = loopback(&p->sa);
		p->pool = p->exempt ? POOL_LOOPBACK : POOL_NET;
		p->local = conf_is_own_address(child_conf(), sa);
		(void)setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		return true;
	}
	if (getsockopt(p->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1)
		return false;
	p->sa.ss_family = AF_UNIX;
	p->uid = cred.uid;
	p->key = counts_key_uid(cred.uid);
	p->exempt = p->local = true;
	p->pool = POOL_SOCKET;
	return true;
}

static void
rested(void *arg)
{
	(void)arg;
	doors.resting = false;
	apply_all();
}

static void
rest(void)
{
	doors.resting = true;
	apply_all();
	ev_timer_set(&doors.rest, REST_MS);
}

/* Out of descriptors: the reserve makes room for one client, who is told. */
static void
no_descriptor(struct door *door)
{
	int fd;

	note_no_descriptor(true);
	if (doors.reserve != -1)
		close(doors.reserve);
	fd = accept4(door->ev.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd != -1)
		refuse(fd, door, "too many connections");
	doors.reserve = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
}

/* By PTR, while it is served: session_named hears of it. */
static void
ask_name(struct session *s)
{
	if (s->socket)
		session_log(s);
	else if (s->exempt)
		session_named(s, "localhost");
	else if (doors.resolver != NULL)
		send_PTR_ASK(doors.resolver, s->id, &(struct p_text){ .text = s->addr }, -1);
}

/* False: nobody is waiting, or nothing works for now. */
static bool
accept_one(struct door *door)
{
	struct session_peer p = { .salen = sizeof(p.sa), .socket = door->socket };
	struct session *s;
	const char *why;

	p.fd = accept4(door->ev.fd, (struct sockaddr *)&p.sa, &p.salen, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (p.fd == -1 && (errno == EMFILE || errno == ENFILE)) {
		no_descriptor(door);
		rest();
		return false;
	}
	if (p.fd == -1) {
		if (errno == ENOBUFS || errno == ENOMEM)
			rest();
		return errno == ECONNABORTED || errno == EINTR;
	}
	note_no_descriptor(false);
	if (!identify(&p)) {
		close(p.fd);
		return true;
	}
	if ((why = doors.shutting ? "shutting down" : doors.paused ? "no mail is taken for now" : over(&p)) != NULL)
		refuse(p.fd, door, why);
	else if ((s = connection_new(door, &p)) != NULL)
		ask_name(s);
	return true;
}

static void
door_ready(void *arg, int what)
{
	struct door *door = door_hold(arg);
	unsigned i;

	(void)what;
	for (i = 0; i < ACCEPTS && door->ev.fd != -1; i++)
		if (!accept_one(door))
			break;
	door_release(door);
}

/* ---- opening and closing ---- */

void
door_open(int fd, const struct conf_listen *l)
{
	struct door *door = xcalloc(1, sizeof(*door));

	door->refs = 1;
	door->hostname = xstrdup(l->hostname != NULL ? l->hostname : child_conf()->hostname);
	door->tag = xstrdup(l->tag != NULL ? l->tag : "");
	door->banner = l->banner != NULL ? xstrdup(l->banner) : NULL;
	door->normalise = l->normalise;
	door->socket = l->sa.ss_family == AF_UNIX;
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	ev_fd_init(&door->ev, fd, door_ready, door);
	doors.door = xreallocarray(doors.door, doors.n + 1, sizeof(*doors.door));
	doors.door[doors.n++] = door;
	apply(door);
}

void
doors_close(void)
{
	struct door *door;

	while (doors.n > 0) {
		door = doors.door[--doors.n];
		ev_fd_clear(&door->ev);
		close(door->ev.fd);
		door->ev.fd = -1;
		door_release(door);
	}
}

void
doors_start(void)
{
	if (doors.started)
		return;
	ev_timer_init(&doors.rest, rested, NULL);
	ev_timer_init(&doors.tell, tell, NULL);
	doors.reserve = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	doors.started = true;
	apply_all();
}

void
doors_accept(bool on)
{
	doors.paused = !on;
	apply_all();
}

/* Until the last session has ended; the parent has closed its sockets by then. */
void
doors_shut(void)
{
	doors.shutting = true;
	doors_accept(true);
}

void
doors_resolver(struct edge *e)
{
	doors.resolver = e;
}
