/*
 * session_say: see session_say.h.
 *
 * Called by connection and by the handlers. Owns nothing. Every refusal goes through here, so that it has its line in the words that
 * fail2ban, crowdsec, pflogsumm and logwatch read.
 */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "program/child.h"
#include "base/log.h"
#include "mail/qid.h"
#include "listener/session_say.h"
#include "listener/tx.h"
#include "listener/verb.h"
#include "base/xmalloc.h"

/* ---- names ---- */

struct address_text
address_text(const struct sockaddr_storage *ss)
{
	struct address_text t = { "" };
	const void *sa = ss;

	if (ss->ss_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)sa)->sin_addr, t.s, sizeof(t.s));
	else if (ss->ss_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)sa)->sin6_addr, t.s, sizeof(t.s));
	return t;
}

const char *
session_client(const struct session *s)
{
	static char text[320];

	if (s->socket)
		return "localhost[127.0.0.1]";
	snprintf(text, sizeof(text), "%s[%s]", s->name != NULL ? s->name : "unknown", s->addr);
	return text;
}

const char *
session_uid(const struct session *s)
{
	static char text[32];

	if (!s->socket)
		return "";
	snprintf(text, sizeof(text), " uid=%u", (unsigned)s->uid);
	return text;
}

const char *
session_proto(const struct session *s)
{
	if (s->socket)
		return "local";
	if (s->tx != NULL && s->tx->smtputf8)
		return "UTF8SMTP";
	return s->esmtp ? "ESMTP" : "SMTP";
}

void
session_named(struct session *s, const char *name)
{
	if (s->name != NULL)
		return;
	s->name = xstrdup(name);
	session_log(s);
}

/* ---- log lines ---- */

void
session_log(struct session *s)
{
	if (s->logged)
		return;
	s->logged = true;
	log_info("connect from %s%s", session_client(s), session_uid(s));
}

void
session_event(struct session *s, const char *what)
{
	session_log(s);
	log_info("%s after %s from %s%s", what, verb_name(s->verb), session_client(s), session_uid(s));
}

void
session_bye(struct session *s)
{
	struct buf b = BUF_INIT;
	unsigned done = 0, all = 0, total;
	enum verb i;

	session_log(s);
	for (i = VERB_NONE + 1; i < VERB__MAX; i++) {
		total = s->done[i] + s->failed[i];
		if (total == 0)
			continue;
		if (s->failed[i] == 0)
			buf_addf(&b, " %s=%u", verb_count_name(i).s, total);
		else
			buf_addf(&b, " %s=%u/%u", verb_count_name(i).s, s->done[i], total);
		done += s->done[i];
		all += total;
	}
	if (done == all)
		buf_addf(&b, " commands=%u", all);
	else
		buf_addf(&b, " commands=%u/%u", done, all);
	log_info("disconnect from %s%s%s", session_client(s), session_uid(s), buf_str(&b));
	buf_free(&b);
}

/* A message that came is refused by its number and as a whole; before that a command is. */
static bool
at_end_of_message(const struct session *s)
{
	return s->tx != NULL && (s->state == ST_DATA || s->state == ST_CHUNK);
}

static void
log_refusal(struct session *s, const struct refusal *r, const char *text)
{
	const struct tx *tx = s->tx;
	const char *from = r->from != NULL ? r->from : tx != NULL ? tx->sender.text : "";
	const char *to = r->to != NULL ? r->to : at_end_of_message(s) && tx->nrcpt > 0 ? tx->rcpt[0].addr : "";

	session_log(s);
	log_info("%s: reject: %s from %s: %u %s %s; from=<%s> to=<%s> proto=%s helo=<%s>%s",
	    at_end_of_message(s) && tx->id != 0 ? qid_text(tx->id).s : "NOQUEUE",
	    at_end_of_message(s) ? "END-OF-MESSAGE" : verb_name(s->verb), session_client(s), r->code, r->dsn, text, from, to,
	    session_proto(s), s->helo != NULL ? s->helo : "", session_uid(s));
}

/* ---- replies ---- */

void
session_line(struct session *s, unsigned code, const char *dsn, bool last, const char *text)
{
	char line[512];
	bool utf8 = s->tx != NULL && s->tx->smtputf8;
	int n = snprintf(line, sizeof(line) - 2, "%u%c%s%s%s", code, last ? ' ' : '-', dsn == NULL ? "" : dsn,
	    dsn == NULL ? "" : " ", text);
	size_t i, len = n < 0 ? 0 : (size_t)n;

	if (len > sizeof(line) - 3)
		len = sizeof(line) - 3;
	for (i = 0; i < len; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f || ((unsigned char)line[i] > 0x7f && !utf8))
			line[i] = '?';
	memcpy(line + len, "\r\n", 2);
	io_write(s->io, line, len + 2);
}

/* What a reply does to the counts of its session. A program on this host may be told of many recipients that there are none. */
static void
account(struct session *s, unsigned code)
{
	if (code >= 400)
		s->failed[s->verb]++;
	else if (code < 300)
		s->done[s->verb]++;
	if (code >= 500 && !s->socket && ++s->errors >= child_conf()->limit[LIM_ERRORS] && s->state != ST_CLOSING && code != 521) {
		session_line(s, 421, "4.7.0", true, "Too many errors, closing");
		session_event(s, "too many errors");
		session_last(s, true);
	}
	if (code == 421)
		session_last(s, false);
}

void
session_refuse(struct session *s, const struct refusal *r)
{
	struct buf b = BUF_INIT;

	if (r->about != NULL)
		buf_addf(&b, "<%s>: ", r->about);
	if (r->subject != NULL)
		buf_addf(&b, "%s rejected: ", r->subject);
	buf_adds(&b, r->words);
	log_refusal(s, r, buf_str(&b));
	session_line(s, r->code, r->dsn, true, r->reply != NULL ? r->reply : buf_str(&b));
	buf_free(&b);
	account(s, r->code);
}

void
session_reply(struct session *s, unsigned code, const char *dsn, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* Why a session ends is logged where it ends. */
	if (code >= 400 && code != 421)
		log_refusal(s, &(struct refusal){ .code = code, .dsn = dsn }, text);
	session_line(s, code, dsn, true, text);
	account(s, code);
}

void
session_idle(struct session *s)
{
	if (++s->idle_commands <= child_conf()->limit[LIM_COMMANDS] || s->state == ST_CLOSING)
		return;
	session_log(s);
	log_info("too many commands without mail from %s%s", session_client(s), session_uid(s));
	session_line(s, 421, "4.7.0", true, "Too many commands without mail, closing");
	session_last(s, true);
}
