/*
 * test_greylist: which refusals mean "come back", and when.
 * links:
 */
#include "mail/greylist.h"
#include "test.h"

static void
which(void)
{
	TEST(greylisted(450, "4.7.1", "try later"));
	TEST(greylisted(451, "4.7.1", ""));
	TEST(greylisted(450, "4.2.0", "<x@y>: Recipient address rejected: Greylisted, see http://postgrey.example/"));
	TEST(greylisted(451, "", "GREYLISTING in action"));
	TEST(greylisted(452, "4.3.0", "grey listed"));
	TEST(!greylisted(421, "4.7.1", "greylisted"));
	TEST(!greylisted(451, "4.7.0", "our system has detected an unusual rate"));
	TEST(!greylisted(450, "4.7.10", ""));
	TEST(!greylisted(550, "5.7.1", "greylisted for good"));
	TEST(!greylisted(250, "2.0.0", "greylist passed"));
}

static void
hints(void)
{
	TEST_INT(greylist_hint("Greylisted, try again in 300 seconds"), 300000);
	TEST_INT(greylist_hint("4.7.1 please retry in 5 minutes."), 300000);
	TEST_INT(greylist_hint("come back in 00:04:59"), 299000);
	TEST_INT(greylist_hint("wait 04:59"), 299000);
	TEST_INT(greylist_hint("greylisted for 1 min"), 60000);
	TEST_INT(greylist_hint("host 192.0.2.1 must wait 90s"), 90000);
	TEST_INT(greylist_hint("1-hour delay"), 3600000);
	TEST_INT(greylist_hint("in 3 seconds"), 10000);
	TEST_INT(greylist_hint("in 99999999999999999999 hours"), 3600000);
	TEST_INT(greylist_hint("policy 17 says x5 minutes no"), 0);
	TEST_INT(greylist_hint("5 messages"), 0);
	TEST_INT(greylist_hint(""), 0);
	TEST_INT(greylist_hint("99:"), 0);
	TEST_INT(greylist_hint("see http://x.test/1234"), 0);
}

int
main(void)
{
	which();
	hints();
	return test_end("greylist");
}
