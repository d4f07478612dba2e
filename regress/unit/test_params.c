/* links: smtpd/listener/params.c */
/*
 * test_params: the ESMTP parameters of MAIL and RCPT: what is taken, and what is refused how.
 */
#include <stdlib.h>
#include "listener/params.h"
#include "listener/tx.h"
#include "test.h"

static const struct {
	const char	*text;
	unsigned	 code;
} mail[] = {
	{ "", 0 }, { "   ", 0 }, { " SIZE=0", 0 }, { " size=123  BODY=8bitmime", 0 }, { " BODY=7BIT", 0 }, { " SMTPUTF8 RET=hdrs ENVID=x", 0 },
	{ " SIZE=99999999999999999999", 0 },
	{ " SIZE", 501 }, { " SIZE=", 501 }, { " SIZE=-1", 501 }, { " SIZE=1x", 501 }, { " SIZE=999999999999999999999", 501 },
	{ " SIZE=1 SIZE=1", 501 }, { " BODY=BINARYMIME", 501 }, { " BODY=", 501 }, { " SMTPUTF8=", 501 }, { " SMTPUTF8=1", 501 },
	{ " RET=", 501 }, { " RET=NONE", 501 }, { " ENVID=+00", 501 }, { " ENVID=+0D", 501 }, { " ENVID=+2", 501 }, { " ENVID=a=b", 501 },
	{ " ENVID=a+20b", 0 }, { " ENVID=a+7F", 501 },
	{ " ==", 501 }, { " =x", 501 }, { " -A=1", 501 }, { " A_B=1", 501 }, { " AUTH=<>", 555 }, { " NOSUCH", 555 }, { " SIZES=1", 555 },
	{ " NOTIFY=NEVER", 555 },
};

static const struct {
	const char	*text;
	unsigned	 code, notify;
	const char	*orcpt;
} rcpt[] = {
	{ "", 0, NOTIFY_DEFAULT, "" },
	{ " NOTIFY=NEVER", 0, NOTIFY_NEVER, "" },
	{ " NOTIFY=success,FAILURE,Delay ORCPT=rfc822;a+2Bb@c", 0, NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY, "rfc822;a+b@c" },
	{ " ORCPT=utf-8;\xc3\xbc@x", 0, NOTIFY_DEFAULT, "utf-8;\xc3\xbc@x" },
	{ " NOTIFY=NEVER,DELAY", 501, 0, NULL }, { " NOTIFY=", 501, 0, NULL }, { " NOTIFY=,", 501, 0, NULL },
	{ " NOTIFY=DELAY,DELAY", 501, 0, NULL }, { " NOTIFY=DELAY,", 501, 0, NULL }, { " NOTIFY=NEVER NOTIFY=NEVER", 501, 0, NULL },
	{ " ORCPT=a@b", 501, 0, NULL }, { " ORCPT=;a@b", 501, 0, NULL }, { " ORCPT=rfc822;", 501, 0, NULL },
	{ " ORCPT=rfc822;a+0D+0AX", 501, 0, NULL }, { " ORCPT=rf<c822;a", 501, 0, NULL }, { " ORCPT=utf-8;\xc3", 501, 0, NULL },
	{ " SIZE=1", 555, 0, NULL }, { " FOO", 555, 0, NULL },
};

static void
test_mail(void)
{
	struct complaint c;
	struct tx tx;
	char text[128];
	size_t i;

	for (i = 0; i < sizeof(mail) / sizeof(mail[0]); i++) {
		memset(&tx, 0, sizeof(tx));
		snprintf(text, sizeof(text), "%s", mail[i].text);
		c = params_mail(text, &tx);
		if (!TEST_INT(c.code, mail[i].code))
			fprintf(stderr, "\twith \"%s\"\n", mail[i].text);
		free(tx.envid);
	}
	memset(&tx, 0, sizeof(tx));
	snprintf(text, sizeof(text), " SIZE=77 RET=FULL SMTPUTF8 BODY=8BITMIME ENVID=q+2Bq");
	c = params_mail(text, &tx);
	TEST_INT(c.code, 0);
	TEST_INT(tx.size, 77);
	TEST_INT(tx.ret, RET_FULL);
	TEST_INT(tx.body, BODY_8BITMIME);
	TEST(tx.smtputf8);
	TEST_STR(tx.envid, "q+q");
	free(tx.envid);
}

static void
test_rcpt(void)
{
	struct complaint c;
	unsigned char notify;
	char text[128], orcpt[512];
	size_t i;

	for (i = 0; i < sizeof(rcpt) / sizeof(rcpt[0]); i++) {
		snprintf(text, sizeof(text), "%s", rcpt[i].text);
		c = params_rcpt(text, &notify, orcpt, sizeof(orcpt));
		if (!TEST_INT(c.code, rcpt[i].code))
			fprintf(stderr, "\twith \"%s\"\n", rcpt[i].text);
		if (c.code != 0)
			continue;
		TEST_INT(notify, rcpt[i].notify);
		TEST_STR(orcpt, rcpt[i].orcpt);
	}
}

int
main(void)
{
	test_mail();
	test_rcpt();
	return test_end("params");
}
