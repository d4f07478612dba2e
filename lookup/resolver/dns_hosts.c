/*
 * dns_hosts: reading /etc/hosts and /etc/resolv.conf. Called by dns; owns nothing. Lines that are malformed are passed over, as every
 * resolver does.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "mail/addr.h"
#include "resolver/dns_hosts.h"

#define NAMES_MAX 20000			/* of the whole file */
#define SERVERS_MAX 10

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

/* The descriptor stays the caller's; it is read from the beginning. */
static FILE *
open_again(int fd)
{
	int	 again;
	FILE	*f;

	if (fd == -1 || lseek(fd, 0, SEEK_SET) == -1 || (again = dup(fd)) == -1)
		return NULL;
	if ((f = fdopen(again, "r")) == NULL)
		close(again);
	return f;
}

unsigned
dns_servers_read(int fd, void (*cb)(void *, const char *), void *arg)
{
	char		 line[1024], *save, *word, *address;
	unsigned	 n = 0;
	FILE		*f = open_again(fd);

	while (f != NULL && n < SERVERS_MAX && fgets(line, sizeof(line), f) != NULL) {
		word = strtok_r(line, " \t\r\n", &save);
		if (word == NULL || strcmp(word, "nameserver") != 0 || (address = strtok_r(NULL, " \t\r\n", &save)) == NULL)
			continue;
		cb(arg, address);
		n++;
	}
	if (f != NULL)
		fclose(f);
	return n;
}

void
dns_hosts_read(int fd, void (*cb)(void *, const char *, const char *, bool), void *arg)
{
	char		*line = NULL;
	size_t		 size = 0;
	unsigned	 names = 0;
	FILE		*f;

	if ((f = open_again(fd)) == NULL)
		return;
	while (names < NAMES_MAX && getline(&line, &size, f) != -1)
		names += read_line(line, cb, arg);
	free(line);
	fclose(f);
}
