/*
 * dns_hosts: reading /etc/hosts. Called by dns; owns nothing. A file that is missing or lines that are malformed are
 * passed over, as every resolver does.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "addr.h"
#include "dns_hosts.h"

#define NAMES_MAX 20000			/* of the whole file */

static bool
usable_address(const char *s)
{
	struct in6_addr	 a6;
	struct in_addr	 a4;

	if (inet_pton(AF_INET, s, &a4) == 1)
		return a4.s_addr != INADDR_ANY;
	return inet_pton(AF_INET6, s, &a6) == 1 && !IN6_IS_ADDR_UNSPECIFIED(&a6);
}

static bool
usable_name(const char *s)
{
	return strcasecmp(s, "localhost") != 0 && addr_valid_domain(s, false);
}

static unsigned
read_line(char *line, void (*cb)(void *, const char *, const char *, bool), void *arg)
{
	char		*save, *address, *name;
	unsigned	 names = 0;

	line[strcspn(line, "#\n")] = '\0';
	if ((address = strtok_r(line, " \t\r", &save)) == NULL || !usable_address(address))
		return 0;
	while ((name = strtok_r(NULL, " \t\r", &save)) != NULL)
		if (usable_name(name))
			cb(arg, address, name, names++ == 0);
	return names;
}

void
dns_hosts_read(const char *file, void (*cb)(void *, const char *, const char *, bool), void *arg)
{
	char		*line = NULL;
	size_t		 size = 0;
	unsigned	 names = 0;
	FILE		*f;

	if ((f = fopen(file, "re")) == NULL)
		return;
	while (names < NAMES_MAX && getline(&line, &size, f) != -1)
		names += read_line(line, cb, arg);
	free(line);
	fclose(f);
}
