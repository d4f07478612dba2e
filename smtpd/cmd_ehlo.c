/*
 * cmd_ehlo: EHLO and HELO (RFC 5321 4.1.1.1).
 *
 *	ehlo = "EHLO" SP ( Domain / address-literal ) CRLF
 *	helo = "HELO" SP Domain CRLF
 *
 * Called through cmd's table. Both end an open transaction, if the argument is right.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "child.h"
#include "cmd.h"
#include "door.h"
#include "tx.h"
#include "xmalloc.h"

/* Literals without their tag, and names with a dot at their end, are seen in the field. */
static bool
plausible(char *name)
{
	unsigned char bin[16];
	size_t n = strlen(name);

	if (addr_valid_domain(name, true))
		return true;
	if (n > 2 && n < INET6_ADDRSTRLEN + 2 && name[0] == '[' && name[n - 1] == ']') {
		name[n - 1] = '\0';
		if (inet_pton(AF_INET6, name + 1, bin) != 1)
			return false;
		name[n - 1] = ']';
		return true;
	}
	if (n < 2 || name[n - 1] != '.')
		return false;
	name[n - 1] = '\0';
	return addr_valid_domain(name, false);
}

static bool
greet(struct session *s, char *arg, bool esmtp)
{
	if (!plausible(arg)) {
		session_reply(s, 501, "5.5.2", "%s needs your host's name or address literal", esmtp ? "EHLO" : "HELO");
		return false;
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
	session_reply(s, 250, NULL, "LIMITS RCPTMAX=%" PRIu64, conf->limit[LIM_RECIPIENTS]);
}
