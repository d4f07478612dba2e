/*
 * cmd_ehlo: EHLO and HELO (RFC 5321 4.1.1.1).
 *
 *	ehlo = "EHLO" SP ( Domain / address-literal ) CRLF
 *	helo = "HELO" SP Domain CRLF
 *
 * Called through cmd's table. Both end an open transaction, if the argument is right.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mail/addr.h"
#include "program/child.h"
#include "listener/cmd.h"
#include "listener/listen.h"
#include "base/log.h"
#include "listener/tx.h"
#include "base/xmalloc.h"

/* A name as the DNS or an address literal has it. */
static bool
regular(const char *name)
{
	return addr_valid_domain(name, true);
}

/* Seen in the field: hyphens at the ends of labels, a dot at the end, literals without their tag or with a zone. */
static bool
plausible(const char *name)
{
	static const char other[] = "-_.";
	size_t n = strlen(name), i;
	bool literal = n > 2 && name[0] == '[' && name[n - 1] == ']';

	if (n == 0 || n > ADDR_DOMAIN_MAX || (!literal && !isalnum((unsigned char)name[0]) && strchr("-_", name[0]) == NULL))
		return false;
	for (i = literal; i < n - literal; i++)
		if (!isalnum((unsigned char)name[i]) && strchr(other, name[i]) == NULL && !(literal && strchr(":%", name[i]) != NULL))
			return false;
	return literal || strstr(name, "..") == NULL;
}

static bool
greet(struct session *s, char *arg, bool esmtp)
{
	if (!regular(arg)) {
		if (!plausible(arg)) {
			session_refuse(s, &(struct refusal){ .code = 501, .dsn = "5.5.2", .about = *arg != '\0' ? arg : NULL,
			    .subject = "Helo command", .words = "it needs your host's name or address literal" });
			return false;
		}
		session_log(s);
		log_info("%s from %s%s: irregular name taken: helo=<%s>", cmd_verb(s->verb), session_client(s), session_uid(s), arg);
	}
	tx_end(s);
	free(s->helo);
	s->helo = xstrdup(arg);
	s->esmtp = esmtp;
	s->state = ST_HELO;
	return true;
}

void
cmd_helo(struct session *s, char *arg)
{
	if (greet(s, arg, false))
		session_reply(s, 250, NULL, "%s", s->door->hostname);
}

void
cmd_ehlo(struct session *s, char *arg)
{
	static const char *const fixed[] = { "PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES", "DSN" };
	const struct conf *conf = child_conf();
	char text[512];
	size_t i;

	if (!greet(s, arg, true))
		return;
	snprintf(text, sizeof(text), "%s greets %s", s->door->hostname, s->helo);
	session_line(s, 250, NULL, false, text);
	for (i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		session_line(s, 250, NULL, false, fixed[i]);
	snprintf(text, sizeof(text), "SIZE %" PRIu64, conf->limit[LIM_MESSAGE_SIZE]);
	session_line(s, 250, NULL, false, text);
	if (s->socket) {		/* for sendmail: what completes the addresses that it writes itself */
		snprintf(text, sizeof(text), "X-DOMAIN %s", conf->domain);
		session_line(s, 250, NULL, false, text);
	}
	session_reply(s, 250, NULL, "LIMITS RCPTMAX=%" PRIu64, conf->limit[LIM_RECIPIENTS]);
}
