/*
 * test_envelope: what a listener may not send.
 * links: queue/spool/envelope.c
 */
#include "spool/envelope.h"
#include "test.h"

static struct p_env_rcpt rcpt = { .addr = "a@b", .orig = "", .orcpt = "", .action = "local", .sender = "", .trail = "" };

static struct p_env
good(void)
{
	return (struct p_env){ .version = 1, .sender = "s@t", .envid = "", .client_addr = "127.0.0.1", .client_name = "localhost",
	    .helo = "c", .proto = "ESMTP", .user = "", .tag = "", .rcpts = &rcpt, .rcpts_n = 1 };
}

int
main(void)
{
	static const struct p_env_rcpt sane = { .addr = "a@b", .orig = "", .orcpt = "", .action = "local", .sender = "", .trail = "" };
	static char longer[300], text[2000];
	struct p_env e = good();

	memset(longer, 'x', sizeof(longer) - 1);
	memset(text, 'x', sizeof(text) - 1);
	TEST(envelope_fault(&e) == NULL);
	e.sender = "";
	TEST(envelope_fault(&e) == NULL);
	e.version = 2;
	TEST(envelope_fault(&e) != NULL);
	e = good();
	e.sender = longer;
	TEST(envelope_fault(&e) != NULL);
	e = good();
	e.helo = "a\r\nb";
	TEST(envelope_fault(&e) != NULL);
	e.helo = text;
	TEST(envelope_fault(&e) != NULL);
	e = good();
	e.ret = 3;
	TEST(envelope_fault(&e) != NULL);
	e = good();
	e.body = 9;
	TEST(envelope_fault(&e) != NULL);
	e = good();
	e.birth = 1;
	TEST(envelope_fault(&e) != NULL);
	e = good();
	rcpt.addr = "";
	TEST(envelope_fault(&e) != NULL);
	rcpt.addr = "a\n@b";
	TEST(envelope_fault(&e) != NULL);
	rcpt = sane;
	rcpt.action = "";
	TEST(envelope_fault(&e) != NULL);
	rcpt = sane;
	rcpt.notify = 16;
	TEST(envelope_fault(&e) != NULL);
	rcpt = sane;
	rcpt.addr = "j\xc3\xb6@b";
	TEST(envelope_fault(&e) == NULL);
	return test_end("test_envelope");
}
