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
#include "listener/door.h"
#include "listener/message.h"
#include "listener/session_say.h"
#include "base/log.h"
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
		log_info("%s from %s%s: irregular name taken: helo=<%s>", verb_name(s->verb), session_client(s), session_uid(s), arg);
	}
	message_drop(s);
	free(s->helo);
	s->helo = xstrdup(arg);
	s->esmtp = esmtp;
	session_enter(s, ST_HELO);
	return true;
}

void
cmd_helo(struct session *s, char *arg)
{
	if (greet(s, arg, false))
		session_reply(s, 250, NULL, "%s", s->door->hostname);
}

static void
put_size(char *out, size_t size)
{
	snprintf(out, size, "SIZE %" PRIu64, child_conf()->limit[LIM_MESSAGE_SIZE]);
}

static void
put_domain(char *out, size_t size)
{
	snprintf(out, size, "X-DOMAIN %s", child_conf()->domain);
}

static void
put_limits(char *out, size_t size)
{
	snprintf(out, size, "LIMITS RCPTMAX=%" PRIu64, child_conf()->limit[LIM_RECIPIENTS]);
}

/* In the order in which they are told; the last is for everybody. */
static const struct extension {
	const char	*keyword;
	void		(*put)(char *, size_t);		/* NULL: the keyword is all */
	bool		 socket;			/* at the submission socket alone */
} extensions[] = {
	{ "PIPELINING", NULL, false },
	{ "8BITMIME", NULL, false },
	{ "SMTPUTF8", NULL, false },
	{ "CHUNKING", NULL, false },
	{ "ENHANCEDSTATUSCODES", NULL, false },
	{ "DSN", NULL, false },
	{ "SIZE", put_size, false },
	{ "X-DOMAIN", put_domain, true },	/* for sendmail: what completes the addresses that it writes itself */
	{ "LIMITS", put_limits, false }
};
#define NEXTENSIONS	(sizeof(extensions) / sizeof(extensions[0]))

void
cmd_ehlo(struct session *s, char *arg)
{
	const struct extension *x;
	char text[512];

	if (!greet(s, arg, true))
		return;
	snprintf(text, sizeof(text), "%s greets %s", s->door->hostname, s->helo);
	for (x = extensions; x < extensions + NEXTENSIONS; x++) {
		if (x->socket && !s->socket)
			continue;
		session_line(s, 250, NULL, false, text);
		strlcpy(text, x->keyword, sizeof(text));
		if (x->put != NULL)
			x->put(text, sizeof(text));
	}
	session_reply(s, 250, NULL, "%s", text);
}
