/* fatal: see fatal.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/fatal.h"

#define LAST_WORDS	8192

static void
say_plainly(const char *text)
{
	fprintf(stderr, "fatal: %s\n", text);
}

static void (*say)(const char *) = say_plainly;

void
fatal_hook(void (*fn)(const char *))
{
	say = fn;
}

void
fatal(const char *fmt, ...)
{
	char text[LAST_WORDS];
	int saved = errno;
	size_t n;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	n = strlen(text);
	snprintf(text + n, sizeof(text) - n, ": %s", strerror(saved));
	say(text);
	_exit(70);
}

void
fatalx(const char *fmt, ...)
{
	char text[LAST_WORDS];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say(text);
	_exit(70);
}
