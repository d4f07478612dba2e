/*
 * submit: the SMTP client of sendmail: pipelined, one message, one answer.
 *
 * Called by sendmail's main. MAIL, all RCPT and DATA go in one write, the message in a second, and answers are read while
 * writing, so that neither side waits for the other for ever. What Postern refuses is told to the caller in Postern's words, with an exit
 * code that tells a program whether to try again (75) or not.
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
#include "addr.h"
#include "ask.h"
#include "reply.h"
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

static bool
flush(struct submit *s)
{
	while (s->out.len > 0)
		if (!step(s))
			return false;
	return true;
}

/* The next reply; false if there is none to be had. */
static bool
next_reply(struct submit *s, struct reply *r, void (*line)(void *, const char *))
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
	if (!next_reply(s, &r, NULL))
		return broken("Postern ended the connection");
	if (r.code != 220) {
		warnx("Postern takes no mail now: %u %s; nothing is stored, try again", r.code, r.text);
		return EX_TEMPFAIL;
	}
	snprintf(s->server, sizeof(s->server), "%.*s", (int)strcspn(r.text, " "), r.text);
	buf_adds(&s->out, "EHLO localhost\r\n");
	if (!next_reply(s, &r, note_extension))
		return broken("Postern ended the connection");
	return r.code == 250 ? 0 : broken(r.text);
}

/* ---- a transaction ---- */

static void
put_envelope(struct submit *s, const struct submission *m)
{
	char envid[512];

	buf_addf(&s->out, "MAIL FROM:<%s> SIZE=%zu", m->sender, m->text->len);
	if (m->eightbit && s->eightbit)
		buf_adds(&s->out, " BODY=8BITMIME");
	if (m->utf8 && s->smtputf8)
		buf_adds(&s->out, " SMTPUTF8");
	if (m->ret != NULL && s->dsn)
		buf_addf(&s->out, " RET=%s", m->ret);
	if (m->envid != NULL && s->dsn) {
		xtext_encode(m->envid, envid, sizeof(envid));
		buf_addf(&s->out, " ENVID=%s", envid);
	}
	buf_adds(&s->out, "\r\n");
	for (size_t i = 0; i < m->nrcpts; i++) {
		buf_addf(&s->out, "RCPT TO:<%s>", m->rcpts[i]);
		if (m->notify != NULL && s->dsn)
			buf_addf(&s->out, " NOTIFY=%s", m->notify);
		buf_adds(&s->out, "\r\n");
	}
	buf_adds(&s->out, "DATA\r\n");
}

/* The message with its dots doubled, and the final dot. */
static void
put_message(struct submit *s, const struct buf *text)
{
	const uint8_t *p = buf_data(text), *end = p + text->len, *lf;

	while (p < end) {
		lf = memchr(p, '\n', (size_t)(end - p));
		lf = lf == NULL ? end : lf + 1;
		if (*p == '.')
			buf_adds(&s->out, ".");
		buf_add(&s->out, p, (size_t)(lf - p));
		p = lf;
	}
	buf_adds(&s->out, ".\r\n");
}

/* What a refusal means to the program that called: the enhanced code tells more than the number. */
static int
exit_code(const struct reply *r)
{
	if (r->code / 100 == 4)
		return EX_TEMPFAIL;
	if (strncmp(r->dsn, "5.7.", 4) == 0)
		return EX_NOPERM;
	if (strcmp(r->dsn, "5.1.1") == 0 || strcmp(r->dsn, "5.1.6") == 0 || strcmp(r->dsn, "5.1.10") == 0)
		return EX_NOUSER;
	return EX_DATAERR;
}

/* The recipients' replies. -1: one is accepted; else the exit code: a temporary refusal wins, so that the caller tries again. */
static int
read_rcpts(struct submit *s, const struct submission *m)
{
	struct reply r;
	int code = 0;
	bool accepted = false;

	for (size_t i = 0; i < m->nrcpts; i++) {
		if (!next_reply(s, &r, NULL))
			return broken("Postern ended the connection");
		if (r.code / 100 == 2) {
			accepted = true;
			continue;
		}
		warnx("<%s>: %u %s %s", m->rcpts[i], r.code, r.dsn, r.text);
		if (code != EX_TEMPFAIL && (code == 0 || r.code / 100 == 4))
			code = exit_code(&r);
	}
	return accepted ? -1 : code;
}

static int
read_final(struct submit *s, const char *what)
{
	struct reply r;

	if (!flush(s) || !next_reply(s, &r, NULL))
		return broken("Postern ended the connection before it answered");
	if (r.code / 100 == 2)
		return 0;
	warnx("%s: %u %s %s", what, r.code, r.dsn, r.text);
	return exit_code(&r);
}

static int
read_go_on(struct submit *s)
{
	struct reply r;

	if (!next_reply(s, &r, NULL))
		return broken("Postern ended the connection");
	if (r.code == 354)
		return 0;
	warnx("Postern: %u %s %s", r.code, r.dsn, r.text);
	return exit_code(&r);
}

int
submit_send(struct submit *s, const struct submission *m)
{
	struct reply mail;
	int rcpts, data;

	if (s->rcpt_max > 0 && m->nrcpts > s->rcpt_max) {
		warnx("%zu recipients; Postern takes %lu at once: send in parts, or raise `limit recipients`", m->nrcpts, s->rcpt_max);
		return EX_DATAERR;
	}
	put_envelope(s, m);
	if (!next_reply(s, &mail, NULL))
		return broken("Postern ended the connection");
	if (mail.code / 100 != 2) {
		warnx("sender <%s>: %u %s %s", m->sender, mail.code, mail.dsn, mail.text);
		return exit_code(&mail);
	}
	if ((rcpts = read_rcpts(s, m)) >= 0)
		return rcpts;
	if ((data = read_go_on(s)) != 0)
		return data;
	put_message(s, m->text);
	return read_final(s, "Postern");
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
