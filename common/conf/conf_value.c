/*
 * conf_value: sizes, times, rates, counts, addresses and names as the configuration writes them.
 *
 * Called by the conf_parse family. Pure code. Numbers: NULL, or what is wrong in words for the report.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "conf/conf_parse.h"

struct unit {
	const char	*name;
	uint64_t	 factor;
};

#define VALUE_MAX	(1ULL << 50)

/* Digits, then one of the units. */
static const char *
number(const char *s, const struct unit *units, size_t n, uint64_t *out, const char *wrong)
{
	unsigned long long v;
	char *end;

	if (*s < '0' || *s > '9')
		return wrong;
	errno = 0;
	v = strtoull(s, &end, 10);
	if (errno != 0 || v > VALUE_MAX)
		return "the number is too large";
	for (size_t i = 0; i < n; i++) {
		if (strcmp(end, units[i].name) != 0)
			continue;
		if (v > VALUE_MAX / units[i].factor)
			return "the number is too large";
		*out = v * units[i].factor;
		return *out == 0 ? "it must be more than 0" : NULL;
	}
	return wrong;
}

const char *
conf_size(const char *s, uint64_t *out)
{
	static const struct unit units[] = {
		{ "", 1 }, { "K", 1 << 10 }, { "k", 1 << 10 }, { "M", 1 << 20 }, { "m", 1 << 20 }, { "G", 1 << 30 }, { "g", 1 << 30 }
	};

	return number(s, units, sizeof(units) / sizeof(units[0]), out, "a size is a number with K, M or G behind it, such as 35M");
}

const char *
conf_time(const char *s, uint64_t *out)
{
	static const struct unit units[] = {
		{ "ms", 1 }, { "s", 1000 }, { "m", 60 * 1000 }, { "h", 3600 * 1000 }, { "d", 24 * 3600 * 1000 }
	};
	const char *wrong = number(s, units, sizeof(units) / sizeof(units[0]), out,
	    "a time is a number with s, m, h or d behind it, such as 30s or 4h");

	if (wrong == NULL && *out > 3650ULL * 24 * 3600 * 1000)
		wrong = "more than ten years";
	return wrong;
}

const char *
conf_rate_hour(const char *s, uint64_t *out)
{
	static const struct unit units[] = { { "/s", 3600 }, { "/m", 60 }, { "/h", 1 } };

	return number(s, units, sizeof(units) / sizeof(units[0]), out, "a rate is a number with /s, /m or /h behind it, such as 600/m");
}

const char *
conf_rate(const char *s, uint64_t *out)
{
	uint64_t hour;
	const char *wrong = conf_rate_hour(s, &hour);

	if (wrong != NULL)
		return wrong;
	if (hour < 60)
		return "the least rate is 60/h";
	*out = (hour + 30) / 60;
	return *out > 1000000000 ? "the number is too large" : NULL;
}

const char *
conf_count(const char *s, uint64_t *out)
{
	static const struct unit units[] = { { "", 1 } };
	const char *wrong = number(s, units, 1, out, "a plain number is expected here");

	if (wrong == NULL && *out > 1000000000)
		wrong = "the number is too large";
	return wrong;
}

static bool
address6(const char *s, uint16_t port, struct sockaddr_storage *ss)
{
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)ss;
	const char *scope = strchr(s, '%');
	char addr[INET6_ADDRSTRLEN], *end;
	size_t n = scope != NULL ? (size_t)(scope - s) : strlen(s);

	if (n >= sizeof(addr))
		return false;
	memcpy(addr, s, n);
	addr[n] = '\0';
	if (inet_pton(AF_INET6, addr, &sin6->sin6_addr) != 1)
		return false;
	if (scope != NULL) {
		sin6->sin6_scope_id = (uint32_t)strtoul(scope + 1, &end, 10);
		if (end == scope + 1 || *end != '\0')
			return false;
	}
	sin6->sin6_family = AF_INET6;
	sin6->sin6_port = htons(port);
	return true;
}

bool
conf_address(const char *s, uint16_t port, struct sockaddr_storage *ss, socklen_t *len)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)ss;
	char plain[64];
	size_t n = strlen(s);

	memset(ss, 0, sizeof(*ss));
	if (n > 2 && n < sizeof(plain) && s[0] == '[' && s[n - 1] == ']') {
		memcpy(plain, s + 1, n - 2);
		plain[n - 2] = '\0';
		s = plain;
	}
	if (inet_pton(AF_INET, s, &sin->sin_addr) == 1) {
		sin->sin_family = AF_INET;
		sin->sin_port = htons(port);
		*len = sizeof(*sin);
		return true;
	}
	memset(ss, 0, sizeof(*ss));
	*len = sizeof(struct sockaddr_in6);
	return address6(s, port, ss);
}

bool
conf_valid_name(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

	return n > 0 && n <= 64 && s[n] == '\0';
}
