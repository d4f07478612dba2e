/*
 * conf_parse_action: `action NAME maildir | relay | discard ...`.
 *
 * Called by conf_parse, in two passes: first the name, which gets its index in the order of the file, then the rest. Pure code.
 */
#include <stdlib.h>
#include <string.h>
#include "mail/addr.h"
#include "conf/conf_parse.h"
#include "conf/match.h"
#include "base/xmalloc.h"

bool
parse_action_name(struct parse *p)
{
	struct conf *c = p->conf;
	const struct conf_tok *t = conf_peek(p);
	const char *name = conf_want_name(p, "action", conf_action);
	struct conf_action *a;

	if (name == NULL)
		return false;
	if (c->naction >= UINT16_MAX)
		return conf_bad(p, t, "too many actions");
	c->action = conf_more(c->action, c->naction, sizeof(*c->action));
	p->at.action = conf_more(p->at.action, c->naction, sizeof(*p->at.action));
	p->at.action[c->naction] = t->pos;
	a = &c->action[c->naction++];
	a->name = xstrdup(name);
	a->users = a->pool = -1;
	return true;
}

/* ---- maildir ---- */

static bool
path_variables(struct parse *p, const char *s)
{
	while ((s = strstr(s, "%{")) != NULL) {
		if (strncmp(s, "%{user}", 7) != 0 && strncmp(s, "%{domain}", 9) != 0)
			return conf_bad(p, conf_last(p), "\"%.20s\": only %%{user} and %%{domain} are known in a path", s);
		s += 2;
	}
	return true;
}

static bool
path_climbs(const char *s)
{
	for (; (s = strstr(s, "/..")) != NULL; s += 3)
		if (s[3] == '/' || s[3] == '\0')
			return true;
	return false;
}

static bool
maildir_path(struct parse *p, struct conf_action *a)
{
	const char *s = conf_want(p, "a path");

	if (s == NULL)
		return false;
	if (s[0] != '/' && strncmp(s, "~/", 2) != 0)
		return conf_bad(p, conf_last(p), "\"%s\": the path of a maildir begins with / or ~/", s);
	if (path_climbs(s))
		return conf_bad(p, conf_last(p), "\"%s\": .. may not stand in the path of a maildir", s);
	if (strlen(s) > 1024)
		return conf_bad(p, conf_last(p), "the path is too long; 1024 bytes are the most");
	free(a->path);
	a->path = xstrdup(s);
	return path_variables(p, s);
}

static bool
maildir_user(struct parse *p, void *obj)
{
	return conf_want_text(p, &((struct conf_action *)obj)->user, "an account");
}

static bool
maildir_users(struct parse *p, void *obj)
{
	struct conf_action *a = obj;

	if (a->user == NULL)
		return conf_bad(p, conf_last(p), "\"users\" goes with \"user ACCOUNT\" before it");
	return (a->users = conf_want_table(p)) != -1;
}

static const struct opt_row maildir_rows[] = {
	{ "user",		maildir_user,	1 },
	{ "users",		maildir_users,	2 },
	{ "alias",		NULL,		0 },
	{ "virtual",		NULL,		0 },
	{ "forward-file",	NULL,		0 },
};

static bool
action_maildir(struct parse *p, struct conf_action *a)
{
	const struct conf_tok *t = conf_peek(p);
	unsigned seen = 0;

	a->kind = ACTION_MAILDIR;
	free(a->path);		/* in a text for children two statements may claim one place, so this may be the second time */
	a->path = xstrdup("~/Maildir");
	if (t != NULL && (t->kind == TOK_STRING || (t->kind == TOK_WORD && (t->text[0] == '/' || t->text[0] == '~'))) &&
	    !maildir_path(p, a))
		return false;
	return conf_options(p, ROWS(maildir_rows), a, &seen);
}

/* ---- relay ---- */

/* HOST, HOST:PORT, [HOST], [HOST]:PORT; an IPv6 address stands in brackets. */
static bool
via_host(struct parse *p, const char *s, struct conf_via *via)
{
	const char *end = s[0] == '[' ? strchr(s, ']') : s + strcspn(s, ":");
	struct sockaddr_storage ss;
	const char *port = NULL;
	uint64_t n = 25;
	socklen_t len;

	if (end == NULL)
		return conf_bad(p, conf_last(p), "\"%s\": the ] is missing", s);
	via->literal = s[0] == '[';
	s += via->literal;
	via->host = xstrndup(s, (size_t)(end - s));
	end += via->literal;
	if (*end == ':')
		port = end + 1;
	if ((*end != '\0' && port == NULL) || (port != NULL && (conf_count(port, &n) != NULL || n > 65535)))
		return conf_bad(p, conf_last(p), "\"%s\": behind the host stands nothing or : and a port from 1 to 65535", end);
	via->port = (uint16_t)n;
	if (conf_address(via->host, 0, &ss, &len))
		return via->literal = true;
	if (!addr_valid_domain(via->host, false))
		return conf_bad(p, conf_last(p), "\"%s\" is neither a host name nor an address; an IPv6 address goes in [ ]", via->host);
	return true;
}

static bool
via_url(struct parse *p, struct conf_action *a)
{
	const struct conf_tok *t = conf_peek(p);
	const char *s = conf_want(p, "a smarthost, such as smtp://mail.example.org:25");

	if (s == NULL)
		return false;
	if (strncmp(s, "smtps://", 8) == 0 || strncmp(s, "smtp+tls://", 11) == 0)
		return conf_bad(p, t, "\"%.*s\" is not available yet; use smtp://", (int)strcspn(s, "/") + 2, s);
	if (strncmp(s, "smtp://", 7) != 0)
		return conf_bad(p, t, "\"%s\" is not a smarthost; write it like smtp://mail.example.org:25", s);
	if (strchr(s, '@') != NULL)
		return conf_bad(p, t, "\"%s\": LABEL@ (authentication at a smarthost) is not available yet; take it out", s);
	a->via = conf_more(a->via, a->nvia, sizeof(*a->via));
	return via_host(p, s + 7, &a->via[a->nvia++]);
}

static bool
relay_via(struct parse *p, void *obj)
{
	do {
		if (!via_url(p, obj))
			return false;
	} while (conf_accept_kind(p, TOK_COMMA));
	return true;
}

static bool
relay_pool(struct parse *p, void *obj)
{
	return (((struct conf_action *)obj)->pool = conf_want_pool(p)) != -1;
}

static const struct opt_row relay_rows[] = {
	{ "via",	relay_via,	1 },
	{ "pool",	relay_pool,	2 },
	{ "auth",	NULL,		0 },
	{ "tls",	NULL,		0 },
};

static bool
action_relay(struct parse *p, struct conf_action *a)
{
	unsigned seen = 0;

	a->kind = ACTION_RELAY;
	return conf_options(p, ROWS(relay_rows), a, &seen);
}

static bool
action_discard(struct parse *p, struct conf_action *a)
{
	a->kind = ACTION_DISCARD;
	return conf_want_end(p);
}

static const struct kind_row {
	const char	*word;
	bool		(*fn)(struct parse *, struct conf_action *);	/* NULL: not available yet */
} kinds[] = {
	{ "maildir",	action_maildir },
	{ "relay",	action_relay },
	{ "discard",	action_discard },
	{ "mbox",	NULL },
	{ "lmtp",	NULL },
	{ "pipe",	NULL },
};

bool
parse_action(struct parse *p)
{
	const struct conf_tok *name = conf_next(p), *t;
	struct conf_action *a;
	int i;

	if (name == NULL || (name->kind != TOK_WORD && name->kind != TOK_STRING) || (i = conf_action(p->conf, name->text)) == -1)
		return false;			/* the first pass has reported that */
	a = &p->conf->action[i];
	if (p->at.action[i].nr != name->pos.nr || p->at.action[i].line != name->pos.line || p->at.action[i].col != name->pos.col)
		return false;			/* likewise: a second one of that name */
	t = conf_next(p);
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		if (!conf_tok_is(t, kinds[k].word))
			continue;
		if (kinds[k].fn == NULL)
			return conf_bad(p, t, "\"%s\" is not available yet; use maildir, relay or discard", t->text);
		return kinds[k].fn(p, a);
	}
	return conf_expected(p, t, "maildir, relay or discard");
}
