/*
 * conf_parse_listen: `listen on ADDRESS | all | socket ...`.
 *
 * Called by conf_parse. Pure code: names of interfaces and services were made addresses and numbers by conf_host before.
 * The submission socket is always there, and always the last listener.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mail/addr.h"
#include "conf/conf_parse.h"
#include "base/xmalloc.h"

struct listen_opts {
	struct conf_listen	 l;
	uint16_t		 port;
	bool			 port_given;
};

static bool
opt_port(struct parse *p, void *obj)
{
	struct listen_opts *o = obj;
	const struct conf_tok *t = conf_peek(p);
	const char *s = conf_want(p, "a port or the name of a service");
	uint64_t port = 25;

	if (s == NULL)
		return false;
	if (strcmp(s, "submission") == 0 || strcmp(s, "smtps") == 0)
		return conf_bad(p, t, "\"port %s\" is not available yet, as it needs TLS and AUTH; take it out", s);
	if (strcmp(s, "smtp") != 0 && (conf_count(s, &port) != NULL || port > 65535))
		return conf_bad(p, t, "\"%s\" is neither a port from 1 to 65535 nor the name of a service on this host", s);
	o->port = (uint16_t)port;
	o->port_given = true;
	return true;
}

static bool
opt_hostname(struct parse *p, void *obj)
{
	return conf_want_domain(p, &((struct listen_opts *)obj)->l.hostname, "a host name");
}

static bool
opt_tag(struct parse *p, void *obj)
{
	struct listen_opts *o = obj;
	const char *s = conf_want(p, "a tag");

	if (s == NULL)
		return false;
	if (!conf_valid_name(s))
		return conf_bad(p, conf_last(p), "\"%s\" cannot be a tag; use letters, digits, - _ and .", s);
	o->l.tag = xstrdup(s);
	return true;
}

static bool
opt_normalise(struct parse *p, void *obj)
{
	struct listen_opts *o = obj;

	(void)p;
	o->l.normalise = true;
	return true;
}

static bool
opt_no_tls(struct parse *p, void *obj)
{
	(void)p, (void)obj;
	return true;
}

static bool
opt_banner(struct parse *p, void *obj)
{
	struct listen_opts *o = obj;
	const char *s = conf_want(p, "the banner's text");

	if (s == NULL)
		return false;
	if (strlen(s) > 200)
		return conf_bad(p, conf_last(p), "the banner is too long; 200 bytes are the most");
	for (const char *q = s; *q != '\0'; q++)
		if (*q < 0x20 || *q > 0x7e)
			return conf_bad(p, conf_last(p), "the banner may only have printable ASCII characters");
	o->l.banner = xstrdup(s);
	return true;
}

static const struct opt_row listen_rows[] = {
	{ "port",	opt_port,	1 },
	{ "hostname",	opt_hostname,	2 },
	{ "tag",	opt_tag,	4 },
	{ "normalise",	opt_normalise,	8 },
	{ "banner",	opt_banner,	16 },
	{ "no-tls",	opt_no_tls,	32 },
	{ "smtps",	NULL,		0 },
	{ "tls",	NULL,		0 },
	{ "pki",	NULL,		0 },
	{ "auth",	NULL,		0 },
	{ "proxy",	NULL,		0 },
};

static char *
listen_text(const struct sockaddr_storage *ss, uint16_t port)
{
	char addr[INET6_ADDRSTRLEN];
	const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)ss;

	if (ss->ss_family == AF_INET) {
		inet_ntop(AF_INET, &((const struct sockaddr_in *)ss)->sin_addr, addr, sizeof(addr));
		return xasprintf("%s:%u", addr, port);
	}
	inet_ntop(AF_INET6, &sin6->sin6_addr, addr, sizeof(addr));
	if (sin6->sin6_scope_id != 0)
		return xasprintf("[%s%%%u]:%u", addr, sin6->sin6_scope_id, port);
	return xasprintf("[%s]:%u", addr, port);
}

static struct conf_listen *
listen_add(struct parse *p, const struct conf_listen *from, const struct conf_pos *pos)
{
	struct conf *c = p->conf;
	struct conf_listen *l;

	c->listen = conf_more(c->listen, c->nlisten, sizeof(*c->listen));
	p->at.listen = conf_more(p->at.listen, c->nlisten, sizeof(*p->at.listen));
	p->at.listen[c->nlisten] = *pos;
	l = &c->listen[c->nlisten++];
	*l = *from;
	l->hostname = from->hostname == NULL ? NULL : xstrdup(from->hostname);
	l->tag = from->tag == NULL ? NULL : xstrdup(from->tag);
	l->banner = from->banner == NULL ? NULL : xstrdup(from->banner);
	return l;
}

static struct conf_listen *
listen_unix(struct parse *p, const struct conf_listen *from, const struct conf_pos *pos)
{
	struct conf_listen *l = listen_add(p, from, pos);

	l->sa.ss_family = AF_UNIX;
	l->salen = sizeof(sa_family_t);
	l->text = xstrdup("submit.sock");
	return l;
}

static bool
listen_on(struct parse *p, const struct conf_tok *where, struct listen_opts *o)
{
	static const char *const all[] = { "0.0.0.0", "::" };
	const char *const one[] = { where->text };
	bool is_all = conf_tok_is(where, "all");
	struct conf_listen *l;

	if (conf_tok_is(where, "socket")) {
		if (o->port_given)
			return conf_bad(p, where, "the socket has no port; take that out");
		for (size_t i = 0; i < p->conf->nlisten; i++)
			if (p->conf->listen[i].sa.ss_family == AF_UNIX)
				return conf_bad(p, where, "the socket is already listened on by the statement in line %u; take one out",
				    p->at.listen[i].line);
		listen_unix(p, &o->l, &where->pos);
		return true;
	}
	for (size_t i = 0; i < (is_all ? 2 : 1); i++) {
		l = listen_add(p, &o->l, &where->pos);
		if (!conf_address(is_all ? all[i] : one[0], o->port, &l->sa, &l->salen)) {
			l->sa.ss_family = AF_UNSPEC;
			return conf_bad(p, where, "\"%s\" is neither an address nor an interface of this host; or write all, or socket",
			    where->text);
		}
		l->text = listen_text(&l->sa, o->port);
	}
	return true;
}

bool
parse_listen(struct parse *p)
{
	struct listen_opts o = { .port = 25 };
	const struct conf_tok *where;
	unsigned seen = 0;
	bool ok;

	if (!conf_accept(p, "on"))
		return conf_expected(p, conf_peek(p), "on");
	where = conf_peek(p);
	if (conf_want(p, "an address, an interface, all or socket") == NULL)
		return false;
	ok = conf_options(p, ROWS(listen_rows), &o, &seen);
	ok = ok && listen_on(p, where, &o);
	free(o.l.hostname);
	free(o.l.tag);
	free(o.l.banner);
	return ok;
}

/* The submission socket goes to the end, or is added. */
void
conf_finish(struct parse *p)
{
	static const struct conf_listen none;
	static const struct conf_pos nowhere;
	struct conf *c = p->conf;
	struct conf_listen l;
	struct conf_pos pos;
	size_t i;

	for (i = 0; i < c->nlisten && c->listen[i].sa.ss_family != AF_UNIX; i++)
		;
	if (i == c->nlisten) {
		listen_unix(p, &none, &nowhere);
		return;
	}
	l = c->listen[i];
	pos = p->at.listen[i];
	for (; i + 1 < c->nlisten; i++) {
		c->listen[i] = c->listen[i + 1];
		p->at.listen[i] = p->at.listen[i + 1];
	}
	c->listen[i] = l;
	p->at.listen[i] = pos;
}
