/*
 * test_class: what is bulk, what is a bounce, and how long it is tried.
 * links: queue/core/retry.c
 */
#include "notice/bounce.h"
#include "core/retry.h"
#include "test.h"

static void
test_class_of(void)
{
	static const struct { const char *sender; uint8_t birth; uint32_t flags; enum mail_class class; } rows[] = {
		{ "a@b", BIRTH_NONE, 0, CLASS_NORMAL },
		{ "a@b", BIRTH_NONE, ~(uint32_t)MAIL_BULK, CLASS_NORMAL },
		{ "a@b", BIRTH_NONE, MAIL_8BIT | MAIL_BULK, CLASS_BULK },
		{ "", BIRTH_NONE, 0, CLASS_BOUNCE },
		{ "", BIRTH_NONE, MAIL_BULK, CLASS_BOUNCE },
		{ "", BIRTH_FAILURE, 0, CLASS_BOUNCE },
		{ "", BIRTH_ARCHIVE, 0, CLASS_NORMAL },
		{ "", BIRTH_ARCHIVE, MAIL_BULK, CLASS_NORMAL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct p_env e = { .sender = rows[i].sender, .birth = rows[i].birth, .flags = rows[i].flags };

		TEST_INT(class_of(&e), rows[i].class);
	}
	TEST_STR(class_name(CLASS_NORMAL), "normal");
	TEST_STR(class_name(CLASS_BULK), "bulk");
	TEST_STR(class_name(CLASS_BOUNCE), "bounce");
}

static void
test_class_policy(void)
{
	static const char text[] = "bulk { lifetime 6h, retry 30m..1h, delay-notice never }\ndestination slow.test { lifetime 1h }\n"
	    "destination mx mx.far.test { lifetime 2h }\ndestination hub.test { lifetime 3h }\naction hub relay via smtp://hub.test\naction mx relay\n";
	struct p_env one = { .sender = "a@b" }, many = { .sender = "a@b", .flags = MAIL_BULK }, bounce = { .sender = "" };
	struct conf_errors errors = { 0 };
	struct conf *c = conf_parse(text, sizeof(text) - 1, 1, &errors);
	struct dest_policy p;

	if (!TEST(c != NULL))
		return;
	p = class_policy(c, &one, "mx", "far.test", NULL);
	TEST(p.lifetime == 5 * 24 * 3600 * 1000ULL && p.retry_min == 5 * 60 * 1000 && p.delay_notice == 4 * 3600 * 1000);
	p = class_policy(c, &many, "gone", "far.test", NULL);
	TEST(p.lifetime == 6 * 3600 * 1000 && p.retry_min == 30 * 60 * 1000 && p.retry_max == 3600 * 1000 && p.delay_notice == 0);
	TEST_INT(class_policy(c, &many, "mx", "slow.test", NULL).lifetime, 3600 * 1000);
	TEST_INT(class_policy(c, &one, "mx", "far.test", "MX.far.test").lifetime, 2 * 3600 * 1000);
	TEST_INT(class_policy(c, &one, "hub", "far.test", "mx.far.test").lifetime, 3 * 3600 * 1000);
	p = class_policy(c, &bounce, "mx", "far.test", NULL);
	TEST(p.lifetime == 2 * 24 * 3600 * 1000 && p.retry_min == 5 * 60 * 1000 && p.delay_notice == 0);
	conf_free(c);
	conf_errors_free(&errors);
}

int
main(void)
{
	test_class_of();
	test_class_policy();
	return test_end("class");
}
