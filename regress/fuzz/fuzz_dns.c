/*
 * links: lookup/resolver/dns_parse.c
 * Record data of any kind: no crash, and a name that is taken is a clean one.
 */
#include <sys/socket.h>
#include <stdlib.h>
#include <string.h>
#include "resolver/dns_parse.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check_name(const char *name)
{
	if (strlen(name) > DNS_NAME_MAX || strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != strlen(name))
		abort();
	if (name[0] == '.' || strstr(name, "..") != NULL || (name[0] != '\0' && name[strlen(name) - 1] == '.'))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct blob	 b = { p, n };
	struct dns_mx	 mx;
	char		 name[DNS_NAME_MAX + 1], address[INET6_ADDRSTRLEN], *text;
	int		 family;

	if (dns_parse_name(b, name))
		check_name(name);
	if (dns_parse_mx(b, &mx))
		check_name(mx.host);
	dns_says_no_data(b, n > 0 ? p[n - 1] : 0);
	dns_parse_address(AF_INET, b, address);
	dns_parse_address(AF_INET6, b, address);
	if ((text = malloc(n + 1)) == NULL)
		return 0;
	memcpy(text, p, n);
	text[n] = '\0';
	if (dns_reverse(text, name, &family))
		check_name(name);
	free(text);
	return 0;
}
