/*
 * expand: "~/", %{user} and %{domain} in the path of a mailbox. Called by the agent for each recipient; owns nothing;
 * a path that cannot be made is told in words, which become the text of a temporary failure.
 */
#include <stdbool.h>
#include <string.h>
#include "mail/addr.h"
#include "agent/expand.h"

#define VALUE_MAX (3 * ADDR_DOMAIN_MAX + 1)	/* every octet as %XX */

static bool
add(struct mailbox_path *out, const char *s, size_t n)
{
	size_t	 have = strlen(out->text);

	if (n >= sizeof(out->text) - have)
		return false;
	memcpy(out->text + have, s, n);
	out->text[have + n] = '\0';
	return true;
}

static void
value_user(const char *rcpt, char *out, size_t size)
{
	char	 key[ADDR_PATH_MAX + 1];

	addr_key(rcpt, key, sizeof(key), true);
	addr_path_encode(key, out, size);
}

static void
value_domain(const char *rcpt, char *out, size_t size)
{
	addr_path_encode(addr_domain(rcpt), out, size);
}

static const struct {
	const char	*name;
	void		(*value)(const char *rcpt, char *, size_t);
} variables[] = {
	{ "%{user}",	value_user },
	{ "%{domain}",	value_domain }
};

/* A variable at *path: its value is added (never empty, that would name the directory above) and *path moved. */
static const char *
expand_variable(const char **path, const char *rcpt, struct mailbox_path *out)
{
	char	 value[VALUE_MAX];
	size_t	 i, n;

	for (i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		n = strlen(variables[i].name);
		if (strncmp(*path, variables[i].name, n) != 0)
			continue;
		variables[i].value(rcpt, value, sizeof(value));
		*path += n;
		return add(out, value, strlen(value)) ? NULL : "the path of the mailbox is too long";
	}
	return "unknown variable in the path of the mailbox";
}

static const char *
begin(const char **path, const char *home, struct mailbox_path *out)
{
	out->text[0] = '\0';
	out->home = 0;
	if (**path == '\0')
		*path = "~/Maildir";
	if (strncmp(*path, "~/", 2) != 0)
		return **path == '/' ? NULL : "the path of the mailbox is not absolute";
	if (home[0] != '/')
		return "the account has no home directory";
	if (!add(out, home, strlen(home)))
		return "the path of the mailbox is too long";
	out->home = strlen(out->text);
	(*path)++;
	return NULL;
}

const char *
mailbox_expand(const char *path, const char *home, const char *rcpt, struct mailbox_path *out)
{
	const char	*wrong;
	size_t		 n;

	if ((wrong = begin(&path, home, out)) != NULL)
		return wrong;
	while (*path != '\0') {
		if (strncmp(path, "%{", 2) == 0) {
			if ((wrong = expand_variable(&path, rcpt, out)) != NULL)
				return wrong;
			continue;
		}
		n = 1 + strcspn(path + 1, "%");
		if (!add(out, path, n))
			return "the path of the mailbox is too long";
		path += n;
	}
	return NULL;
}
