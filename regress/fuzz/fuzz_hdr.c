/* links: */
/*
 * fuzz_hdr: header fields, and each value as an address list.
 * Fields tile the header; an address that is given has no control character and reads back as itself.
 */
#include <stdlib.h>
#include <string.h>
#include "mail/hdr.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check(bool ok)
{
	if (!ok)
		abort();
}

struct got {
	int		 count;
	const char	*want;		/* NULL: whatever comes is tried again */
};

static void
on_address(void *arg, const char *addr)
{
	struct got *g = arg, again = { 0, addr };

	g->count++;
	check(*addr != '\0' && strlen(addr) < 1000);
	for (const char *p = addr; *p != '\0'; p++)
		check((unsigned char)*p >= ' ' && *p != 0x7f);
	if (g->want != NULL)
		check(strcmp(addr, g->want) == 0);
	else
		check(hdr_addresses(addr, strlen(addr), on_address, &again) == 1 && again.count == 1);
}

static void
list(const char *value, size_t n)
{
	struct got g = { 0, NULL };
	int count = hdr_addresses(value, n, on_address, &g);

	check(count == -1 || count == g.count);
}

int
LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	const char *msg = (const char *)in;
	struct hdr_field f;
	size_t at = 0, before = 0;

	while (hdr_next(msg, n, &at, &f)) {
		check(f.name == msg + before && at == before + f.whole_len && f.name_len > 0 && at <= n);
		check(f.value > f.name && f.value + f.value_len <= msg + at && memchr(f.name, ':', f.name_len) == NULL);
		before = at;
		list(f.value, f.value_len);
		(void)hdr_is(&f, "Subject");
	}
	check(at == before);
	list(msg, n);
	return 0;
}
