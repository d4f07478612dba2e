/*
 * source: see source.h. Owns the sources. An address that is not on this host is no error of a message: it is logged
 * when that is found and when it is over, and passed over meanwhile.
 */
#include <netinet/in.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "client/source.h"
#include "base/xmalloc.h"

TAILQ_HEAD(source_list, source);

static struct {
	struct source_list	 all;
	struct source		**now;		/* by index in the configuration; held */
	size_t			 n;
	char			**suspended;	/* their names */
	size_t			 n_suspended;
} sources = { .all = TAILQ_HEAD_INITIALIZER(sources.all) };

static socklen_t
length(const struct source_address *a)
{
	return a->ss.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static void
note(const struct source *s, struct source_address *a, bool here)
{
	char text[46];

	if (a->here == here)
		return;
	a->here = here;
	mx_address((const struct sockaddr *)&a->ss, text, sizeof text);
	if (here)
		log_info("source %s: %s is on this host again", s->name, text);
	else
		log_error("source %s: %s is not an address of this host; nothing is sent from it", s->name, text);
}

static void
probe(const struct source *s, struct source_address *a)
{
	int fd;

	if (a->ss.ss_family == AF_UNSPEC || (fd = socket(a->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		return;
	note(s, a, bind(fd, (const struct sockaddr *)&a->ss, length(a)) == 0 || errno != EADDRNOTAVAIL);
	close(fd);
}

static char *
key_of(const struct conf_source *c)
{
	char in4[46] = "-", in6[46] = "-";

	if (c->in4.ss_family != AF_UNSPEC)
		mx_address((const struct sockaddr *)&c->in4, in4, sizeof in4);
	if (c->in6.ss_family != AF_UNSPEC)
		mx_address((const struct sockaddr *)&c->in6, in6, sizeof in6);
	return xasprintf("%s %s %s %s", c->name, in4, in6, c->helo != NULL ? c->helo : "-");
}

static bool
is_suspended(const char *name)
{
	size_t i;

	for (i = 0; i < sources.n_suspended; i++)
		if (strcmp(sources.suspended[i], name) == 0)
			return true;
	return false;
}

static struct source *
find(const struct conf_source *c)
{
	char *key = key_of(c);
	struct source *s;

	TAILQ_FOREACH(s, &sources.all, entry)
		if (strcmp(s->key, key) == 0) {
			free(key);
			return s;
		}
	s = xcalloc(1, sizeof *s);
	s->key = key;
	s->name = xstrdup(c->name);
	s->helo = c->helo != NULL ? xstrdup(c->helo) : NULL;
	s->suspended = is_suspended(s->name);
	s->in4 = (struct source_address){ c->in4, true };
	s->in6 = (struct source_address){ c->in6, true };
	TAILQ_INSERT_TAIL(&sources.all, s, entry);
	return s;
}

void
source_conf(const struct conf *conf)
{
	struct source **now = xcalloc(conf->nsource + 1, sizeof *now);
	size_t i;

	for (i = 0; i < conf->nsource; i++) {
		now[i] = find(&conf->source[i]);
		source_hold(now[i]);
	}
	for (i = 0; i < sources.n; i++)
		source_drop(sources.now[i]);
	free(sources.now);
	sources.now = now;
	sources.n = conf->nsource;
	source_sweep();
}

void
source_sweep(void)
{
	struct source *s;

	TAILQ_FOREACH(s, &sources.all, entry) {
		probe(s, &s->in4);
		probe(s, &s->in6);
	}
}

void
source_suspend(const struct p_sources *p)
{
	struct source *s;
	size_t i;

	for (i = 0; i < sources.n_suspended; i++)
		free(sources.suspended[i]);
	sources.suspended = xreallocarray(sources.suspended, p->sources_n + 1, sizeof *sources.suspended);
	sources.n_suspended = p->sources_n;
	for (i = 0; i < p->sources_n; i++)
		sources.suspended[i] = xstrdup(p->sources[i].name);
	TAILQ_FOREACH(s, &sources.all, entry)
		s->suspended = is_suspended(s->name);
}

bool
source_suspended(const struct source *s)
{
	return s != NULL && s->suspended;
}

struct source *
source_of(unsigned index)
{
	return sources.now[index];
}

bool
source_has(const struct source *s, int family)
{
	const struct source_address *a = family == AF_INET6 ? &s->in6 : &s->in4;

	return a->ss.ss_family == family && a->here;
}

bool
source_reaches(const struct source *s, const struct mx_set *set)
{
	return (source_has(s, AF_INET) && mx_has_family(set, AF_INET)) || (source_has(s, AF_INET6) && mx_has_family(set, AF_INET6));
}

int
source_bind(struct source *s, int fd, int family)
{
	struct source_address *a = family == AF_INET6 ? &s->in6 : &s->in4;
	int on = 1, err;

	/* The port is chosen by connect, which knows the other side: there are far more of them then. */
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	if (bind(fd, (const struct sockaddr *)&a->ss, length(a)) == 0)
		return 0;
	err = errno;
	if (err == EADDRNOTAVAIL)
		note(s, a, false);
	errno = err;
	return -1;
}

void
source_hold(struct source *s)
{
	s->held++;
}

void
source_drop(struct source *s)
{
	if (s == NULL || --s->held > 0)
		return;
	TAILQ_REMOVE(&sources.all, s, entry);
	free(s->key);
	free(s->name);
	free(s->helo);
	free(s);
}
