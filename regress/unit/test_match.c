/* links: */
/*
 * test_match: rules against facts and recipients, with the answers of lookup played from a list.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include "conf/match.h"
#include "test.h"

static struct conf *
conf_of(const char *text, bool me)
{
	struct conf_errors e = { 0 };
	struct buf b = BUF_INIT;
	struct conf *c;

	buf_adds(&b, "hostname mx.example.org\ndomain example.org\n.local-address 192.0.2.9\n");
	buf_adds(&b, text);
	if (me)
		buf_adds(&b, "\n.me tester\n");
	c = conf_parse(buf_str(&b), b.len, 1, &e);
	for (size_t i = 0; c == NULL && i < e.n; i++)
		fprintf(stderr, "\t%s\n", e.v[i].text);
	conf_errors_free(&e);
	buf_free(&b);
	return c;
}

/* ---- who asks ---- */

static struct sockaddr_storage client;

static struct match_facts
from(const char *addr)
{
	struct match_facts f = { .helo = "client.example.net", .mail_from = "Sender+x@Example.NET", .tag = "" };
	struct sockaddr_in *sin = (struct sockaddr_in *)&client;
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&client;

	memset(&client, 0, sizeof(client));
	if (addr == NULL) {
		f.socket = true;
		return f;
	}
	if (inet_pton(AF_INET, addr, &sin->sin_addr) == 1)
		client.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, addr, &sin6->sin6_addr) == 1)
		client.ss_family = AF_INET6;
	f.client = (struct sockaddr *)&client;
	return f;
}

/* ---- what lookup says: "KIND table key" -> yes; "!..." -> not now ---- */

static const char *const *known;
static unsigned rounds, asked;

static struct p_value
say(const struct p_question *q)
{
	char text[400];

	asked++;
	snprintf(text, sizeof(text), "%u %u %s", q->kind, q->table, q->key);
	for (const char *const *k = known; k != NULL && *k != NULL; k++) {
		if (strcmp(*k, text) == 0)
			return (struct p_value){ ANSWER_YES, "" };
		if ((*k)[0] == '!' && strcmp(*k + 1, text) == 0)
			return (struct p_value){ ANSWER_TEMPFAIL, "" };
		if ((*k)[0] == '=' && strcmp(*k + 1, text) == 0)
			return (struct p_value){ ANSWER_YES, "Spelled" };
	}
	return (struct p_value){ ANSWER_NO, "" };
}

static void
reply(struct answers *as)
{
	struct p_ask ask = answers_ask(as, 1);
	struct p_answer a = { .values_n = ask.questions_n };

	a.values = calloc(ask.questions_n + 1, sizeof(*a.values));
	for (uint32_t i = 0; i < ask.questions_n; i++)
		a.values[i] = say(&ask.questions[i]);
	TEST_INT(answers_take(as, &a), 0);
	free(a.values);
	free(ask.questions);
}

/* -> "NAME [account] [as ADDRESS]", "held", or "CODE DSN text" */
static const char *
verdict(const struct conf *c, const struct match_facts *f, const char *addr)
{
	static char out[600];
	struct answers as = { 0 };
	enum match_result r;
	struct match m;

	for (rounds = asked = 0; (r = match_rcpt(c, f, addr, &as, &m)) == MATCH_NEED && rounds < 10; rounds++)
		reply(&as);
	answers_free(&as);
	if (r == MATCH_NEED)
		return "asks forever";
	if (r == MATCH_REFUSED)
		snprintf(out, sizeof(out), "%u %s %s", m.code, m.dsn, m.text);
	else if (m.held)
		snprintf(out, sizeof(out), "held");
	else
		snprintf(out, sizeof(out), "%s%s%s%s%s", c->action[m.action].name, m.account[0] == '\0' ? "" : " ", m.account,
		    m.to[0] == '\0' ? "" : " as ", m.to);
	return out;
}

static const char *
verdict_from(const struct conf *c, const char *client_addr, const char *addr)
{
	struct match_facts f = from(client_addr);

	return verdict(c, &f, addr);
}

#define RELAYING "550 5.7.1 Relay access denied"

static void
test_from_for(void)
{
	struct conf *c = conf_of("listen on 127.0.0.1 hostname other.example\n"
	    "action in discard\naction out relay\naction net discard\n"
	    "match from any for local action in\nmatch from local for any action out\nmatch from 198.51.100.0/24 for any action net\n"
	    "match from 2001:db8::/32 for any action net\n", false);

	if (!TEST(c != NULL))
		return;
	TEST_STR(verdict_from(c, "203.0.113.1", "bob@Example.org"), "in");
	TEST_STR(verdict_from(c, "203.0.113.1", "bob"), "in");
	TEST_STR(verdict_from(c, "203.0.113.1", "bob@other.example"), "in");
	TEST_STR(verdict_from(c, "203.0.113.1", "bob@[192.0.2.9]"), "in");
	TEST_STR(verdict_from(c, "203.0.113.1", "bob@[192.0.2.8]"), RELAYING);
	TEST_STR(verdict_from(c, "203.0.113.1", "bob@example.com"), RELAYING);
	TEST_STR(verdict_from(c, "203.0.113.1", "bob%example.com@example.org"), "in");
	TEST_STR(verdict_from(c, "203.0.113.1", "\"bob@example.com\"@example.org"), "in");
	TEST_STR(verdict_from(c, "203.0.113.1", "\"bob@example.org\"@example.com"), RELAYING);
	TEST_STR(verdict_from(c, NULL, "bob@example.com"), "out");
	TEST_STR(verdict_from(c, "127.0.0.7", "bob@example.com"), "out");
	TEST_STR(verdict_from(c, "192.0.2.9", "bob@example.com"), "out");
	TEST_STR(verdict_from(c, "::ffff:192.0.2.9", "bob@example.com"), "out");
	TEST_STR(verdict_from(c, "::1", "bob@example.com"), "out");
	TEST_STR(verdict_from(c, "198.51.100.255", "bob@example.com"), "net");
	TEST_STR(verdict_from(c, "::ffff:198.51.100.3", "bob@example.com"), "net");
	TEST_STR(verdict_from(c, "198.51.101.0", "bob@example.com"), RELAYING);
	TEST_STR(verdict_from(c, "2001:db8:1::5", "bob@example.com"), "net");
	TEST_STR(verdict_from(c, "2001:db9::5", "bob@example.com"), RELAYING);
	TEST_INT(asked, 0);
	conf_free(c);
}

static void
test_conditions(void)
{
	struct conf *c = conf_of("action a discard\naction b discard\naction c discard\naction d discard\naction e discard\naction f discard\n"
	    "match from any mail-from sender@example.net for domain one.example action a\n"
	    "match from any mail-from .net for domain .two.example action b\n"
	    "match from any helo !*.example.net for any action c\n"
	    "match from any tag t* for any action d\n"
	    "match from any auth for any action e\n"
	    "match from any tls for any action f\n"
	    "match from any mail-from <> for rcpt b?b@three.example reject \"551 5.1.6 text of ours\"\n"
	    "match from any for rcpt *@four.example defer\n"
	    "match from any for rcpt .five.example reject\n", false);
	struct match_facts f = from("203.0.113.1");

	if (!TEST(c != NULL))
		return;
	TEST_STR(verdict(c, &f, "x@ONE.example"), "a");
	TEST_STR(verdict(c, &f, "x@sub.one.example"), RELAYING);
	TEST_STR(verdict(c, &f, "x@sub.Two.example"), "b");
	TEST_STR(verdict(c, &f, "x@two.example"), RELAYING);
	TEST_STR(verdict(c, &f, "bob@four.example"), "450 4.7.1 Access denied for now, try again later");
	TEST_STR(verdict(c, &f, "bob@a.five.example"), "550 5.7.1 Access denied");
	f.helo = "stranger";
	TEST_STR(verdict(c, &f, "x@y.example"), "c");
	f = from("203.0.113.1");
	f.tag = "tagged";
	TEST_STR(verdict(c, &f, "x@y.example"), "d");
	f = from("203.0.113.1");
	f.auth = true;
	TEST_STR(verdict(c, &f, "x@y.example"), "e");
	f = from("203.0.113.1");
	f.tls = true;
	TEST_STR(verdict(c, &f, "x@y.example"), "f");
	f = from("203.0.113.1");
	f.mail_from = "";
	TEST_STR(verdict(c, &f, "BoB@three.example"), "551 5.1.6 text of ours");
	TEST_STR(verdict(c, &f, "boob@three.example"), RELAYING);
	conf_free(c);
}

static void
test_tables(void)
{
	struct conf *c = conf_of("table t0 { a }\ntable t1 { b }\ntable t2 file \"/x\"\ntable nets { 10.0.0.0/8 }\n"
	    "action a discard\naction b discard\naction c discard\naction u maildir user box users <t2>\n"
	    "match from <nets> for any action a\n"
	    "match from any mail-from <t0> for domain <t1> action b\n"
	    "match from any for rcpt !<t2> action c\n"
	    "match from any for local action u\n", false);
	static const char *const net[] = { "3 3 10.1.1.1", NULL };
	static const char *const both[] = { "0 0 Sender+x@Example.NET", "2 1 d.example", NULL };
	static const char *const half[] = { "0 0 Sender+x@Example.NET", NULL };
	static const char *const box[] = { "0 2 bob@example.org", "1 2 bob@example.org", NULL };
	static const char *const notbox[] = { "0 2 bob@example.org", NULL };
	static const char *const fail[] = { "!2 1 d.example", "0 0 Sender+x@Example.NET", NULL };
	static const char *const late[] = { "!0 2 x@d.example", NULL };

	if (!TEST(c != NULL))
		return;
	known = net;
	TEST_STR(verdict_from(c, "10.1.1.1", "x@d.example"), "a");
	TEST_INT(rounds, 1);
	known = both;
	TEST_STR(verdict_from(c, "10.1.1.1", "x@d.example"), "b");
	TEST_INT(rounds, 1);
	known = half;
	TEST_STR(verdict_from(c, "10.1.1.1", "x@d.example"), "c");
	known = box;
	TEST_STR(verdict_from(c, "10.1.1.1", "bob@example.org"), "u box");
	TEST_INT(rounds, 1);			/* all questions of all rules at once */
	TEST_STR(verdict_from(c, NULL, "bob"), "u box");
	known = notbox;
	TEST_STR(verdict_from(c, "10.1.1.1", "bob@example.org"), "550 5.1.1 User unknown in local recipient table");
	known = fail;
	TEST_STR(verdict_from(c, "10.1.1.1", "x@d.example"), "451 4.4.3 look-up failed for now; try again later");
	known = late;
	TEST_STR(verdict_from(c, "10.1.1.1", "x@d.example"), "451 4.4.3 look-up failed for now; try again later");
	known = NULL;
	conf_free(c);
}

static void
test_accounts(void)
{
	static const char text[] = "action in maildir\nmatch from any for local action in\n";
	static const char *const bob[] = { "4 0 bob", "=4 0 alice", "!4 0 carol", NULL };
	struct conf *c = conf_of(text, false), *me = conf_of(text, true);

	if (!TEST(c != NULL && me != NULL))
		return;
	known = bob;
	TEST_STR(verdict_from(c, "10.1.1.1", "Bob+tag@example.org"), "in bob");
	TEST_STR(verdict_from(c, "10.1.1.1", "\"bob\"@example.org"), "in bob");
	TEST_STR(verdict_from(c, "10.1.1.1", "ALICE@example.org"), "in Spelled");
	TEST_STR(verdict_from(c, "10.1.1.1", "dave@example.org"), "550 5.1.1 User unknown in local recipient table");
	TEST_STR(verdict_from(c, "10.1.1.1", "carol@example.org"), "451 4.4.3 look-up failed for now; try again later");
	TEST_STR(verdict_from(me, "10.1.1.1", "dave@example.org"), "in tester");
	TEST_INT(asked, 0);
	known = NULL;
	conf_free(c);
	conf_free(me);
}

static void
test_postmaster(void)
{
	static const char *const exists[] = { "4 0 postmaster", NULL };
	struct conf *c = conf_of("table bad { 10.0.0.0/8 }\naction out relay\naction in maildir\n"
	    "match from <bad> for any reject \"550 5.7.1 go away\"\n"
	    "match from local for local action in\nmatch from socket for any action out\nmatch from any for any reject\n", false);
	struct conf *none = conf_of("action out relay\nmatch from local for any action out\n", false);
	static const char *const blocked[] = { "3 0 10.1.1.1", NULL };

	if (!TEST(c != NULL && none != NULL))
		return;
	TEST_STR(verdict_from(c, "203.0.113.1", "Postmaster"), "held");
	TEST_STR(verdict_from(c, "203.0.113.1", "POSTmaster@MX.example.org"), "held");
	TEST_STR(verdict_from(c, "203.0.113.1", "postmaster+x@[127.0.0.1]"), "held");
	TEST_STR(verdict_from(c, "203.0.113.1", "postmaster@example.com"), "550 5.7.1 Access denied");
	TEST_STR(verdict_from(c, "203.0.113.1", "root@example.org"), "550 5.7.1 Access denied");
	known = exists;
	TEST_STR(verdict_from(c, "203.0.113.1", "postmaster@example.org"), "held");
	known = blocked;
	TEST_STR(verdict_from(c, "10.1.1.1", "postmaster@example.org"), "550 5.7.1 go away");
	known = NULL;
	TEST_STR(verdict_from(none, "203.0.113.1", "postmaster@example.org"), "held");
	conf_free(c);
	conf_free(none);
	c = conf_of("table t { a }\naction in maildir user box users <t>\nmatch from local for local action in\n", false);
	if (TEST(c != NULL))
		TEST_STR(verdict_from(c, "203.0.113.1", "postmaster"), "in box");
	conf_free(c);
}

/* `postmaster ADDRESS`: as from the socket, wherever the rules take it; never refused, and never in a circle. */
static void
test_postmaster_statement(void)
{
#define RULES	"action in maildir\naction out relay\nmatch from any for local action in\nmatch from socket for domain far.example action out\n" \
	"match from socket for domain refused.example reject\n"
	static const char *const anna[] = { "4 0 anna", NULL }, *const unknown[] = { "!4 0 anna", NULL };
	static const struct { const char *to, *addr, *verdict; } cases[] = {
		{ "anna", "postmaster", "in anna as anna@example.org" }, { "anna", "Root+x@example.org", "in anna as anna@example.org" },
		{ "me@far.example", "root", "out as me@far.example" }, { "me@elsewhere.example", "root", "held" },
		{ "me@refused.example", "postmaster@example.org", "held" }, { "nobody-here", "postmaster", "held" },
		{ "root@example.org", "root", "held" }, { "postmaster", "root", "held" },
	};
	static const char relayed[] = "postmaster me@far.example\naction out relay\nmatch from local for any action out\n";
	struct conf *c;
	char text[600];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text), "postmaster %s\n" RULES, cases[i].to);
		if (!TEST((c = conf_of(text, false)) != NULL))
			return;
		known = anna;
		TEST_STR(verdict_from(c, "203.0.113.1", cases[i].addr), cases[i].verdict);
		known = unknown;
		if (strcmp(cases[i].to, "anna") == 0)
			TEST_STR(verdict_from(c, "203.0.113.1", cases[i].addr), "451 4.4.3 look-up failed for now; try again later");
		known = NULL;
		conf_free(c);
	}
	if (TEST((c = conf_of(relayed, false)) != NULL)) {
		TEST_STR(verdict_from(c, NULL, "root@example.org"), "out as me@far.example");
		TEST_STR(verdict_from(c, "203.0.113.1", "postmaster"), "out as me@far.example");
		TEST_STR(verdict_from(c, "203.0.113.1", "root"), RELAYING);
	}
	conf_free(c);
	c = conf_of("postmaster anna\naction in maildir user box\nmatch from any for local action in\n", false);
	if (TEST(c != NULL)) {
		TEST_STR(verdict_from(c, "203.0.113.1", "root"), "in box as anna@example.org");
		TEST_STR(verdict_from(c, "203.0.113.1", "anna"), "in box");
	}
	conf_free(c);
#undef RULES
}

/* Thousands of questions in several frames, answered in their order; wrong counts are refused. */
static void
test_answers(void)
{
	struct conf *c = conf_of("action in maildir\nmatch from any for local action in\n", false);
	struct match_facts f = from("203.0.113.1");
	struct answers as = { 0 };
	struct p_value v[1] = { { ANSWER_YES, "" } };
	struct p_answer one = { v, 1 }, none = { v, 0 };
	struct match m;
	unsigned frames = 0, ok = 0;
	char addr[100];

	if (!TEST(c != NULL))
		return;
	TEST_INT(answers_take(&as, &one), -1);
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(addr, sizeof(addr), "%040u@example.org", i);
		ok += match_rcpt(c, &f, addr, &as, &m) == MATCH_NEED;
	}
	TEST_INT(ok, 20000);
	TEST_INT(as.n, 20000);
	TEST_INT(as.open, 20000);
	TEST_INT(answers_take(&as, &one), -1);
	for (ok = 0; as.open > 0 && frames < 100; frames++)
		reply(&as);
	TEST(frames > 1 && frames < 100);
	TEST_INT(answers_take(&as, &none), -1);
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(addr, sizeof(addr), "%040u@example.org", i);
		ok += match_rcpt(c, &f, addr, &as, &m) == MATCH_REFUSED && m.code == 550;
	}
	TEST_INT(ok, 20000);
	answers_free(&as);
	conf_free(c);
}

static void
test_globs(void)
{
	char text[2001], glob[2001];

	TEST(glob_match("*", "") && glob_match("", "") && !glob_match("", "a") && !glob_match("?", ""));
	TEST(glob_match("a*b*c", "AxxBxxC") && !glob_match("a*b*c", "axxbxx") && glob_match("*.org", "a.b.org") && !glob_match("*.org", "org"));
	TEST(glob_match("**a**", "xax") && glob_match("a?c", "abc") && !glob_match("a?c", "ac") && glob_match("[a]*", "[a]b"));
	memset(text, 'a', 2000);
	text[2000] = '\0';
	for (unsigned i = 0; i < 2000; i += 2)
		memcpy(glob + i, "*a", 2);
	memcpy(glob + 1998, "*b", 3);
	TEST(!glob_match(glob, text));
}

static void
test_cidr(void)
{
	static const char *const wrong[] = { "", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/+8", "10.0.0.0/8x", "10.0.0", "::/129", "[::1", "x" };
	struct cidr c;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		TEST(!cidr_parse(wrong[i], &c));
	TEST(cidr_parse("[2001:db8::]/32", &c) && c.bits == 32);
	TEST(cidr_parse("[::1]", &c) && c.bits == 128 && c.family == AF_INET6);
	TEST(cidr_parse("0.0.0.0/0", &c) && c.bits == 0 && cidr_match(&c, from("1.2.3.4").client) && !cidr_match(&c, from("2001::1").client));
	TEST(cidr_parse("1.2.3.5/31", &c) && cidr_match(&c, from("1.2.3.4").client) && !cidr_match(&c, from("1.2.3.6").client));
	TEST(cidr_parse("::/0", &c) && cidr_match(&c, from("2001::1").client) && !cidr_match(&c, from("1.2.3.4").client));
}

int
main(void)
{
	test_from_for();
	test_conditions();
	test_tables();
	test_accounts();
	test_postmaster();
	test_postmaster_statement();
	test_answers();
	test_globs();
	test_cidr();
	return test_end("match");
}
