/*
 * cmd_misc: RSET, NOOP, QUIT, VRFY, EXPN (RFC 5321 4.1.1.5 to 4.1.1.10).
 *
 *	vrfy = "VRFY" SP String CRLF		expn = "EXPN" SP String CRLF
 *
 * Called through cmd's table. VRFY tells local clients what RCPT would; strangers learn nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "listener/batch.h"
#include "listener/cmd.h"
#include "listener/message.h"
#include "listener/path.h"
#include "listener/session_say.h"
#include "base/xmalloc.h"

void
cmd_rset(struct session *s, char *arg)
{
	(void)arg;
	message_drop(s);
	if (s->state != ST_START)
		session_enter(s, ST_HELO);
	session_reply(s, 250, "2.0.0", "Ok");
}

void
cmd_noop(struct session *s, char *arg)
{
	(void)arg;
	session_reply(s, 250, "2.0.0", "Ok");
}

void
cmd_quit(struct session *s, char *arg)
{
	(void)arg;
	session_last(s, false);
	session_reply(s, 221, "2.0.0", "Bye");
}

static bool
is_ascii(const char *s)
{
	while (*s != '\0' && (unsigned char)*s < 0x80)
		s++;
	return *s == '\0';
}

/* An internationalized address cannot stand in a reply to everybody (RFC 6531 3.7.4.2). */
static void
vrfy_say(struct session *s, struct item *it)
{
	if (it->code != 250)
		session_reply(s, it->code, it->dsn, "%s", it->text);
	else if (it->kind == ACTION_RELAY || !is_ascii(it->rcpt.addr))
		session_reply(s, 252, "2.0.0", "Cannot VRFY user, try RCPT");
	else
		session_reply(s, 250, "2.1.5", "<%s>", it->rcpt.addr);
}

/* Up to the first blank that is not quoted. */
static size_t
mailbox_len(const char *s)
{
	bool quoted = false;
	size_t n;

	for (n = 0; s[n] != '\0' && (quoted || (s[n] != ' ' && s[n] != '\t')); n++) {
		if (s[n] == '"')
			quoted = !quoted;
		else if (s[n] == '\\' && s[n + 1] != '\0')
			n++;
	}
	return n;
}

void
cmd_vrfy(struct session *s, char *arg)
{
	size_t n = mailbox_len(arg), used;
	struct addr a;
	struct item *it;

	if (*arg == '\0') {
		session_reply(s, 501, "5.5.4", "VRFY needs an address");
		return;
	}
	if (!s->local) {
		session_reply(s, 252, "2.0.0", "Cannot VRFY user, try RCPT");
		return;
	}
	if (n > 2 && *arg == '<' && arg[n - 1] == '>') {
		arg++;
		n -= 2;
	}
	if (addr_parse(arg, n, ADDR_BARE, &a, &used) != NULL || used != n || !path_complete(&a)) {
		session_reply(s, 501, "5.1.3", "that is no address");
		return;
	}
	it = batch_add(s);
	it->say = vrfy_say;
	it->verb = s->verb;
	it->rcpt.addr = xstrdup(a.text);
	batch_run(s);
}

void
cmd_expn(struct session *s, char *arg)
{
	(void)arg;
	session_reply(s, 502, "5.7.0", "EXPN is not offered here");
}
