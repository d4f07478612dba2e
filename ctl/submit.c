/*
 * submit: sendmail's connection to the daemon.
 *
 * Called by sendmail's main and by submit_send.c. Answers are read while writing, so that neither side waits for the other for ever.
 * What fails is told to the caller, with an exit code that tells a program whether to try again (75) or not.
 */
#include <sys/socket.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#include "ask.h"
#include "mail/reply.h"
#include "submit.h"

#define ANSWER_MS	(10 * 60 * 1000)	/* RFC 5321 4.5.3.2.6 */

static int
broken(const char *what)
{
	warnx("%s; nothing is known to be stored, try again", what);
	return EX_TEMPFAIL;
}

/* ---- bytes ---- */

static bool
receive(struct submit *s)
{
	uint8_t *room = buf_reserve(&s->in, 16384);
	ssize_t n = recv(s->fd, room, 16384, MSG_DONTWAIT);

	if (n > 0)
		buf_grow(&s->in, (size_t)n);
	return n > 0 || (n == -1 && (errno == EAGAIN || errno == EINTR));
}

static bool
transmit(struct submit *s)
{
	ssize_t n = send(s->fd, buf_data(&s->out), s->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n > 0)
		buf_drain(&s->out, (size_t)n);
	return n > 0 || (n == -1 && (errno == EAGAIN || errno == EINTR));
}

/* One wait: sends what can be sent, receives what is there. False: the connection is over. */
static bool
step(struct submit *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	int n;

	if (s->out.len > 0)
		p.events |= POLLOUT;
	if ((n = poll(&p, 1, ANSWER_MS)) <= 0)
		return n == -1 && errno == EINTR;
	if ((p.revents & POLLOUT) != 0 && s->out.len > 0 && !transmit(s))
		buf_reset(&s->out, 0);		/* it does not listen any more; its last words are still to be read */
	if ((p.revents & (POLLIN | POLLHUP | POLLERR)) != 0)
		return receive(s);
	return true;
}

bool
submit_flush(struct submit *s)
{
	while (s->out.len > 0)
		if (!step(s))
			return false;
	return true;
}

bool
submit_reply(struct submit *s, struct reply *r, void (*line)(void *, const char *))
{
	enum reply_status status;

	reply_init(r);
	while ((status = reply_feed(r, &s->in, line, s)) == REPLY_MORE)
		if (!step(s))
			return false;
	return status == REPLY_DONE;
}

/* ---- opening ---- */

static void
note_extension(void *arg, const char *line)
{
	struct submit *s = arg;

	if (strcasecmp(line, "8BITMIME") == 0)
		s->eightbit = true;
	else if (strcasecmp(line, "SMTPUTF8") == 0)
		s->smtputf8 = true;
	else if (strcasecmp(line, "DSN") == 0)
		s->dsn = true;
	else if (strncasecmp(line, "X-DOMAIN ", 9) == 0)
		strlcpy(s->domain, line + 9, sizeof(s->domain));
	else if (strncasecmp(line, "LIMITS", 6) == 0 && (line = strcasestr(line, "RCPTMAX=")) != NULL)
		s->rcpt_max = strtoul(line + 8, NULL, 10);
}

static int
no_daemon(const char *runtime)
{
	if (errno == EACCES)
		warnx("%s/submit.sock: permission denied; nothing is stored, try again when you may", runtime);
	else if (errno == ENOENT || errno == ECONNREFUSED)
		warnx("Postern is not running (no submit.sock answers in %s); nothing is stored, try again when posternd is up", runtime);
	else
		warn("%s/submit.sock: nothing is stored, try again", runtime);
	return EX_TEMPFAIL;
}

int
submit_open(struct submit *s, const char *runtime)
{
	struct reply r;

	memset(s, 0, sizeof(*s));
	if ((s->fd = runtime_connect(runtime, "submit.sock")) == -1)
		return no_daemon(runtime);
	if (!submit_reply(s, &r, NULL))
		return broken("Postern ended the connection");
	if (r.code != 220) {
		warnx("Postern takes no mail now: %u %s; nothing is stored, try again", r.code, r.text);
		return EX_TEMPFAIL;
	}
	snprintf(s->server, sizeof(s->server), "%.*s", (int)strcspn(r.text, " "), r.text);
	buf_adds(&s->out, "EHLO localhost\r\n");
	if (!submit_reply(s, &r, note_extension))
		return broken("Postern ended the connection");
	return r.code == 250 ? 0 : broken(r.text);
}

void
submit_close(struct submit *s)
{
	if (s->fd != -1) {
		buf_adds(&s->out, "QUIT\r\n");
		transmit(s);
		close(s->fd);
	}
	buf_free(&s->in);
	buf_free(&s->out);
}
