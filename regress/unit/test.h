/*
 * test: the whole of what a unit test needs. Each test program includes this once and ends main with
 * `return test_end("name");`, which prints the line that `make unit` adds up. A check that fails says where and goes on.
 */
#ifndef TEST_H
#define TEST_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static unsigned test_passed, test_failed;

static inline bool
test_note(bool ok, const char *file, int line, const char *what)
{
	if (ok)
		test_passed++;
	else {
		test_failed++;
		fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
	}
	return ok;
}

static inline bool
test_str(const char *a, const char *b, const char *file, int line, const char *what)
{
	bool same = a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;

	if (!test_note(same, file, line, what))
		fprintf(stderr, "\tgot  \"%s\"\n\twant \"%s\"\n", a != NULL ? a : "(NULL)", b != NULL ? b : "(NULL)");
	return same;
}

static inline bool
test_int(intmax_t a, intmax_t b, const char *file, int line, const char *what)
{
	if (!test_note(a == b, file, line, what))
		fprintf(stderr, "\tgot  %" PRIdMAX "\n\twant %" PRIdMAX "\n", a, b);
	return a == b;
}

/* Each gives true when the check held, so that a test can stop early. */
#define TEST(cond)	test_note((cond) ? true : false, __FILE__, __LINE__, #cond)
#define TEST_STR(a, b)	test_str((a), (b), __FILE__, __LINE__, #a " is " #b)
#define TEST_INT(a, b)	test_int((intmax_t)(a), (intmax_t)(b), __FILE__, __LINE__, #a " == " #b)

static inline int
test_end(const char *name)
{
	printf("%s: %u passed, %u failed\n", name, test_passed, test_failed);
	return test_failed == 0 && test_passed > 0 ? 0 : 1;
}

#endif
