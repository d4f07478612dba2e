/* links: deliver/agent/expand.c */
/*
 * fuzz_expand: the path of a mailbox, of three texts: what the administrator wrote, the home, the recipient's address.
 * What is made of them fits and is absolute, and the address chooses nothing but one name in its place: never a folder above or below.
 */
#include <stdlib.h>
#include <string.h>
#include "mail/addr.h"
#include "agent/expand.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check(bool ok)
{
	if (!ok)
		abort();
}

static size_t
slashes(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += *s == '/';
	return n;
}

static bool
ends(const char *s, const char *with)
{
	size_t n = strlen(s), k = strlen(with);

	return n >= k && strcmp(s + n - k, with) == 0;
}

/* One variable alone in its place: what it becomes is no name of a folder above, and not empty. */
static void
alone(const char *path, const char *rcpt)
{
	struct mailbox_path box;

	if (mailbox_expand(path, "", rcpt, &box) != NULL)
		return;
	check(strncmp(box.text, "/m/", 3) == 0 && slashes(box.text) == 3 && ends(box.text, "/x"));
	check(strncmp(box.text, "/m//", 4) != 0 && strncmp(box.text, "/m/./", 5) != 0 && strncmp(box.text, "/m/../", 6) != 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *text = calloc(1, n + 3), *path = text, *home, *rcpt;
	struct mailbox_path box, again;

	check(text != NULL);
	if (n > 0)
		memcpy(text, p, n);
	home = path + strlen(path) + (n > strlen(path));
	rcpt = home + strlen(home);
	rcpt += rcpt < text + n;
	if (mailbox_expand(path, home, rcpt, &box) == NULL) {
		check(box.text[0] == '/' && strlen(box.text) < sizeof box.text && box.home <= strlen(box.text));
		check(box.home == 0 || strncmp(box.text, home, box.home) == 0);
		check(mailbox_expand(path, home, rcpt, &again) == NULL && strcmp(box.text, again.text) == 0);
		check(slashes(box.text) == slashes(*path == '\0' ? "~/Maildir" : path) + (box.home > 0 ? slashes(home) : 0));
	}
	if (strlen(rcpt) <= ADDR_PATH_MAX) {
		alone("/m/%{user}/x", rcpt);
		alone("/m/%{domain}/x", rcpt);
	}
	free(text);
	return 0;
}
