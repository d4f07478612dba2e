/*
 * cmd: see cmd.h.
 *
 * Called by connection for each step. Owns the buffer of the current line. Unknown, malformed and overlong lines are
 * answered here; so is whatever a state does not allow.
 */
#include <string.h>
#include <strings.h>

#include "listener/batch.h"
#include "listener/cmd.h"
#include "listener/crowd.h"
#include "listener/door.h"
#include "listener/session_say.h"
#include "program/child.h"
#include "proc/ev.h"
#include "mail/line.h"
#include "base/log.h"

#define HELP_VERBS	6		/* in a line */
#define LINE_MAX_CMD	4096		/* without CRLF */
#define LINE_DROP_MAX	65536		/* of a line that is longer: more ends the session */

#define V_NO_ARG	1		/* an argument is 501 */
#define V_IDLE		2		/* moves no mail */
#define V_BATCH		4		/* several in a row are judged together */
#define V_UNLISTED	8		/* HELP does not name it */

#define ANY	(IN(ST_START) | IN(ST_HELO) | IN(ST_MAIL) | IN(ST_BDAT))

struct row {
	unsigned	 states;
	unsigned	 flags;
	void		(*run)(struct session *, char *);
	const char	*badseq;				/* 503 5.5.1, in words */
};

static const char first_helo[] = "send EHLO or HELO first";
static const char need_mail[] = "need MAIL before this, and a BDAT transaction takes nothing but BDAT";

static void	cmd_help(struct session *, char *);

/* Without a handler: known, but not done here. */
static const struct row rows[VERB__MAX] = {
	[VERB_HELO] =	{ ANY,			V_IDLE,			cmd_helo,	NULL },
	[VERB_EHLO] =	{ ANY,			V_IDLE,			cmd_ehlo,	NULL },
	[VERB_MAIL] =	{ IN(ST_HELO),		0,			cmd_mail,	NULL },
	[VERB_RCPT] =	{ IN(ST_MAIL),		V_BATCH,		cmd_rcpt,	need_mail },
	[VERB_DATA] =	{ IN(ST_MAIL),		V_NO_ARG,		cmd_data,	need_mail },
	[VERB_BDAT] =	{ ANY,			0,			cmd_bdat,	NULL },
	[VERB_RSET] =	{ ANY,			V_IDLE | V_NO_ARG,	cmd_rset,	NULL },
	[VERB_NOOP] =	{ ANY,			V_IDLE,			cmd_noop,	NULL },
	[VERB_VRFY] =	{ ANY,			V_IDLE,			cmd_vrfy,	NULL },
	[VERB_EXPN] =	{ ANY,			V_IDLE | V_UNLISTED,	cmd_expn,	NULL },
	[VERB_HELP] =	{ ANY,			V_IDLE,			cmd_help,	NULL },
	[VERB_QUIT] =	{ ANY,			V_NO_ARG,		cmd_quit,	NULL },
	[VERB_AUTH] =	{ ANY,			V_IDLE,			NULL,		NULL },
	[VERB_STARTTLS] =	{ ANY,			V_IDLE,			NULL,		NULL },
	[VERB_ETRN] =	{ ANY,			V_IDLE,			NULL,		NULL },
	[VERB_ATRN] =	{ ANY,			V_IDLE,			NULL,		NULL },
	[VERB_TURN] =	{ ANY,			V_IDLE,			NULL,		NULL },
	[VERB_SEND] =	{ ANY,			V_IDLE,			NULL,		NULL },
	[VERB_SOML] =	{ ANY,			V_IDLE,			NULL,		NULL },
	[VERB_SAML] =	{ ANY,			V_IDLE,			NULL,		NULL },
	[VERB_XCLIENT] =	{ ANY,			V_IDLE,			NULL,		NULL },
	[VERB_XFORWARD] =	{ ANY,			V_IDLE,			NULL,		NULL },
};

/* ---- HELP (RFC 5321 4.1.1.8) ---- */

static void
cmd_help(struct session *s, char *arg)
{
	struct buf b = BUF_INIT;
	enum verb v;
	unsigned n = 0;

	(void)arg;
	for (v = VERB_NONE + 1; v < VERB_UNKNOWN; v++) {
		if (rows[v].run == NULL || (rows[v].flags & V_UNLISTED))
			continue;
		if (n > 0 && n % HELP_VERBS == 0) {
			session_line(s, 214, "2.0.0", false, buf_str(&b));
			buf_reset(&b, 0);
		}
		buf_addf(&b, "%s%s", n++ % HELP_VERBS == 0 ? "" : " ", verb_name(v));
	}
	session_line(s, 214, "2.0.0", false, buf_str(&b));
	buf_free(&b);
	session_reply(s, 214, "2.0.0", "https://www.rfc-editor.org/rfc/rfc5321");
}

/* ---- the gate ---- */

/* A browser, or somebody who makes one talk to us. */
static bool
is_http(const char *line, size_t n)
{
	static const char *const methods[] = { "GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS", "DELETE", "TRACE", "PATCH" };
	size_t i, len;

	for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		len = strlen(methods[i]);
		if (n > len && line[len] == ' ' && strncasecmp(line, methods[i], len) == 0)
			return true;
	}
	return false;
}

static void
unknown(struct session *s, const char *line, size_t n)
{
	bool first = s->verb == VERB_NONE;

	s->verb = VERB_UNKNOWN;
	if (first && is_http(line, n)) {
		session_last(s, true);
		session_reply(s, 521, "5.5.1", "This is a mail server, it speaks SMTP");
		return;
	}
	session_reply(s, 500, n == 0 ? "5.5.2" : "5.5.1", n == 0 ? "Empty command" : "Command not recognized");
	session_idle(s);
}

static void
bad_sequence(struct session *s, const struct row *v)
{
	const char *why = v->badseq;

	if (s->state == ST_START && why == NULL)
		why = first_helo;
	else if (why == NULL)
		why = "a transaction is open, RSET ends it";
	session_reply(s, 503, "5.5.1", "%s not allowed now: %s", verb_name(s->verb), why);
}

static void
gate(struct session *s, enum verb verb, char *arg)
{
	const struct row *v = &rows[verb];

	s->verb = verb;
	if (v->flags & V_IDLE)
		session_idle(s);
	if (s->state == ST_CLOSING)
		return;
	if (v->run == NULL)
		session_reply(s, 502, "5.5.1", "%s is not offered here", verb_name(s->verb));
	else if (!(v->states & IN(s->state)))
		bad_sequence(s, v);
	else if ((v->flags & V_NO_ARG) && *arg != '\0')
		session_reply(s, 501, "5.5.4", "%s takes no argument", verb_name(s->verb));
	else
		v->run(s, arg);
}

/* ---- lines ---- */

static void
too_long(struct session *s)
{
	s->verb = VERB_UNKNOWN;
	s->skipped = 0;
	session_reply(s, 500, "5.5.2", "Line too long");
}

/* What stands before it is answered first. */
static bool
overlong(struct session *s, struct buf *in, size_t next)
{
	if (s->batch != NULL)
		batch_run(s);
	else {
		buf_drain(in, next);
		too_long(s);
	}
	return true;
}

/* No line end yet: what there is of an overlong line is dropped at once. */
static bool
incomplete(struct session *s, struct buf *in)
{
	if (s->batch != NULL) {
		batch_run(s);
		return true;
	}
	if (s->skipped + in->len <= LINE_MAX_CMD + 1)
		return false;
	s->skipped += in->len;
	buf_drain(in, in->len);
	if (s->skipped > LINE_DROP_MAX) {
		too_long(s);
		session_last(s, true);
	}
	return false;
}

static bool
malformed(const struct session *s, const char *line, size_t n, bool bare)
{
	return (bare && !s->door->normalise) || memchr(line, '\0', n) != NULL || memchr(line, '\r', n) != NULL;
}

static char *
trim(char *arg, char *end)
{
	while (*arg == ' ' || *arg == '\t')
		arg++;
	while (end > arg && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = '\0';
	return arg;
}

static bool
line_step(struct session *s)
{
	static char line[LINE_MAX_CMD + 1];
	struct buf *in = io_in(s->io);
	size_t next, end, n;
	enum verb verb;
	bool bare;
	long len = line_command(in, &next, &bare);

	if (len == -1)
		return incomplete(s, in);
	n = (size_t)len;
	if (s->skipped > 0 || n > LINE_MAX_CMD)
		return overlong(s, in, next);
	memcpy(line, buf_data(in), n);
	line[n] = '\0';
	verb = malformed(s, line, n, bare) ? VERB_UNKNOWN : verb_find(line, n, &end);
	if (s->batch != NULL && (verb == VERB_UNKNOWN || !(rows[verb].flags & V_BATCH) || batch_full(s))) {
		batch_run(s);
		return true;
	}
	buf_drain(in, next);
	s->progress = true;
	if (malformed(s, line, n, bare)) {
		s->verb = VERB_UNKNOWN;
		session_reply(s, 500, "5.5.2", "Malformed line: lines end with CRLF, and have no NUL or bare CR");
	} else if (verb == VERB_UNKNOWN)
		unknown(s, line, n);
	else
		gate(s, verb, trim(line + end, line + n));
	return true;
}

static bool
too_old(struct session *s)
{
	uint64_t now = ev_now_ms();
	bool data = s->state == ST_DATA || s->state == ST_CHUNK;
	const char *what = NULL;

	if (now - s->since >= child_conf()->limit[LIM_T_SESSION])
		what = "session-timeout";
	else if (!data && !s->socket && now - s->useful >= crowd_time(s->pool, LIM_T_PROGRESS))
		what = "progress-timeout";
	if (what == NULL)
		return false;
	session_event(s, what);
	session_reply(s, 421, "4.4.2", "This session has lasted too long without mail, closing");
	return true;
}

bool
cmd_step(struct session *s)
{
	if (too_old(s))
		return false;
	if (s->state == ST_DATA)
		return data_step(s);
	if (s->state == ST_CHUNK)
		return chunk_step(s);
	return line_step(s);
}
