/*
 * conf_host: what only the host knows, written into the configuration as if the administrator had: the names of interfaces and
 * services as addresses and ports, the host's own name, domain, addresses and CPUs, and who runs us.
 *
 * Called by conf_load (parent, posternd -n) alone. Children get the result as text and ask the host nothing. Errors are
 * reported like those of the file.
 */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "proc/account.h"
#include "mail/addr.h"
#include "conf/conf_lex.h"
#include "base/xmalloc.h"

#define MAILNAME "/etc/mailname"

static struct conf_stmt *
add(struct conf_unit *u, const struct conf_pos *pos, const char *word, const char *value)
{
	struct conf_stmt *st = conf_stmt_new(&u->stmts);

	conf_tok_add(st, TOK_WORD, word, strlen(word), pos);
	if (value != NULL)
		conf_tok_add(st, TOK_WORD, value, strlen(value), pos);
	return st;
}

static bool
has(const struct conf_unit *u, const char *word)
{
	for (size_t i = 0; i < u->stmts.n; i++)
		if (conf_tok_is(&u->stmts.v[i].v[0], word))
			return true;
	return false;
}

/* ---- names and addresses ---- */

/* The full name: what gethostname says, or the canonical name that /etc/hosts (or the DNS) has for it. */
static char *
full_name(void)
{
	struct addrinfo hints = { .ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM }, *ai = NULL;
	char name[256], *full = NULL;

	if (gethostname(name, sizeof(name)) == -1 || !addr_valid_domain(name, false))
		return xstrdup("localhost");
	if (strchr(name, '.') == NULL && getaddrinfo(name, NULL, &hints, &ai) == 0) {
		if (ai->ai_canonname != NULL && strchr(ai->ai_canonname, '.') != NULL && addr_valid_domain(ai->ai_canonname, false))
			full = xstrdup(ai->ai_canonname);
		freeaddrinfo(ai);
	}
	return full != NULL ? full : xstrdup(name);
}

/* The first line of /etc/mailname. NULL: none that is a domain. */
static char *
mailname(void)
{
	char line[512], *name = NULL;
	FILE *f = fopen(MAILNAME, "re");

	if (f == NULL)
		return NULL;
	if (fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, " \t\r\n")] = '\0';
		if (addr_valid_domain(line, false))
			name = xstrdup(line);
	}
	fclose(f);
	return name;
}

static const char *
addr_text(const struct sockaddr *sa, char *out, size_t size)
{
	const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)(const void *)sa;
	char text[INET6_ADDRSTRLEN];

	if (sa->sa_family == AF_INET)
		return inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, out, (socklen_t)size);
	if (sa->sa_family != AF_INET6 || inet_ntop(AF_INET6, &sin6->sin6_addr, text, sizeof(text)) == NULL)
		return NULL;
	if (sin6->sin6_scope_id != 0)
		snprintf(out, size, "%s%%%u", text, sin6->sin6_scope_id);
	else
		snprintf(out, size, "%s", text);
	return out;
}

static void
add_names(struct conf_unit *u, const struct conf_pos *pos)
{
	char *host, *domain;

	if (!has(u, "hostname")) {
		host = full_name();
		add(u, pos, "hostname", host);
		free(host);
	}
	if (!has(u, "domain") && (domain = mailname()) != NULL) {	/* without one it is the hostname */
		add(u, pos, "domain", domain);
		free(domain);
	}
}

static void
add_addresses(struct conf_unit *u, const struct conf_pos *pos, const struct ifaddrs *ifs)
{
	struct conf_stmt *st = NULL;
	char text[80];

	for (; ifs != NULL; ifs = ifs->ifa_next) {
		if (ifs->ifa_addr == NULL || addr_text(ifs->ifa_addr, text, sizeof(text)) == NULL)
			continue;
		text[strcspn(text, "%")] = '\0';
		if (st == NULL)
			st = add(u, pos, ".local-address", NULL);
		conf_tok_add(st, TOK_WORD, text, strlen(text), pos);
	}
}

static void
add_me(struct conf_unit *u, const struct conf_pos *pos)
{
	const struct passwd *pw;
	char uid[16];

	if (geteuid() == 0)
		return;
	pw = getpwuid(geteuid());
	snprintf(uid, sizeof(uid), "%u", (unsigned)geteuid());
	add(u, pos, ".me", pw != NULL ? pw->pw_name : uid);
}

static void
add_listeners(struct conf_unit *u, const struct conf_pos *pos)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	char text[16];

	snprintf(text, sizeof(text), "%ld", n < 1 ? 1 : n > 64 ? 64 : n);
	add(u, pos, "listeners", text);
}

/* ---- listen ---- */

static void
set_text(struct conf_tok *t, const char *text)
{
	free(t->text);
	t->text = xstrdup(text);
}

/* `port NAME`: getservbyname. submission and smtps stay, as they mean more than a number. */
static void
resolve_port(struct conf_stmt *st)
{
	const struct servent *se;
	struct conf_tok *t;
	char text[16];

	for (size_t i = 3; i + 1 < st->n; i++) {
		t = &st->v[i + 1];
		if (!conf_tok_is(&st->v[i], "port") || t->text == NULL || strcmp(t->text, "submission") == 0 || strcmp(t->text, "smtps") == 0)
			continue;
		if ((se = getservbyname(t->text, "tcp")) == NULL)
			continue;
		snprintf(text, sizeof(text), "%u", ntohs((uint16_t)se->s_port));
		set_text(t, text);
	}
}

static bool
have_ipv6(void)
{
	return access("/proc/net/if_inet6", F_OK) == 0;
}

/* fe80::1%eth0 -> fe80::1%2 */
static void
resolve_scope(struct conf_tok *t)
{
	char *scope = strchr(t->text, '%'), *text;
	unsigned n;

	if (scope == NULL || (n = if_nametoindex(scope + 1)) == 0)
		return;
	text = xasprintf("%.*s%%%u", (int)(scope - t->text), t->text, n);
	free(t->text);
	t->text = text;
}

static void
copy_with(struct conf_stmts *out, const struct conf_stmt *st, const char *where)
{
	struct conf_stmt *copy = conf_stmt_new(out);
	const char *text;

	for (size_t i = 0; i < st->n; i++) {
		text = i == 2 && where != NULL ? where : st->v[i].text;
		conf_tok_add(copy, st->v[i].kind, text, text == NULL ? 0 : strlen(text), &st->v[i].pos);
	}
}

/* An interface becomes one statement for each of its addresses; anything else is copied as it stands. */
static void
resolve_listen(struct conf_stmts *out, struct conf_stmt *st, const struct ifaddrs *ifs)
{
	struct conf_tok *where = st->n > 2 ? &st->v[2] : NULL;
	unsigned found = 0;
	char text[80];

	resolve_port(st);
	if (where == NULL || where->text == NULL || conf_tok_is(where, "socket")) {
		copy_with(out, st, NULL);
		return;
	}
	if (conf_tok_is(where, "all")) {
		copy_with(out, st, have_ipv6() ? NULL : "0.0.0.0");
		return;
	}
	resolve_scope(where);
	for (; ifs != NULL; ifs = ifs->ifa_next) {
		if (ifs->ifa_addr == NULL || strcmp(ifs->ifa_name, where->text) != 0 || addr_text(ifs->ifa_addr, text, sizeof(text)) == NULL)
			continue;
		copy_with(out, st, text);
		found++;
	}
	if (found == 0)
		copy_with(out, st, NULL);
}

static void
resolve_listeners(struct conf_unit *u, const struct ifaddrs *ifs)
{
	struct conf_stmts out = { 0 };

	for (size_t i = 0; i < u->stmts.n; i++) {
		if (conf_tok_is(&u->stmts.v[i].v[0], "listen"))
			resolve_listen(&out, &u->stmts.v[i], ifs);
		else
			copy_with(&out, &u->stmts.v[i], NULL);
	}
	conf_stmts_free(&u->stmts);
	u->stmts = out;
}

/* ---- checks that need the host ---- */

static void
check_account(struct conf_unit *u, const struct conf_tok *t)
{
	const struct passwd *pw;

	if (t->text == NULL)
		return;
	if (account_get(t->text, &pw) == 1 && account_kind(pw, 0) == ACCOUNT_NEVER)
		conf_report(u, &t->pos, false, "nothing is delivered as \"%s\": neither root nor an account of Postern's; name another", t->text);
	else if (getpwnam(t->text) == NULL)
		conf_report(u, &t->pos, false, "there is no account \"%s\" on this host; make it, or name another", t->text);
}

static void
check_accounts(struct conf_unit *u)
{
	const struct conf_stmt *st;

	account_refresh();
	for (size_t i = 0; i < u->stmts.n; i++) {
		st = &u->stmts.v[i];
		for (size_t k = 3; conf_tok_is(&st->v[0], "action") && k + 1 < st->n; k++)
			if (conf_tok_is(&st->v[k], "user"))
				check_account(u, &st->v[k + 1]);
	}
}

void
conf_host(struct conf_unit *u)
{
	struct conf_pos pos = { .file = NULL };
	struct ifaddrs *ifs = NULL;

	pos.file = conf_unit_file(u, "(host)", &pos.nr);
	if (getifaddrs(&ifs) == -1)
		ifs = NULL;
	resolve_listeners(u, ifs);
	add_names(u, &pos);
	add_addresses(u, &pos, ifs);
	add_me(u, &pos);
	if (!has(u, "listeners"))
		add_listeners(u, &pos);
	if (ifs != NULL)
		freeifaddrs(ifs);
	if (geteuid() == 0)
		check_accounts(u);
}
