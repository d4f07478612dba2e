/* links: smtpd/parent/conf_load.c smtpd/parent/conf_host.c smtpd/parent/conf_refs.c smtpd/parent/conf_tables.c */
/*
 * test_conf: the configuration: good files, bad files with the places of their errors, the text for children.
 * Files are made in a folder of their own under TMPDIR.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <unistd.h>
#include "conf/conf.h"
#include "test.h"

static char dir[256];

static const char *
file(const char *name, const char *text)
{
	static char path[4][300];
	static unsigned turn;
	char *p = path[turn++ % 4];
	FILE *f;

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	if ((f = fopen(p, "w")) == NULL)
		return "";
	fputs(text, f);
	fclose(f);
	return p;
}

/* ---- two configurations are the same ---- */

static bool
same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
same_pattern(const struct pattern *a, const struct pattern *b)
{
	return a->kind == b->kind && a->negate == b->negate && same(a->text, b->text) && a->table == b->table;
}

static bool
same_rule(const struct conf_match *a, const struct conf_match *b)
{
	return a->line == b->line && a->from == b->from && a->from_not == b->from_not && a->from_table == b->from_table &&
	    memcmp(&a->from_cidr, &b->from_cidr, sizeof(a->from_cidr)) == 0 && a->auth == b->auth && a->tls == b->tls &&
	    same_pattern(&a->helo, &b->helo) && same_pattern(&a->mail_from, &b->mail_from) && same_pattern(&a->tag, &b->tag) &&
	    a->for_ == b->for_ && same_pattern(&a->for_pattern, &b->for_pattern) && a->verdict == b->verdict &&
	    a->action == b->action && same(a->reply, b->reply);
}

static bool
same_action(const struct conf_action *a, const struct conf_action *b)
{
	if (!same(a->name, b->name) || a->kind != b->kind || !same(a->path, b->path) || !same(a->user, b->user) || a->users != b->users ||
	    a->nvia != b->nvia)
		return false;
	for (size_t i = 0; i < a->nvia; i++)
		if (!same(a->via[i].host, b->via[i].host) || a->via[i].port != b->via[i].port || a->via[i].literal != b->via[i].literal)
			return false;
	return true;
}

static bool
same_listen(const struct conf_listen *a, const struct conf_listen *b)
{
	return memcmp(&a->sa, &b->sa, sizeof(a->sa)) == 0 && a->salen == b->salen && same(a->text, b->text) && same(a->tag, b->tag) &&
	    same(a->hostname, b->hostname) && same(a->banner, b->banner) && a->normalise == b->normalise;
}

static bool
same_table(const struct conf_table *a, const struct conf_table *b)
{
	if (!same(a->name, b->name) || !same(a->path, b->path) || a->kind != b->kind || a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!same(a->keys[i], b->keys[i]) || !same(a->values[i], b->values[i]))
			return false;
	return true;
}

static bool
same_dest(const struct conf_dest *a, const struct conf_dest *b)
{
	return a->kind == b->kind && same(a->text, b->text) && a->has == b->has && a->concurrency == b->concurrency &&
	    a->pool == b->pool && a->family == b->family && a->eightbit == b->eightbit &&
	    a->rate == b->rate && a->burst == b->burst && a->messages == b->messages && a->recipients == b->recipients &&
	    a->retry_min == b->retry_min && a->retry_max == b->retry_max && a->lifetime == b->lifetime &&
	    a->delay_notice == b->delay_notice;
}

#define SAME_ALL(field, n, fn) do { \
	if (TEST_INT(a->n, b->n)) \
		for (size_t i = 0; i < a->n; i++) \
			TEST(fn(a->field + i, b->field + i)); \
} while (0)

static bool
same_string(char *const *a, char *const *b)
{
	return same(*a, *b);
}

static bool
same_archive(const struct conf_archive *a, const struct conf_archive *b)
{
	return same_pattern(&a->from, &b->from) && same_pattern(&a->for_, &b->for_) && same(a->to, b->to);
}

static void
same_conf(const struct conf *a, const struct conf *b)
{
	TEST_STR(a->hostname, b->hostname);
	TEST_STR(a->domain, b->domain);
	TEST_STR(a->spool, b->spool);
	TEST_STR(a->runtime, b->runtime);
	TEST_STR(a->me, b->me);
	TEST(a->log_kind == b->log_kind && a->log_format == b->log_format && a->log_level == b->log_level && same(a->log_path, b->log_path));
	TEST_INT(a->listeners, b->listeners);
	TEST(memcmp(a->limit, b->limit, sizeof(a->limit)) == 0);
	SAME_ALL(listen, nlisten, same_listen);
	SAME_ALL(table, ntable, same_table);
	SAME_ALL(dest, ndest, same_dest);
	for (size_t i = 0; i < CLASS__N; i++)
		TEST(same_dest(&a->by_class[i], &b->by_class[i]));
	SAME_ALL(action, naction, same_action);
	SAME_ALL(match, nmatch, same_rule);
	SAME_ALL(archive, narchive, same_archive);
	SAME_ALL(resolvers, nresolvers, same_string);
	SAME_ALL(local_addr, nlocal_addr, same_string);
}

static void
print_errors(const struct conf_errors *e)
{
	for (size_t i = 0; i < e->n; i++)
		fprintf(stderr, "\t%s%s\n", e->v[i].warning ? "warning: " : "", e->v[i].text);
}

/* Loads, tests that a child gets the same, and gives it back. */
static struct conf *
load(const char *path, const struct conf_define *define, size_t n, unsigned warnings)
{
	struct conf_errors e = { 0 }, ce = { 0 };
	struct buf text = BUF_INIT;
	struct conf *c = conf_load(path, define, n, &text, &e), *child;

	if (!TEST(c != NULL) || !TEST_INT(e.n, warnings))
		print_errors(&e);
	if (c != NULL) {
		child = conf_parse((const char *)buf_data(&text), text.len, 7, &ce);
		if (TEST(child != NULL)) {
			TEST_INT(child->generation, 7);
			same_conf(c, child);
		} else {
			print_errors(&ce);
		}
		conf_free(child);
	}
	conf_errors_free(&e);
	conf_errors_free(&ce);
	buf_free(&text);
	return c;
}

/* ---- good ones ---- */

static const char everything[] =
    "# comment with \\ at its end \\\n"
    "hostname mx1.Example.org  # and one behind\n"
    "domain example.org\n"
    "dir = \"/tmp/a b\"\n"
    "nets = 10.0.0.0/8\n"
    "via = smtp://mail.example.org:2525, \\\n"
    "  smtp://[10.0.0.1], smtp://192.0.2.7:26, smtp://[::1]:27\n"
    "spool $dir/spool\n"
    "runtime \"/tmp/run\"\n"
    "log file \"/tmp/log\" format json level debug\n"
    "resolver 127.0.0.1@5353\n"
    "listeners 3\n"
    "limit message-size 1G\n"
    "limit recipients 50\n"
    "limit rate-per-client 20/s\n"
    "limit command-timeout 90s\n"
    "listen on 127.0.0.1 port 2525 tag in normalise banner \"say \\\"hi\\\" \\\\o/\" no-tls\n"
    "listen on [::1] port smtp hostname mx2.example.org\n"
    "listen on socket tag local\n"
    "listen on lo port 2626\n"
    "table users { alice, bob\n"
    "  \"carol d\"  # a comment\n"
    "  ,\n"
    "}\n"
    "table map { a.b = 1, b.c = \"two words\" }\n"
    "table big file \"/etc/passwd\"\n"
    "table empty { }\n"
    "table nets { 192.0.2.0/24, ::1 }\n"
    "destination example.com { retry 1m..30m, lifetime 2d, delay-notice 90m }\n"
    "destination .example.com { concurrency 5, 8bit pass\n retry 2m..1h }\n"
    "destination mx mx.example.net { concurrency 3, rate 20/s burst 40, messages-per-connection 7, recipients-per-message 9 }\n"
    "destination mx *.example.net { concurrency 4, lifetime 1d }\n"
    "source one address 127.0.0.2 address ::1 helo one.example.org\n"
    "source two address [::1]\n"
    "pool both { one, two weight 3 }\n"
    "destination * { family ipv6, 8bit bounce, pool both, concurrency 6, delay-notice never, rate 5000/h }\n"
    "bounces { lifetime 1d, retry 1m..2h }\n"
    "bulk { lifetime 36h\n delay-notice 1h }\n"
    "archive from <nets> for !.example.org to journal@example.com\n"
    "archive to bob\n"
    "action local maildir \"/tmp/%{domain}/%{user}\" user nobody users <users>\n"
    "action own maildir\n"
    "action own2 maildir ~/Mail/in user nobody\n"
    "action out relay via $via\n"
    "action mx relay pool both\n"
    "action none discard\n"
    "match from any for local action local\n"
    "match from $nets helo *.foo mail-from <users> tag !in for domain .sub.example.org action out\n"
    "match from !<nets> auth tls for rcpt !<map> action mx\n"
    "match from socket for any action own2\n"
    "match from auth for any action own\n"
    "match mail-from <> for rcpt Bob@example.org from 192.0.2.1 reject \"550 5.7.1 no \\\\ thanks\"\n"
    "match from local for domain <empty> helo <big> defer\n"
    "match from any for any action none\n";

static void
check_values(const struct conf *c)
{
	TEST_STR(c->hostname, "mx1.Example.org");
	TEST_STR(c->spool, "/tmp/a b/spool");
	TEST_INT(c->log_kind, LOG_TO_FILE);
	TEST_INT(c->limit[LIM_MESSAGE_SIZE], 1 << 30);
	TEST_INT(c->limit[LIM_RATE_CLIENT], 1200);
	TEST_INT(c->limit[LIM_T_COMMAND], 90000);
	TEST_INT(c->limit[LIM_HOPS], 100);
	TEST_STR(c->listen[0].text, "127.0.0.1:2525");
	TEST_STR(c->listen[0].hostname, "mx1.Example.org");
	TEST_STR(c->listen[0].banner, "say \"hi\" \\o/");
	TEST_STR(c->listen[1].text, "[::1]:25");
	TEST_STR(c->listen[1].hostname, "mx2.example.org");
	TEST_STR(c->listen[2].text, "127.0.0.1:2626");
	TEST_INT(c->listen[c->nlisten - 1].sa.ss_family, AF_UNIX);
	TEST_STR(c->listen[c->nlisten - 1].tag, "local");
	TEST_INT(c->table[0].n, 3);
	TEST_STR(c->table[0].keys[2], "carol d");
	TEST_INT(c->table[1].kind, TABLE_MAP);
	TEST_STR(c->table[1].values[1], "two words");
	TEST_STR(c->table[2].path, "/etc/passwd");
	TEST_INT(c->table[3].n, 0);
	TEST_INT(c->action[0].users, 0);
	TEST_STR(c->action[1].path, "~/Maildir");
	TEST_INT(c->action[3].nvia, 4);
	TEST_INT(c->action[3].via[0].port, 2525);
	TEST(!c->action[3].via[0].literal && c->action[3].via[1].literal && c->action[3].via[2].literal);
	TEST_STR(c->action[3].via[3].host, "::1");
	TEST_INT(c->action[3].via[3].port, 27);
	TEST_INT(c->action[4].pool, 0);
	TEST_INT(c->action[3].pool, -1);
	TEST(c->source[0].in4.ss_family == AF_INET && c->source[0].in6.ss_family == AF_INET6 && c->source[1].in4.ss_family == AF_UNSPEC);
	TEST_STR(c->source[0].helo, "one.example.org");
	TEST(c->npool == 1 && c->pool[0].nmember == 2 && c->pool[0].member[0].weight == 1 && c->pool[0].member[1].weight == 3);
	TEST_INT(c->match[0].line, 49);
	TEST_INT(c->match[1].tag.negate, 1);
	TEST_INT(c->match[1].for_pattern.kind, PAT_SUFFIX);
	TEST_INT(c->match[1].helo.kind, PAT_GLOB);
	TEST(c->match[2].from_not && c->match[2].from == FROM_TABLE && c->match[2].from_table == 4);
	TEST_STR(c->match[5].for_pattern.text, "bob@example.org");
	TEST_STR(c->match[5].mail_from.text, "<>");
	TEST_STR(c->match[5].reply, "550 5.7.1 no \\ thanks");
	TEST(c->match[6].reply == NULL && c->match[6].verdict == VERDICT_DEFER);
}

static void
check_policy(const struct conf *c)
{
	struct dest_policy p = conf_policy(c, NULL, "Example.COM", NULL);

	TEST_INT(p.retry_min, 60 * 1000);
	TEST_INT(p.lifetime, 2 * 24 * 3600 * 1000LL);
	TEST_INT(p.concurrency, 6);
	TEST_INT(p.delay_notice, 90 * 60 * 1000);
	conf_policy_class(c, CLASS_NORMAL, &p);
	TEST(p.lifetime == 2 * 24 * 3600 * 1000LL && p.retry_min == 60 * 1000 && p.delay_notice == 90 * 60 * 1000);
	conf_policy_class(c, CLASS_BULK, &p);
	TEST(p.lifetime == 36 * 3600 * 1000LL && p.retry_min == 60 * 1000 && p.retry_max == 30 * 60 * 1000 && p.delay_notice == 3600 * 1000);
	conf_policy_class(c, CLASS_BOUNCE, &p);
	TEST_INT(p.lifetime, 24 * 3600 * 1000LL);
	TEST_INT(p.retry_max, 2 * 3600 * 1000LL);
	TEST_INT(p.delay_notice, 0);
	/* A class's lifetime is a bound, the rest of it an answer. */
	p = conf_policy(c, NULL, "other.org", NULL);
	TEST_INT(p.delay_notice, 0);
	conf_policy_class(c, CLASS_BULK, &p);
	TEST(p.lifetime == 36 * 3600 * 1000LL && p.delay_notice == 3600 * 1000);
	p = conf_policy(c, NULL, "other.org", "a.example.net");
	conf_policy_class(c, CLASS_BULK, &p);
	TEST_INT(p.lifetime, 24 * 3600 * 1000LL);
	p = conf_policy(c, NULL, "a.b.example.com", "mx.example.net");
	TEST_INT(p.retry_min, 2 * 60 * 1000);
	TEST_INT(p.concurrency, 5);
	TEST_INT(p.lifetime, 24 * 3600 * 1000LL);
	p = conf_policy(c, NULL, "other.org", "MX.example.net");
	TEST_INT(p.concurrency, 3);
	TEST(p.rate == 20 * 3600 && p.burst == 40 && p.messages == 7 && p.recipients == 9);
	TEST(p.rate_by != NULL && p.rate_by == p.concurrency_by);
	TEST(conf_policy(c, NULL, "other.org", NULL).rate == 5000 && conf_policy(c, NULL, "other.org", NULL).rate_by == NULL);
	TEST_INT(conf_policy(c, NULL, "other.org", NULL).recipients, 100);
	TEST(conf_policy_by(c, NULL, "other.org", "MX.example.net", DEST_HAS_RATE) == p.rate_by);
	TEST(conf_policy_by(c, NULL, "other.org", NULL, DEST_HAS_RATE)->kind == DEST_ANY);
	TEST(conf_policy_by(c, NULL, "other.org", NULL, DEST_HAS_RECIPIENTS) == NULL);
	TEST(p.pool == 0 && p.family == AF_INET6 && p.eightbit == EIGHTBIT_BOUNCE);
	TEST_INT(p.retry_max, 4 * 3600 * 1000LL);
	TEST_INT(conf_policy(c, NULL, "other.org", "a.example.net").concurrency, 4);
	TEST_INT(conf_policy(c, NULL, "other.org", "example.net").concurrency, 6);
	TEST_INT(conf_policy(c, NULL, "xexample.com", NULL).retry_min, 5 * 60 * 1000);
}

/* By a smarthost: the recipient's domain, then the smarthost's name as a domain and as an MX, key by key. */
static void
test_policy_by_smarthost(void)
{
	static const char text[] = "destination far.test { rate 2/s }\ndestination .far.test { rate 3/s, lifetime 1d }\n"
	    "destination hub.example.net { rate 4/s, concurrency 4 }\ndestination .example.net { rate 5/s, concurrency 5, messages-per-connection 5 }\n"
	    "destination mx hub.example.net { messages-per-connection 6, recipients-per-message 6 }\n"
	    "destination mx *.example.net { recipients-per-message 7, retry 7s..7m }\ndestination * { retry 8s..8m, lifetime 8d }\n"
	    "action hub relay via smtp://Hub.example.net, smtp://spare.test\naction mx relay\n";
	struct conf_errors errors = { 0 };
	struct conf *c = conf_parse(text, sizeof(text) - 1, 1, &errors);
	struct dest_policy far, below, other, mx;

	if (!TEST(c != NULL))
		return;
	far = conf_policy(c, &c->action[0], "far.test", "mx.far.test");
	TEST(far.rate == 2 * 3600 && far.rate_by == &c->dest[0] && far.concurrency == 4 && far.concurrency_by == &c->dest[2]);
	TEST(far.messages == 5 && far.recipients == 6 && far.retry_min == 7000 && far.lifetime == 8 * 24 * 3600 * 1000ULL);
	below = conf_policy(c, &c->action[0], "a.far.test", NULL);
	TEST(below.rate == 3 * 3600 && below.lifetime == 24 * 3600 * 1000 && below.concurrency == 4);
	other = conf_policy(c, &c->action[0], "other.test", "mx.example.net");
	TEST(other.rate == 4 * 3600 && other.rate_by == &c->dest[2] && other.recipients == 6);
	/* Where it is an MX, its name as that of a domain counts for nothing. */
	mx = conf_policy(c, &c->action[1], "other.test", "hub.example.net");
	TEST(mx.rate == 0 && mx.concurrency == 20 && mx.messages == 6 && mx.retry_min == 7000);
	TEST_INT(conf_policy(c, &c->action[1], "other.test", NULL).messages, 0);
	conf_free(c);
	conf_errors_free(&errors);
}

static void
check_local(const struct conf *c)
{
	static const char *const ours[] = {
		"", "MX1.example.org", "example.org", "LOCALHOST", "mx2.example.org", "[127.0.0.1]", "[127.9.9.9]", "[IPv6:::1]", "[ipv6:::ffff:127.0.0.1]"
	};
	static const char *const others[] = { "example.com", "a.example.org", "[192.0.2.77]", "[]", "[foo]", "[IPv6:2001:db8::77]", "[0.0.0.0]", "mx1" };
	struct sockaddr_in sin = { .sin_family = AF_INET };

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (!TEST(conf_is_local_domain(c, ours[i])))
			fprintf(stderr, "\t%s\n", ours[i]);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (!TEST(!conf_is_local_domain(c, others[i])))
			fprintf(stderr, "\t%s\n", others[i]);
	inet_pton(AF_INET, "127.0.0.53", &sin.sin_addr);
	TEST(conf_is_own_address(c, (struct sockaddr *)&sin));
	inet_pton(AF_INET, "198.51.100.1", &sin.sin_addr);
	TEST(!conf_is_own_address(c, (struct sockaddr *)&sin));
	TEST_INT(conf_action(c, "out"), 3);
	TEST_INT(conf_action(c, "nope"), -1);
}

static void
test_everything(void)
{
	struct conf *c = load(file("all", everything), NULL, 0, 0);

	if (c == NULL)
		return;
	check_values(c);
	check_policy(c);
	check_local(c);
	conf_free(c);
}

static void
test_defaults(void)
{
	struct conf *c = load(file("least", "action a discard\nmatch from any for any action a"), NULL, 0, 1);	/* no listener */

	if (c == NULL)
		return;
	TEST_STR(c->spool, "/var/spool/postern");
	TEST_STR(c->runtime, "/run/postern");
	TEST_INT(c->nlisten, 1);
	TEST_INT(c->listen[0].sa.ss_family, AF_UNIX);
	TEST_STR(c->listen[0].text, "submit.sock");
	TEST_STR(c->listen[0].hostname, c->hostname);
	TEST(c->listeners >= 1 && c->log_kind == LOG_TO_SYSLOG);
	TEST((c->me == NULL) == (geteuid() == 0));
	TEST_INT(c->nresolvers, 0);
	conf_free(c);
}

static void
test_include(void)
{
	const struct conf_define define[] = { { "port", "2525" }, { "where", "127.0.0.1" }, { "name", "a b" } };
	struct conf *c;

	file("one.part", "action a discard\nport = 9999\n");
	file("two.part", "match from any for any action a\n");
	c = load(file("inc", "port = 1111\nwhere = ::1\ninclude \"*.part\"\ninclude \"none.*\"\nlisten on $where port $port\nspool /tmp/$name\n"),
	    define, 3, 0);
	if (c == NULL)
		return;
	TEST_STR(c->listen[0].text, "127.0.0.1:2525");
	TEST_STR(c->spool, "/tmp/a b");
	TEST_INT(c->match[0].line, 1);
	conf_free(c);
}

static void
test_all_addresses(void)
{
	struct conf *c = load(file("any", "listen on all\naction a relay\nmatch from socket for any action a\n"), NULL, 0, 1);	/* of postmaster */
	struct conf_errors e = { 0 };

	if (c != NULL)
		TEST_STR(c->listen[0].text, "0.0.0.0:25");
	conf_free(c);
	c = conf_parse("listen on all\n", 14, 1, &e);		/* a bare text asks the host nothing */
	if (TEST(c != NULL)) {
		TEST_INT(c->nlisten, 3);
		TEST_STR(c->listen[1].text, "[::]:25");
		TEST_STR(c->hostname, "localhost");
	}
	conf_free(c);
	conf_errors_free(&e);
}

/* ---- warnings ---- */

static void
warns(const char *rules, const char *want)
{
	struct conf_errors e = { 0 };
	char text[1000];
	struct conf *c;

	snprintf(text, sizeof(text), "action out relay\naction in maildir\nlisten on 127.0.0.1 port 2525 tag net\nlisten on socket tag sock\n%spostmaster me\n", rules);
	c = conf_parse(text, strlen(text), 1, &e);
	if (!TEST(c != NULL) || !TEST(want == NULL ? e.n == 0 : e.n == 1 && e.v[0].warning && strstr(e.v[0].text, want) != NULL)) {
		fprintf(stderr, "\t%s", rules);
		print_errors(&e);
	}
	conf_free(c);
	conf_errors_free(&e);
}

static void
test_warnings(void)
{
	warns("match from any for local action in\nmatch from any for any action out\n", "6:1: this rule makes an open relay");
	warns("match from any for local action in\nmatch from 0.0.0.0/0 for any action out\n", "open relay");
	warns("match from any for local action in\nmatch from !10.0.0.0/8 for domain !example.org action out\n", "open relay");
	warns("match from any for local action in\nmatch from any mail-from *@example.org for any action out\n", "open relay");
	warns("match from any for local action in\nmatch from any tag net for rcpt * action out\n", "open relay");
	warns("match from any for local action in\nmatch from any tag sock for any action out\n", NULL);
	warns("match from any for local action in\nmatch from any auth for any action out\n", NULL);
	warns("match from any for local action in\nmatch from auth for any action out\n", NULL);
	warns("match from any for local action in\nmatch from local for any action out\n", NULL);
	warns("match from any for local action in\nmatch from 10.0.0.0/8 for any action out\n", NULL);
	warns("match from any for local action in\nmatch from any for domain example.org action out\n", NULL);
	warns("match from any for any action in\nmatch from any for any action out\n", "6:1: this rule is never reached");
	warns("match from any for local action in\n", "1:8: the action \"out\" is never used");
	warns("destination slow.test { delay-notice 2d, lifetime 1d }\nmatch from any for local action in\nmatch from local for any action out\n",
	    "5:13: nobody is told of a delay");
	warns("bulk { delay-notice 1d\n lifetime 1d }\nmatch from any for local action in\nmatch from local for any action out\n", "5:1: nobody is told");
	warns("destination * { delay-notice never, lifetime 1d }\ndestination a.test { lifetime 2d, delay-notice 1d }\n"
	    "match from any for local action in\nmatch from local for any action out\n", NULL);
	warns("table t { a }\nmatch from any for local action in\nmatch from local for any action out\n", "5:7: the table \"t\" is never used");
}

/* ---- bad ones: each line has one mistake, at this column ---- */

static const struct bad {
	const char	*text;
	unsigned	 line, col;
	const char	*says;
} bad[] = {
	{ "lisen on all", 1, 1, "expected hostname, domain" },
	{ "hostname", 1, 9, "the statement ends here; expected the full name" },
	{ "hostname a..b", 1, 10, "not a valid domain name" },
	{ "hostname a b", 1, 12, "unexpected \"b\"" },
	{ "hostname a\nhostname b", 2, 1, "a second \"hostname\"" },
	{ "hostname = a", 1, 10, "write it without the =" },
	{ "spool relative", 1, 7, "begin it with /" },
	{ "log", 1, 4, "expected syslog, stderr" },
	{ "log file", 1, 9, "expected a full path" },
	{ "log syslog level loud", 1, 18, "expected error, warn" },
	{ "log syslog level info level info", 1, 23, "stands once" },
	{ "resolver dns.example.org", 1, 10, "not the address of a resolver" },
	{ "resolver 127.0.0.1@99999", 1, 10, "a port from 1 to 65535" },
	{ "listeners 0", 1, 11, "from 1 to 64" },
	{ "limit frob 3", 1, 7, "expected message-size, recipients" },
	{ "limit message-size 3X", 1, 20, "a size is a number" },
	{ "limit message-size 99999999999999999999", 1, 20, "too large" },
	{ "limit command-timeout 30", 1, 23, "a time is a number" },
	{ "limit rate-per-client 30", 1, 23, "a rate is a number" },
	{ "limit line-length 500", 1, 19, "998" },
	{ "limit hops 0", 1, 12, "more than 0" },
	{ "listen 127.0.0.1", 1, 8, "expected on" },
	{ "listen on nosuchif0", 1, 11, "neither an address nor an interface" },
	{ "listen on all port nosuchservice", 1, 20, "neither a port" },
	{ "listen on all port 70000", 1, 20, "neither a port" },
	{ "listen on all port submission", 1, 20, "not available yet" },
	{ "listen on all port smtps", 1, 20, "not available yet" },
	{ "listen on all smtps", 1, 15, "not available yet" },
	{ "listen on all tls require", 1, 15, "not available yet" },
	{ "listen on all pki x", 1, 15, "not available yet" },
	{ "listen on all auth system", 1, 15, "not available yet" },
	{ "listen on all proxy", 1, 15, "not available yet" },
	{ "listen on all frob", 1, 15, "expected port, hostname" },
	{ "listen on 127.0.0.1\nlisten on 127.0.0.1", 2, 11, "already listened on" },
	{ "listen on all\nlisten on 127.0.0.1", 2, 11, "already listened on" },
	{ "listen on socket\nlisten on socket", 2, 11, "already listened on" },
	{ "listen on socket port 25", 1, 11, "no port" },
	{ "trust-anchor \"/x\"", 1, 1, "not available yet" },
	{ "pki a cert \"/a\" key \"/b\"", 1, 1, "not available yet" },
	{ "dkim example.org selector s key \"/k\"", 1, 1, "not available yet" },
	{ "archive from a@b.test", 1, 1, "no address; add to" },
	{ "archive to a@b@c", 1, 12, "not an address" },
	{ "archive to a to b", 1, 14, "stands once" },
	{ "archive for <t> to a@b.test", 1, 13, "no table" },
	{ "masquerade example.org", 1, 1, "not available yet" },
	{ "table t sqlite \"/x\" query \"SELECT 1\"", 1, 9, "not available yet" },
	{ "table t", 1, 8, "expected { or file" },
	{ "table t { a, b = c }", 1, 14, "with and without a value" },
	{ "table t { a }\ntable t { b }", 2, 7, "a second table" },
	{ "table t file x", 1, 14, "begin it with /" },
	{ "table t { a b }", 1, 13, "expected a comma" },
	{ "table t { a", 1, 9, "never closed" },
	{ "table t { a { b }", 1, 13, "within the braces" },
	{ "}", 1, 1, "without a {" },
	{ "destination a.b { frob 3 }", 1, 19, "expected retry, lifetime" },
	{ "destination a.b { rate 5 }", 1, 24, "a rate is a number" },
	{ "destination a.b { rate 5/s burst x }", 1, 34, "burst \"x\"" },
	{ "destination a.b { rate 5/s burst }", 1, 34, "a number of messages" },
	{ "destination a.b { recipients-per-message 101 }", 1, 42, "from 1 to 100" },
	{ "destination a.b { messages-per-connection 0 }", 1, 43, "from 1 to" },
	{ "destination a.b { tls none }", 1, 19, "not available yet" },
	{ "destination a.b { delay-notice soon }", 1, 32, "a time is a number" },
	{ "bounces { concurrency 3 }", 1, 11, "expected retry, lifetime" },
	{ "bounces { lifetime 1d }\nbounces { lifetime 1d }", 2, 1, "a second" },
	{ "bounces { delay-notice 1h }", 1, 11, "expected retry, lifetime" },
	{ "bulk", 1, 5, "expected {" },
	{ "bulk { lifetime 1d }\nbulk { }", 2, 1, "a second" },
	{ "bulk {\n lifetime 1d\n concurrency 3 }", 3, 2, "expected retry, lifetime, delay-notice" },
	{ "bulk { lifetime 1d, lifetime 2d }", 1, 21, "stands once" },
	{ "bulk { lifetime never }", 1, 17, "\"never\"" },
	{ "bulk { delay-notice soon }", 1, 21, "\"soon\"" },
	{ "bulk { retry 4h..5m }", 1, 14, "must not be longer" },
	{ "destination a.b { pool x }", 1, 24, "there is no pool \"x\"" },
	{ "destination a.b { family ipv5 }", 1, 26, "any, ipv4 or ipv6" },
	{ "destination a.b { 8bit ok }", 1, 24, "convert, pass or bounce" },
	{ "source a", 1, 9, "expected address" },
	{ "source a address 1.2.3", 1, 18, "is not an address" },
	{ "source a address 127.0.0.1 address 127.0.0.2", 1, 36, "a second address of that family" },
	{ "source a address 127.0.0.1 helo -", 1, 33, "not a valid domain" },
	{ "source a address ::1\nsource a address ::1", 2, 8, "a second source" },
	{ "pool p { }", 1, 6, "is empty" },
	{ "pool p { a }", 1, 10, "there is no source" },
	{ "source a address ::1\npool p { a, a }", 2, 13, "stands in this pool already" },
	{ "source a address ::1\npool p { a weight 0 }", 2, 19, "from 1 to" },
	{ "action out relay pool x", 1, 23, "there is no pool" },
	{ "destination a.b { retry 4h..5m }", 1, 25, "must not be longer" },
	{ "destination a.b { retry 4h }", 1, 25, "5m..4h" },
	{ "destination *.b { retry 1m..4h }", 1, 13, "is no glob" },
	{ "destination a.b { lifetime 1d }\ndestination A.B { concurrency 1 }", 2, 13, "a second destination" },
	{ "action a", 1, 9, "expected maildir, relay or discard" },
	{ "action a frob", 1, 10, "expected maildir, relay or discard" },
	{ "action a mbox", 1, 10, "not available yet" },
	{ "action a lmtp \"/x\"", 1, 10, "not available yet" },
	{ "action a pipe \"x\"", 1, 10, "not available yet" },
	{ "action a maildir alias <t>", 1, 18, "not available yet" },
	{ "action a maildir virtual <t>", 1, 18, "not available yet" },
	{ "action a maildir forward-file", 1, 18, "not available yet" },
	{ "action a maildir \"Mail\"", 1, 18, "begins with / or ~/" },
	{ "action a maildir \"/a/../b\"", 1, 18, ".. may not" },
	{ "action a maildir \"/a/%{home}\"", 1, 18, "only %{user}" },
	{ "action a maildir users <t>", 1, 18, "goes with \"user" },
	{ "action a maildir user nobody users <t>", 1, 36, "no table \"t\"" },
	{ "action a relay via mail.example.org", 1, 20, "smtp://" },
	{ "action a relay via smtps://mail.example.org", 1, 20, "not available yet" },
	{ "action a relay via smtp+tls://mail.example.org", 1, 20, "not available yet" },
	{ "action a relay via smtp://me@mail.example.org", 1, 20, "not available yet" },
	{ "action a relay via smtp://mail.example.org:x", 1, 20, "a port" },
	{ "action a relay via smtp://[::1", 1, 20, "]" },
	{ "action a relay auth <t>", 1, 16, "not available yet" },
	{ "action a relay tls require", 1, 16, "not available yet" },
	{ "action a discard x", 1, 18, "unexpected \"x\"" },
	{ "action a relay\naction a relay", 2, 8, "a second action" },
	{ "action a relay\nmatch for any action a", 2, 1, "from" },
	{ "action a relay\nmatch from any action a", 2, 1, "for" },
	{ "match from any for any", 1, 1, "does nothing" },
	{ "match from any for any action a", 1, 31, "no action \"a\"" },
	{ "match from <t> for any reject", 1, 12, "no table \"t\"" },
	{ "match from frob for any reject", 1, 12, "no client" },
	{ "match from 10.0.0.0/33 for any reject", 1, 12, "no client" },
	{ "match from !any for any reject", 1, 13, "never matches" },
	{ "match from any from local for any reject", 1, 16, "stands once" },
	{ "match from any for all reject", 1, 20, "expected any, local, domain P" },
	{ "match from any for any reject defer", 1, 31, "stands once" },
	{ "match from any for any reject \"450 4.7.1 x\"", 1, 31, "500 to 559" },
	{ "match from any for any reject \"550 4.7.1 x\"", 1, 31, "5.x.y" },
	{ "match from any for any reject \"550 no\"", 1, 31, "5.x.y" },
	{ "match from any for any reject \"550 5.7 x\"", 1, 31, "three numbers" },
	{ "match from any for any reject \"550 5.7.1\"", 1, 31, "a text" },
	{ "match from any for any reject \"550 5.7.1 \xc3\xa4\"", 1, 31, "ASCII" },
	{ "match from any for any defer \"550 5.7.1 x\"", 1, 30, "400 to 459" },
	{ "match from any for any defer \"421 4.7.1 x\"", 1, 30, "421" },
	{ "match from any for any tag <t> reject", 1, 28, "a word or a glob" },
	{ "table t { 10.0.0.0/8, foo }\nmatch from <t> for any reject", 1, 23, "not a network" },
	{ "spool \"/x", 1, 7, "not closed" },
	{ "spool \"/x\\n\"", 1, 10, "lone backslash" },
	{ "spool /x\"y\"", 1, 9, "middle of a word" },
	{ "match from <t for any reject", 1, 12, "> is missing" },
	{ "spool $nope", 1, 7, "no macro $nope" },
	{ "spool /a/$nope/b", 1, 7, "no macro $nope" },
	{ "spool $", 1, 7, "without a macro's name" },
	{ "a = b c\nspool /$a", 2, 7, "more than one word" },
	{ "a =", 1, 3, "has no value" },
	{ "a-b = c", 1, 1, "cannot name a macro" },
	{ "include \"/nonexistent/postern\"", 1, 9, "cannot read" },
	{ "include", 1, 1, "write it as include" },
	{ ".me root", 1, 1, "expected a statement" },
	{ "spool /a\001b", 1, 9, "control character" },
};

static void
test_bad(void)
{
	char want[600];
	struct conf_errors e;
	struct conf *c;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&e, 0, sizeof(e));
		c = conf_load(file("bad", bad[i].text), NULL, 0, NULL, &e);
		TEST(c == NULL);
		snprintf(want, sizeof(want), "%s/bad:%u:%u: ", dir, bad[i].line, bad[i].col);
		if (!TEST(e.nerror >= 1 && e.n >= 1) || !TEST(strncmp(e.v[0].text, want, strlen(want)) == 0) || !TEST(strstr(e.v[0].text, bad[i].says) != NULL)) {
			fprintf(stderr, "\t%s\n\twant %s %s\n", bad[i].text, want, bad[i].says);
			print_errors(&e);
		}
		conf_free(c);
		conf_errors_free(&e);
	}
}

static void
test_many_errors(void)
{
	struct conf_errors e = { 0 };
	const char *path;

	file("x.sub", "frob 1\n\nfrob 2\n");
	path = file("many", "frob\ninclude \"x.sub\"\nspool x\ntable t {\n a, b = c\n}\nlimit hops x\nmatch from any for any\naction a\n");
	TEST(conf_load(path, NULL, 0, NULL, &e) == NULL);
	if (!TEST_INT(e.nerror, 8) || !TEST_INT(e.n, 8))
		print_errors(&e);
	else {
		TEST(strstr(e.v[0].text, "many:1:1:") != NULL);
		TEST(strstr(e.v[2].text, "many:5:5:") != NULL);
		TEST(strstr(e.v[7].text, "x.sub:3:1:") != NULL);
	}
	conf_errors_free(&e);
}

/* Includes and macros that would never end. */
static void
test_bounds(void)
{
	struct conf_errors e = { 0 };
	struct buf b = BUF_INIT;
	const char *path = file("self", "include \"self\"\n");

	TEST(conf_load(path, NULL, 0, NULL, &e) == NULL);
	TEST(e.nerror >= 1 && strstr(e.v[0].text, "include itself") != NULL);
	conf_errors_free(&e);
	buf_adds(&b, "a = x x x x x x x x\n");
	for (char c = 'b'; c <= 'z'; c++)
		buf_addf(&b, "%c = $%c $%c $%c $%c\n", c, c - 1, c - 1, c - 1, c - 1);
	TEST(conf_parse(buf_str(&b), b.len, 1, &e) == NULL);
	TEST(e.nerror >= 1);
	conf_errors_free(&e);
	TEST(conf_load("/nonexistent/postern.conf", NULL, 0, NULL, &e) == NULL);
	TEST(e.n == 1 && strstr(e.v[0].text, "cannot read") != NULL);
	conf_errors_free(&e);
	buf_free(&b);
}

int
main(void)
{
	const char *tmp = getenv("TMPDIR");
	char rm[300];

	snprintf(dir, sizeof(dir), "%s/test_conf.XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(dir) == NULL)
		return 1;
	test_everything();
	test_policy_by_smarthost();
	test_defaults();
	test_include();
	test_all_addresses();
	test_warnings();
	test_bad();
	test_many_errors();
	test_bounds();
	snprintf(rm, sizeof(rm), "rm -rf '%s'", dir);
	TEST(system(rm) == 0);
	return test_end("conf");
}
