/*
 * control_explain: explain ADDRESS [from=ADDRESS] [client=ADDRESS] [tag=NAME] [helo=NAME] [auth]: what would become of such mail.
 *
 * Called by control_verbs. The question goes the way of every recipient (route.c, with lookup's answers); the client waits meanwhile and
 * may be gone when the answer comes, so it is remembered by its number. MX hosts are deliver's to ask for: here is said whose.
 */
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include "addr.h"
#include "child.h"
#include "control_explain.h"
#include "route.h"
#include "sched.h"
#include "show.h"
#include "suspend.h"
#include "xmalloc.h"

struct question {
	uint32_t	 client;
	char		*addr;
};

/* ---- words ---- */

static bool
set_client(struct match_facts *f, struct sockaddr_storage *ss, const char *text)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1)
		ss->ss_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1)
		ss->ss_family = AF_INET6;
	else
		return false;
	f->client = (const struct sockaddr *)ss;
	f->socket = false;
	return true;
}

/* Without the <> that it may stand in, which are cut off. */
static const char *
bare(char *word)
{
	size_t n;
	const char *inside = addr_inside(word, &n);

	word[(size_t)(inside - word) + n] = '\0';
	return inside;
}

static bool
take(struct match_facts *f, struct sockaddr_storage *ss, char *word)
{
	if (strncmp(word, "from=", 5) == 0)
		f->mail_from = bare(word + 5);
	else if (strncmp(word, "tag=", 4) == 0)
		f->tag = word + 4;
	else if (strncmp(word, "helo=", 5) == 0)
		f->helo = word + 5;
	else if (strcmp(word, "auth") == 0)
		f->auth = true;
	else
		return strncmp(word, "client=", 7) == 0 && set_client(f, ss, word + 7);
	return true;
}

/* ---- the answer ---- */

/* "smarthost one.test:25, two.test:25", "the MX hosts of example.org", ... */
static void
hosts(struct buf *b, const struct conf_action *a, const char *domain)
{
	size_t i;

	if (a->kind == ACTION_DISCARD)
		buf_adds(b, "thrown away");
	else if (a->kind == ACTION_MAILDIR)
		buf_addf(b, "mailbox %s on this host", a->path != NULL ? a->path : "~/Maildir");
	else if (a->nvia == 0 && *domain == '[')
		buf_addf(b, "the host %s", domain);
	else if (a->nvia == 0)
		buf_addf(b, "the MX hosts of %s, or else its addresses", domain);
	for (i = 0; i < a->nvia; i++)
		buf_addf(b, "%s%s%s:%u", i > 0 ? ", else " : "smarthost ", a->via[i].host, a->via[i].literal ? "" : " (its MX hosts)",
		    a->via[i].port);
}

static const char *
halted(const char *domain)
{
	if (suspend_has(domain))
		return "suspended";
	return sched_paused() ? "paused" : "running";
}

static void
field(struct buf *b, const char *name, const char *value)
{
	buf_addf(b, ", \"%s\": ", name);
	json_str(b, value);
}

static void
taken_json(struct client *c, const char *addr, const struct match *mt, const char *to)
{
	const struct conf_action *a = &child_conf()->action[mt->action];
	const char *domain = addr_domain(addr);
	struct dest_policy p = conf_policy(child_conf(), domain, NULL);
	struct buf b = BUF_INIT;

	buf_adds(&b, "{\"to\": ");
	json_str(&b, addr);
	buf_addf(&b, ", \"accepted\": true, \"rule\": %u", mt->line);
	field(&b, "action", a->name);
	field(&b, "account", mt->account);
	field(&b, "goes", to);
	field(&b, "delivery", halted(domain));
	buf_addf(&b, ", \"concurrency\": %u, \"retry_min\": %llu, \"retry_max\": %llu, \"lifetime\": %llu}", p.concurrency,
	    (unsigned long long)p.retry_min / 1000, (unsigned long long)p.retry_max / 1000, (unsigned long long)p.lifetime / 1000);
	say_buf(c, &b);
	buf_free(&b);
}

static void
taken_text(struct client *c, const char *addr, const struct match *mt, const char *to)
{
	const struct conf_action *a = &child_conf()->action[mt->action];
	const char *domain = addr_domain(addr);
	struct dest_policy p = conf_policy(child_conf(), domain, NULL);

	say(c, "%-12s <%s>", "to", addr);
	if (mt->line != 0)
		say(c, "%-12s line %u of the configuration", "rule", mt->line);
	else
		say(c, "%-12s none: this address always exists", "rule");
	say(c, "%-12s %s", "action", a->name);
	if (*mt->account != '\0')
		say(c, "%-12s %s", "account", mt->account);
	say(c, "%-12s %s", "goes to", to);
	say(c, "%-12s %s", "delivery", halted(domain));
	say(c, "%-12s %u jobs at once; tried again after %s to %s, given up after %s", "limits", p.concurrency,
	    span((int64_t)p.retry_min).s, span((int64_t)p.retry_max).s, span((int64_t)p.lifetime).s);
}

static void
refused(struct client *c, const char *addr, const struct match *mt)
{
	struct buf b = BUF_INIT;

	if (c->json) {
		buf_adds(&b, "{\"to\": ");
		json_str(&b, addr);
		buf_addf(&b, ", \"accepted\": false, \"rule\": %u, \"code\": %u", mt->line, mt->code);
		field(&b, "dsn", mt->dsn);
		field(&b, "reply", mt->text);
		buf_adds(&b, "}");
		say_buf(c, &b);
		buf_free(&b);
		return;
	}
	say(c, "%-12s <%s>", "to", addr);
	if (mt->line != 0)
		say(c, "%-12s line %u of the configuration", "rule", mt->line);
	else
		say(c, "%-12s none matches", "rule");
	say(c, "%-12s %u %s %s", "refused", mt->code, mt->dsn, mt->text);
}

static void
routed(void *arg, enum match_result result, const struct match *mt)
{
	struct question *q = arg;
	struct client *c = client_find(q->client);
	struct buf to = BUF_INIT;

	if (c != NULL && c->waits) {
		if (result == MATCH_OK) {
			hosts(&to, &child_conf()->action[mt->action], addr_domain(q->addr));
			(c->json ? taken_json : taken_text)(c, q->addr, mt, buf_str(&to));
			buf_free(&to);
		} else
			refused(c, q->addr, mt);
		client_done(c, 0);
	}
	free(q->addr);
	free(q);
}

void
verb_explain(struct client *c, char **argv, int argc)
{
	struct match_facts f = route_own();
	struct sockaddr_storage ss;
	struct question *q;
	struct addr a;
	size_t used, n;
	const char *addr = addr_inside(argv[0], &n);
	int i;

	if (addr_parse(addr, n, ADDR_BARE, &a, &used) != NULL || used != n) {
		complain(c, "\"%s\" is no address", argv[0]);
		client_done(c, 64);
		return;
	}
	for (i = 1; i < argc; i++)
		if (!take(&f, &ss, argv[i])) {
			complain(c, "\"%s\": there are from= client= tag= helo= auth", argv[i]);
			client_done(c, 64);
			return;
		}
	q = xcalloc(1, sizeof(*q));
	q->client = c->number;
	q->addr = xstrdup(a.text);
	c->waits = true;
	route_ask(&f, a.text, routed, q);
}
