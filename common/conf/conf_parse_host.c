/*
 * conf_parse_host: the statements about the host and the process: `hostname`, `domain`, `spool`, `runtime`, `log`, `resolver`,
 * `listeners`, and those that conf_host.c writes for the children (`.local-address`, `.me`).
 *
 * Called by conf_parse. Pure code: the host itself is asked by conf_host.c.
 */
#include <sys/un.h>
#include <stdio.h>
#include <string.h>
#include "mail/addr.h"
#include "conf/conf_parse.h"
#include "base/xmalloc.h"

bool
parse_hostname(struct parse *p)
{
	return conf_want_domain(p, &p->conf->hostname, "the full name of this host") && conf_want_end(p);
}

bool
parse_domain(struct parse *p)
{
	return conf_want_domain(p, &p->conf->domain, "a domain") && conf_want_end(p);
}

bool
parse_postmaster(struct parse *p)
{
	return conf_want_address(p, &p->conf->postmaster, "the address that gets root's and postmaster's mail") && conf_want_end(p);
}

bool
parse_spool(struct parse *p)
{
	return conf_want_path(p, &p->conf->spool) && conf_want_end(p);
}

bool
parse_runtime(struct parse *p)
{
	const struct conf_tok *t = conf_peek(p);

	if (!conf_want_path(p, &p->conf->runtime))
		return false;
	if (strlen(p->conf->runtime) + sizeof("/control.sock.new") > sizeof(((struct sockaddr_un *)0)->sun_path))
		return conf_bad(p, t, "this path is too long for the sockets in it; 90 bytes are the most");
	return conf_want_end(p);
}

static bool
log_format_opt(struct parse *p, void *obj)
{
	struct conf *c = obj;

	if (conf_accept(p, "text"))
		c->log_format = LOG_TEXT;
	else if (conf_accept(p, "json"))
		c->log_format = LOG_JSON;
	else
		return conf_expected(p, conf_peek(p), "text or json");
	return true;
}

static bool
log_level_opt(struct parse *p, void *obj)
{
	static const char *const names[] = {
		[LOG_LV_ERROR] = "error", [LOG_LV_WARN] = "warn", [LOG_LV_INFO] = "info", [LOG_LV_DEBUG] = "debug"
	};
	struct conf *c = obj;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (conf_accept(p, names[i])) {
			c->log_level = (enum log_level)i;
			return true;
		}
	}
	return conf_expected(p, conf_peek(p), "error, warn, info or debug");
}

bool
parse_log(struct parse *p)
{
	static const struct opt_row rows[] = { { "format", log_format_opt, 1 }, { "level", log_level_opt, 2 } };
	unsigned seen = 0;

	if (conf_accept(p, "syslog"))
		p->conf->log_kind = LOG_TO_SYSLOG;
	else if (conf_accept(p, "stderr"))
		p->conf->log_kind = LOG_TO_STDERR;
	else if (!conf_accept(p, "file"))
		return conf_expected(p, conf_peek(p), "syslog, stderr or file \"/path\"");
	else if (p->conf->log_kind = LOG_TO_FILE, !conf_want_path(p, &p->conf->log_path))
		return false;
	return conf_options(p, ROWS(rows), p->conf, &seen);
}

/* ADDRESS[@PORT] */
bool
parse_resolver(struct parse *p)
{
	struct conf *c = p->conf;
	struct sockaddr_storage ss;
	const char *s, *at;
	uint64_t port = 53;
	char addr[64];
	socklen_t len;

	do {
		if ((s = conf_want(p, "the address of a resolver, such as 127.0.0.1 or 127.0.0.1@5353")) == NULL)
			return false;
		at = strchr(s, '@');
		if (at != NULL && (conf_count(at + 1, &port) != NULL || port > 65535))
			return conf_bad(p, conf_last(p), "\"%s\": behind the @ stands a port from 1 to 65535", s);
		snprintf(addr, sizeof(addr), "%.*s", at != NULL ? (int)(at - s) : (int)strlen(s), s);
		if (!conf_address(addr, (uint16_t)port, &ss, &len))
			return conf_bad(p, conf_last(p), "\"%s\" is not the address of a resolver; write it like 127.0.0.1@5353", s);
		c->resolvers = conf_more(c->resolvers, c->nresolvers, sizeof(*c->resolvers));
		c->resolvers[c->nresolvers++] = xstrdup(s);
		while (conf_accept_kind(p, TOK_COMMA))
			;
	} while (conf_peek(p) != NULL);
	return true;
}

bool
parse_listeners(struct parse *p)
{
	const char *s = conf_want(p, "a number of processes");
	uint64_t n;

	if (s == NULL)
		return false;
	if (conf_count(s, &n) != NULL || n > 64)
		return conf_bad(p, conf_last(p), "\"%s\": from 1 to 64 listener processes are possible", s);
	p->conf->listeners = (unsigned)n;
	return conf_want_end(p);
}

/* ---- statements of ours, in the text for children ---- */

bool
parse_local_address(struct parse *p)
{
	struct conf *c = p->conf;
	const char *s;

	while (conf_peek(p) != NULL) {
		if ((s = conf_want(p, "an address")) == NULL)
			return false;
		c->local_addr = conf_more(c->local_addr, c->nlocal_addr, sizeof(*c->local_addr));
		c->local_addr[c->nlocal_addr++] = xstrdup(s);
	}
	return true;
}

bool
parse_me(struct parse *p)
{
	return conf_want_text(p, &p->conf->me, "an account") && conf_want_end(p);
}
