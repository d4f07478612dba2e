/* links: */
/* test_account: accounts are found in any case, and what is none is none. */
#include "account.h"
#include "test.h"

int
main(void)
{
	const struct passwd *pw = NULL;

	if (TEST_INT(account_get("root", &pw), 1))
		TEST_STR(pw->pw_name, "root");
	if (TEST_INT(account_get("ROOT", &pw), 1))
		TEST_INT(pw->pw_uid, 0);
	TEST_INT(account_get("no-such-account-here", &pw), 0);
	TEST(pw == NULL);
	TEST_INT(account_get("", &pw), 0);
	return test_end("account");
}
