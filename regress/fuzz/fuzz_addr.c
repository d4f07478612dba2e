/* links: */
/*
 * fuzz_addr: paths, keys, file names, xtext. The first byte chooses the kind of path.
 * What was taken keeps to the limits, reads back as itself, and no text made of it can leave its place.
 */
#include <stdlib.h>
#include <string.h>
#include "mail/addr.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check(bool ok)
{
	if (!ok)
		abort();
}

static void
texts(const char *text)
{
	char user[ADDR_LOCAL_MAX + 1], file[3 * ADDR_PATH_MAX + 4], x[3 * ADDR_PATH_MAX + 1], back[ADDR_PATH_MAX + 1];

	addr_key(text, user, sizeof user, true);
	addr_key(text, user, sizeof user, false);
	check(addr_path_encode(user, file, sizeof file));
	check(file[0] != '\0' && file[0] != '.' && strchr(file, '/') == NULL);
	xtext_encode(text, x, sizeof x);
	check(xtext_decode(x, strlen(x), back, sizeof back) && strcmp(back, text) == 0);
}

static void
path(const char *s, size_t n, enum addr_kind kind)
{
	struct addr a, b;
	size_t used, again;
	char bracketed[ADDR_PATH_MAX + 3];

	if (addr_parse(s, n, kind, &a, &used) != NULL)
		return;
	check(used <= n && strlen(a.text) <= ADDR_PATH_MAX && a.domain <= strlen(a.text) && utf8_clean(a.text, strlen(a.text)));
	check(kind == ADDR_BARE ? used == n : s[used - 1] == '>');
	check(a.null == (a.text[0] == '\0') && (!a.null || kind == ADDR_REVERSE));
	if (a.null)
		return;
	check(strcmp(addr_domain(a.text), a.text + a.domain) == 0);
	check(a.text[a.domain] == '\0' || a.text[a.domain - 1] == '@');
	check(a.domain <= ADDR_LOCAL_MAX + 1);
	texts(a.text);
	check(addr_parse(a.text, strlen(a.text), ADDR_BARE, &b, &again) == NULL && strcmp(a.text, b.text) == 0);
	bracketed[0] = '<';
	strcpy(bracketed + 1, a.text);
	strcat(bracketed, ">");
	if (a.text[a.domain] != '\0')
		check(addr_parse(bracketed, strlen(bracketed), ADDR_REVERSE, &b, &again) == NULL && again == strlen(bracketed));
}

int
LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	char *s, out[300], small[9];

	if (n == 0 || n > 4000)
		return 0;
	path((const char *)in + 1, n - 1, (enum addr_kind)(in[0] % 3));
	if (xtext_decode((const char *)in + 1, n - 1, out, sizeof out))
		check(utf8_clean(out, strlen(out)));
	s = strndup((const char *)in + 1, n - 1);
	(void)addr_valid_domain(s, true);
	addr_key(s, small, sizeof small, true);
	check(strlen(small) < sizeof small && strlen(addr_domain(s)) <= strlen(s));
	xtext_encode(s, small, sizeof small);
	check(strlen(small) < sizeof small);
	(void)addr_path_encode(s, small, sizeof small);
	free(s);
	return 0;
}
