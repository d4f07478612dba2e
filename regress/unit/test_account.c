/* links: */
/* test_account: accounts are found in any case, and what is none is none. */
#include "proc/account.h"
#include "test.h"

static void
test_kinds(void)
{
	static char shell[] = "/bin/sh", nologin[] = "/usr/sbin/nologin", name[] = "x", queue[] = "_PosternQ", none[] = "";
	struct passwd pw = { .pw_name = name, .pw_uid = 1000, .pw_shell = nologin };

	account_refresh();
	TEST_INT(account_kind(&pw, 1000), ACCOUNT_USER);
	TEST_INT(account_kind(&pw, 1001), ACCOUNT_SYSTEM);
	pw.pw_shell = shell;
	TEST_INT(account_kind(&pw, 1001), ACCOUNT_USER);
	pw.pw_shell = none;
	TEST_INT(account_kind(&pw, 1001), ACCOUNT_USER);
	pw.pw_name = queue;
	TEST_INT(account_kind(&pw, 1000), ACCOUNT_NEVER);
	pw = (struct passwd){ .pw_name = name, .pw_uid = 0, .pw_shell = shell };
	TEST_INT(account_kind(&pw, 0), ACCOUNT_NEVER);
	pw = (struct passwd){ .pw_name = name, .pw_uid = 65534, .pw_shell = nologin };
	TEST_INT(account_kind(&pw, 1000), ACCOUNT_SYSTEM);
}

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
	test_kinds();
	return test_end("account");
}
