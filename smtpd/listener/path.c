/*
 * path: see path.h. Called by cmd_mail, cmd_rcpt and cmd_misc; owns nothing.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "program/child.h"
#include "listener/path.h"
#include "listener/session.h"

bool
path_complete(struct addr *a)
{
	size_t n = strlen(a->text);

	if (a->null || a->domain < n)
		return true;
	if (n + 1 + strlen(child_conf()->domain) > ADDR_PATH_MAX)
		return false;
	snprintf(a->text + n, sizeof(a->text) - n, "@%s", child_conf()->domain);
	a->domain = n + 1;
	return true;
}

/* <user>, completed with our domain: a recipient from clients of this host, a sender from its programs alone. */
static const char *
bare(const char *s, size_t n, struct addr *a, size_t *used)
{
	const char *end = s, *why;
	bool quoted = false;

	if (n == 0 || *s != '<')
		return "an address stands in angle brackets";
	for (end = s + 1; end < s + n && (quoted || *end != '>'); end++) {
		if (*end == '"')
			quoted = !quoted;
		else if (*end == '\\' && end + 1 < s + n)
			end++;
	}
	if (end == s + n)
		return "the closing > is missing";
	why = addr_parse(s + 1, (size_t)(end - s - 1), ADDR_BARE, a, used);
	*used = (size_t)(end + 1 - s);
	return why;
}

void
path_said(const char *keyword, const char *arg, char *out, size_t size)
{
	size_t n = strlen(keyword);

	if (strncasecmp(arg, keyword, n) == 0)
		arg += n;
	arg += strspn(arg, " <");
	n = strcspn(arg, "> ");
	snprintf(out, size, "%.*s", (int)n, arg);
}

const char *
path_read(const struct session *s, const char *keyword, enum addr_kind kind, char *arg, struct addr *a, char **rest)
{
	size_t n = strlen(keyword), used;
	const char *why;

	if (strncasecmp(arg, keyword, n) != 0)
		return "the address is missing";
	arg += n;
	arg += strspn(arg, " ");
	why = addr_parse(arg, strlen(arg), kind, a, &used);
	if (why != NULL && (s->socket || (s->local && kind == ADDR_FORWARD)) && bare(arg, strlen(arg), a, &used) == NULL)
		why = NULL;
	if (why != NULL)
		return why;
	if (arg[used] != '\0' && arg[used] != ' ' && arg[used] != '\t')
		return "a blank is missing behind the address";
	*rest = arg + used;
	return path_complete(a) ? NULL : "the address is too long";
}
