/*
 * cmd: see cmd.h.
 *
 * Called by session for each step. Owns the buffer of the current line. Unknown, malformed and overlong lines are
 * answered here; so is whatever a state does not allow.
 */
#include <string.h>
#include <strings.h>

#include "listener/batch.h"
#include "program/child.h"
#include "listener/cmd.h"
#include "listener/crowd.h"
#include "listener/listen.h"
#include "proc/ev.h"
#include "mail/line.h"
#include "base/log.h"

#define LINE_MAX_CMD	4096		/* without CRLF */
#define LINE_DROP_MAX	65536		/* of a line that is longer: more ends the session */

#define V_NO_ARG	1		/* an argument is 501 */
#define V_IDLE		2		/* moves no mail */
#define V_BATCH		4		/* several in a row are judged together */

#define ANY	(IN(ST_START) | IN(ST_HELO) | IN(ST_MAIL) | IN(ST_BDAT))
#define GREETED	(IN(ST_HELO) | IN(ST_MAIL) | IN(ST_BDAT))

struct verb {
	const char	*name;
	unsigned	 states;
	unsigned	 flags;
	void		(*run)(struct session *, char *);	/* NULL: known, but not done here */
	const char	*badseq;				/* 503 5.5.1, in words */
};

static const char first_helo[] = "send EHLO or HELO first";
static const char need_mail[] = "need MAIL before this, and a BDAT transaction takes nothing but BDAT";

static const struct verb verbs[] = {
	{ "",		0,			0,			NULL,		NULL },
	{ "HELO",	ANY,			V_IDLE,			cmd_helo,	NULL },
	{ "EHLO",	ANY,			V_IDLE,			cmd_ehlo,	NULL },
	{ "MAIL",	IN(ST_HELO),		0,			cmd_mail,	NULL },
	{ "RCPT",	IN(ST_MAIL),		V_BATCH,		cmd_rcpt,	need_mail },
	{ "DATA",	IN(ST_MAIL),		V_NO_ARG,		cmd_data,	need_mail },
	{ "BDAT",	ANY,			0,			cmd_bdat,	NULL },
	{ "RSET",	ANY,			V_IDLE | V_NO_ARG,	cmd_rset,	NULL },
	{ "NOOP",	ANY,			V_IDLE,			cmd_noop,	NULL },
	{ "VRFY",	ANY,			V_IDLE,			cmd_vrfy,	NULL },
	{ "EXPN",	ANY,			V_IDLE,			cmd_expn,	NULL },
	{ "HELP",	ANY,			V_IDLE,			cmd_help,	NULL },
	{ "QUIT",	ANY,			V_NO_ARG,		cmd_quit,	NULL },
	{ "AUTH",	ANY,			V_IDLE,			NULL,		NULL },
	{ "STARTTLS",	ANY,			V_IDLE,			NULL,		NULL },
	{ "ETRN",	ANY,			V_IDLE,			NULL,		NULL },
	{ "ATRN",	ANY,			V_IDLE,			NULL,		NULL },
	{ "TURN",	ANY,			V_IDLE,			NULL,		NULL },
	{ "SEND",	ANY,			V_IDLE,			NULL,		NULL },
	{ "SOML",	ANY,			V_IDLE,			NULL,		NULL },
	{ "SAML",	ANY,			V_IDLE,			NULL,		NULL },
	{ "XCLIENT",	ANY,			V_IDLE,			NULL,		NULL },
	{ "XFORWARD",	ANY,			V_IDLE,			NULL,		NULL },
};
#define NVERBS		(sizeof(verbs) / sizeof(verbs[0]))
#define VERB_UNKNOWN	NVERBS
_Static_assert(NVERBS < VERBS_MAX, "the counts of a session have no room for all verbs");

const char *
cmd_name(unsigned verb)
{
	static const char *const lower[] = {
		"connect", "helo", "ehlo", "mail", "rcpt", "data", "bdat", "rset", "noop", "vrfy", "expn", "help", "quit", "auth",
		"starttls", "etrn", "atrn", "turn", "send", "soml", "saml", "xclient", "xforward", "unknown"
	};
	_Static_assert(sizeof(lower) / sizeof(lower[0]) == NVERBS + 1, "a verb without its name in the log");

	return lower[verb];
}

const char *
cmd_verb(unsigned verb)
{
	return verb == CMD_NONE ? "CONNECT" : verb == VERB_UNKNOWN ? "UNKNOWN" : verbs[verb].name;
}

/* The verb at the beginning of line (n bytes), NVERBS if it is none; *end is behind it. */
static unsigned
find_verb(const char *line, size_t n, size_t *end)
{
	unsigned i;

	for (*end = 0; *end < n && line[*end] != ' ' && line[*end] != '\t'; (*end)++)
		;
	for (i = 1; *end >= 4 && i < NVERBS; i++)
		if (strncasecmp(line, verbs[i].name, *end) == 0 && verbs[i].name[*end] == '\0')
			return i;
	return VERB_UNKNOWN;
}

void
cmd_idle(struct session *s)
{
	if (++s->idle_commands <= child_conf()->limit[LIM_COMMANDS] || s->state == ST_CLOSING)
		return;
	session_log(s);
	log_info("too many commands without mail from %s%s", session_client(s), session_uid(s));
	session_line(s, 421, "4.7.0", true, "Too many commands without mail, closing");
	session_last(s, true);
}

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
	bool first = s->verb == CMD_NONE;

	s->verb = VERB_UNKNOWN;
	if (first && is_http(line, n)) {
		session_last(s, true);
		session_reply(s, 521, "5.5.1", "This is a mail server, it speaks SMTP");
		return;
	}
	session_reply(s, 500, n == 0 ? "5.5.2" : "5.5.1", n == 0 ? "Empty command" : "Command not recognized");
	cmd_idle(s);
}

static void
bad_sequence(struct session *s, const struct verb *v)
{
	const char *why = v->badseq;

	if (s->state == ST_START && why == NULL)
		why = first_helo;
	else if (why == NULL)
		why = "a transaction is open, RSET ends it";
	session_reply(s, 503, "5.5.1", "%s not allowed now: %s", v->name, why);
}

static void
gate(struct session *s, unsigned verb, char *arg)
{
	const struct verb *v = &verbs[verb];

	s->verb = verb;
	if (v->flags & V_IDLE)
		cmd_idle(s);
	if (s->state == ST_CLOSING)
		return;
	if (v->run == NULL)
		session_reply(s, 502, "5.5.1", "%s is not offered here", v->name);
	else if (!(v->states & IN(s->state)))
		bad_sequence(s, v);
	else if ((v->flags & V_NO_ARG) && *arg != '\0')
		session_reply(s, 501, "5.5.4", "%s takes no argument", v->name);
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
	unsigned verb;
	bool bare;
	long len = line_command(in, &next, &bare);

	if (len == -1)
		return incomplete(s, in);
	n = (size_t)len;
	if (s->skipped > 0 || n > LINE_MAX_CMD)
		return overlong(s, in, next);
	memcpy(line, buf_data(in), n);
	line[n] = '\0';
	verb = malformed(s, line, n, bare) ? VERB_UNKNOWN : find_verb(line, n, &end);
	if (s->batch != NULL && (verb == VERB_UNKNOWN || !(verbs[verb].flags & V_BATCH) || batch_full(s))) {
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
