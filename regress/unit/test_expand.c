/*
 * links: deliver/agent/expand.c
 * The path of a mailbox: what the administrator wrote, and what a recipient's address may not do to it.
 */
#include "agent/expand.h"
#include "test.h"

static struct mailbox_path	 box;

static const char *
expand(const char *path, const char *home, const char *rcpt)
{
	const char	*wrong = mailbox_expand(path, home, rcpt, &box);

	return wrong != NULL ? wrong : box.text;
}

static void
plain(void)
{
	TEST_STR(expand("", "/home/u", "u@example.org"), "/home/u/Maildir");
	TEST_INT(box.home, 7);
	TEST_STR(expand("~/Mail/in", "/home/u", "u@example.org"), "/home/u/Mail/in");
	TEST_INT(box.home, 7);
	TEST_STR(expand("/var/mail/x", "/home/u", "u@example.org"), "/var/mail/x");
	TEST_INT(box.home, 0);
	TEST_STR(expand("/var/100%/x%", "", "u"), "/var/100%/x%");
}

static void
variables(void)
{
	TEST_STR(expand("/m/%{domain}/%{user}", "", "Jo.Doe+Tag@Example.ORG"), "/m/example.org/jo.doe");
	TEST_STR(expand("~/%{user}x", "/h", "a@b"), "/h/ax");
	TEST_STR(expand("/m/%{user}", "", "\"a b\"@example.org"), "/m/a b");
	TEST_STR(expand("/m/%{user}", "", "Postmaster"), "/m/postmaster");
}

/* Nothing that a stranger can write leaves its directory, and two users never share one. */
static void
hostile(void)
{
	char	 rcpt[400], first[PATH_MAX];

	TEST_STR(expand("/m/%{user}/x", "", "\"../../etc\"@d"), "/m/%2E.%2F..%2Fetc/x");
	TEST_STR(expand("/m/%{user}/x", "", "\"..\"@d"), "/m/%2E./x");
	TEST_STR(expand("/m/%{user}/x", "", "\"%{domain}\"@d"), "/m/%25{domain}/x");
	TEST_STR(expand("/m/%{user}", "", "a/b@d"), "/m/a%2Fb");
	strlcpy(first, box.text, sizeof(first));
	TEST(strcmp(expand("/m/%{user}", "", "a%2Fb@d"), first) != 0);
	TEST_STR(expand("/m/%{domain}/x", "/h", "root"), "/m/%00/x");
	TEST_STR(expand("/m/%{user}/x", "/h", "\"\"@d"), "/m/%00/x");
	memset(rcpt, 'x', 300);
	strcpy(rcpt + 300, "@d");
	TEST(expand("/m/%{user}", "", rcpt) != NULL);
}

static void
refused(void)
{
	char	 path[PATH_MAX + 10];

	TEST_STR(expand("Maildir", "/h", "a@b"), "the path of the mailbox is not absolute");
	TEST_STR(expand("~/Maildir", "", "a@b"), "the account has no home directory");
	TEST_STR(expand("~/Maildir", "relative", "a@b"), "the account has no home directory");
	TEST_STR(expand("/m/%{host}", "/h", "a@b"), "unknown variable in the path of the mailbox");
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	TEST_STR(expand(path, "/h", "a@b"), "the path of the mailbox is too long");
}

int
main(void)
{
	plain();
	variables();
	hostile();
	refused();
	return test_end("expand");
}
