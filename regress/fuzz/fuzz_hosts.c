/* links: lookup/resolver/dns_hosts.c */
/*
 * fuzz_hosts: /etc/hosts and /etc/resolv.conf with any content. What is told is an address and a name that may be used; the descriptor stays
 * open, and reading it again tells the same.
 */
#include <sys/mman.h>
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "mail/addr.h"
#include "resolver/dns_hosts.h"

#define SERVERS_MAX	10
#define TWICE_MAX	65536

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct told {
	size_t	 names, bytes, servers;
};

static void
check(bool ok)
{
	if (!ok)
		abort();
}

static bool
address(const char *s)
{
	uint8_t ip[16];

	return inet_pton(AF_INET, s, ip) == 1 || inet_pton(AF_INET6, s, ip) == 1;
}

static void
host(void *arg, const char *addr, const char *name, bool first)
{
	struct told *t = arg;

	check(address(addr) && strcmp(addr, "0.0.0.0") != 0 && strcmp(addr, "::") != 0);
	check(addr_valid_domain(name, false) && strcasecmp(name, "localhost") != 0);
	check(t->names > 0 || first);
	t->names++;
	t->bytes += strlen(name);
}

static void
server(void *arg, const char *addr)
{
	check(*addr != '\0' && strpbrk(addr, " \t\r\n") == NULL);
	((struct told *)arg)->servers++;
}

static struct told
both(int fd)
{
	struct told t = { 0, 0, 0 };

	dns_hosts_read(fd, host, &t);
	check(dns_servers_read(fd, server, &t) == t.servers && t.servers <= SERVERS_MAX);
	return t;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static int fd = -1;
	struct told a, b;

	if (n > TWICE_MAX)
		return 0;
	if (fd == -1)
		fd = memfd_create("hosts", MFD_CLOEXEC);
	check(fd != -1 && ftruncate(fd, 0) == 0 && pwrite(fd, p, n, 0) == (ssize_t)n);
	a = both(fd);
	b = both(fd);
	check(a.names == b.names && a.bytes == b.bytes && a.servers == b.servers);
	return 0;
}
