/*
 * dns_parse: the rdata of MX, PTR, A and AAAA records, and reverse names. Called by mx_query and dns_ptr; owns nothing; what
 * is malformed is false and nothing else.
 */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <stdio.h>
#include <string.h>
#include "resolver/dns_parse.h"

static bool
is_host_octet(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* One label of n octets at p, folded to lower case, to out + *at with a dot in front if it is not the first. */
static bool
add_label(const uint8_t *p, size_t n, char *out, size_t *at)
{
	size_t	 i;

	if (n > 63 || *at + n + 1 > DNS_NAME_MAX + (*at == 0))
		return false;
	if (*at > 0)
		out[(*at)++] = '.';
	for (i = 0; i < n; i++) {
		if (!is_host_octet(p[i]))
			return false;
		out[(*at)++] = p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] + 'a' - 'A') : (char)p[i];
	}
	return true;
}

bool
dns_parse_name(struct blob b, char out[DNS_NAME_MAX + 1])
{
	size_t	 n, at = 0, i = 0;

	out[0] = '\0';
	while (i < b.len && (n = b.p[i]) != 0) {
		i++;
		if (n > b.len - i || !add_label(b.p + i, n, out, &at)) {
			out[0] = '\0';
			return false;
		}
		i += n;
	}
	out[i < b.len ? at : 0] = '\0';
	return i + 1 == b.len;			/* the root label is the last octet */
}

bool
dns_parse_mx(struct blob b, struct dns_mx *mx)
{
	if (b.len < 3)
		return false;
	mx->preference = (uint16_t)(b.p[0] << 8 | b.p[1]);
	return dns_parse_name((struct blob){ b.p + 2, b.len - 2 }, mx->host);
}

bool
dns_parse_address(int family, struct blob b, char out[INET6_ADDRSTRLEN])
{
	size_t	 want = family == AF_INET ? 4 : 16;

	return b.len == want && inet_ntop(family, b.p, out, INET6_ADDRSTRLEN) != NULL;
}

/* Behind the name at i, 0: it does not end. A pointer is its end. */
static size_t
skip_name(struct blob b, size_t i)
{
	while (i < b.len) {
		if (b.p[i] >= 0xc0)
			return i + 2;
		if (b.p[i] == 0)
			return i + 1;
		i += 1 + (size_t)b.p[i];
	}
	return 0;
}

static unsigned
u16_at(struct blob b, size_t i)
{
	return (unsigned)b.p[i] << 8 | b.p[i + 1];
}

bool
dns_says_no_data(struct blob b, unsigned type)
{
	unsigned questions, answers;
	size_t	 i = 12;

	if (b.p == NULL || b.len < i || (b.p[2] & 0x02) != 0)	/* TC */
		return false;
	questions = u16_at(b, 4);
	answers = u16_at(b, 6);
	for (; questions > 0; questions--) {
		if ((i = skip_name(b, i)) == 0 || i + 4 > b.len)
			return false;
		i += 4;
	}
	for (; answers > 0; answers--) {
		if ((i = skip_name(b, i)) == 0 || i + 10 > b.len || u16_at(b, i) == type)
			return false;
		i += 10 + u16_at(b, i + 8);
	}
	return i <= b.len;
}

static void
reverse4(const uint8_t *a, char *out)
{
	snprintf(out, DNS_NAME_MAX + 1, "%u.%u.%u.%u.in-addr.arpa", a[3], a[2], a[1], a[0]);
}

static void
reverse6(const uint8_t *a, char *out)
{
	static const char	 hex[] = "0123456789abcdef";
	int			 i;

	for (i = 15; i >= 0; i--) {
		*out++ = hex[a[i] & 15];
		*out++ = '.';
		*out++ = hex[a[i] >> 4];
		*out++ = '.';
	}
	strcpy(out, "ip6.arpa");
}

bool
dns_reverse(const char *address, char out[DNS_NAME_MAX + 1], int *family)
{
	struct in6_addr	 a6;
	struct in_addr	 a4;

	*family = AF_INET;
	if (inet_pton(AF_INET, address, &a4) == 1) {
		reverse4((const uint8_t *)&a4, out);
		return true;
	}
	if (inet_pton(AF_INET6, address, &a6) != 1)
		return false;
	if (IN6_IS_ADDR_V4MAPPED(&a6)) {
		reverse4(a6.s6_addr + 12, out);
		return true;
	}
	*family = AF_INET6;
	reverse6(a6.s6_addr, out);
	return true;
}
