/*
 * What leaves for a server: dots stuffed, the end written, nothing bare, whatever the block edges are.
 * links: deliver/client/body.c deliver/client/convert.c
 */
#include <sys/mman.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "client/body.h"
#include "base/crc32c.h"
#include "test.h"

static int
file_of(const void *p, size_t n)
{
	int fd = memfd_create("body", 0);

	TEST(fd != -1 && write(fd, p, n) == (ssize_t)n);
	return fd;
}

/* The whole of it through body_next. */
static enum body_status
all(const void *in, size_t len, bool stuff, char *out, size_t *n)
{
	int fd = file_of(in, len);
	struct body b;
	const uint8_t *p;
	size_t k;
	enum body_status s;

	body_open(&b, fd, 0, len, crc32c(0, in, len), stuff, NULL);
	*n = 0;
	while ((s = body_next(&b, &p, &k)) == BODY_MORE || s == BODY_END) {
		memcpy(out + *n, p, k);
		*n += k;
		if (s == BODY_END)
			break;
	}
	close(fd);
	return s;
}

static void
check(const char *in, const char *want)
{
	char out[256];
	size_t n;

	TEST_INT(all(in, strlen(in), true, out, &n), BODY_END);
	out[n] = '\0';
	TEST_STR(out, want);
}

static void
test_small(void)
{
	char out[256];
	size_t n;

	check("a\r\nb\r\n", "a\r\nb\r\n.\r\n");
	check("", ".\r\n");
	check(".", "..\r\n.\r\n");
	check(".\r\n", "..\r\n.\r\n");
	check("..\r\n.a\r\nb.\r\n", "...\r\n..a\r\nb.\r\n.\r\n");
	check("no end", "no end\r\n.\r\n");
	TEST_INT(all(".\r\nx", 4, false, out, &n), BODY_END);
	TEST(n == 4 && memcmp(out, ".\r\nx", 4) == 0);
}

static void
test_unfit(void)
{
	static const struct { const char *p; size_t n; } bad[] = {
		{ "a\nb\r\n", 5 }, { "a\rb\r\n", 5 }, { "a\r", 2 }, { "\n", 1 }, { "a\0b\r\n", 5 }, { "\r\r\n", 3 }, { "\r\n\n", 3 },
		{ "\r\n.\n", 4 }, { "\n.\r\n", 4 }, { "x\r\n.\rMAIL\r\n", 11 },
	};
	char out[256];
	size_t i, n;

	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		TEST_INT(all(bad[i].p, bad[i].n, true, out, &n), BODY_UNFIT);
		TEST_INT(all(bad[i].p, bad[i].n, false, out, &n), BODY_UNFIT);
	}
	TEST_INT(all("", 0, true, out, &n), BODY_END);
}

static void
test_short_file(void)
{
	int fd = file_of("abc\r\n", 5);
	struct body b;
	const uint8_t *p;
	size_t n;

	body_open(&b, fd, 0, 6, 0, true, NULL);
	TEST_INT(body_next(&b, &p, &n), BODY_MORE);
	TEST_INT(body_next(&b, &p, &n), BODY_UNREADABLE);
	close(fd);
}

/* One bit on the disk, in the first block or the last: the end never leaves. */
static void
test_damaged(void)
{
	static char in[3 * BODY_BLOCK];
	uint32_t crc;
	size_t i, n;

	for (i = 0; i < sizeof in; i++)
		in[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : 'x';
	crc = crc32c(0, in, sizeof in);
	for (i = 10; i < sizeof in; i += sizeof in - 64) {
		struct body b;
		const uint8_t *p;
		int fd;

		in[i] ^= 1;
		fd = file_of(in, sizeof in);
		body_open(&b, fd, 0, sizeof in, crc, true, NULL);
		TEST_INT(body_next(&b, &p, &n), BODY_MORE);
		TEST_INT(body_next(&b, &p, &n), BODY_MORE);
		TEST_INT(body_next(&b, &p, &n), BODY_DAMAGED);
		close(fd);
		in[i] ^= 1;
	}
}

/* A slow and plain way to say the same. */
static size_t
stuffed(const char *in, size_t n, char *out)
{
	size_t i, k = 0;

	for (i = 0; i < n; i++) {
		if (in[i] == '.' && (i == 0 || in[i - 1] == '\n'))
			out[k++] = '.';
		out[k++] = in[i];
	}
	memcpy(out + k, ".\r\n", 3);
	return k + 3;
}

/* Dots and line ends around every block edge, and one fault at each place there. */
static void
test_edges(void)
{
	size_t len = 2 * BODY_BLOCK + 200, shift, n, want, i;
	char *in = malloc(len + 8), *out = malloc(3 * len), *good = malloc(3 * len), keep;
	unsigned bad = 0, wrong = 0;

	for (shift = 0; shift < 4; shift++) {
		for (i = 0; i < len; i++)
			in[i] = "\r\n.."[(i + shift) % 4];
		memcpy(in, "abcd", 4 - shift);
		for (n = len; in[n - 1] != '\n'; n--)
			;
		want = stuffed(in, n, good);
		if (all(in, n, true, out, &i) != BODY_END || i != want || memcmp(out, good, want) != 0)
			wrong++;
		for (i = BODY_BLOCK - 70; i < BODY_BLOCK + 70; i++) {
			size_t got;

			keep = in[i];
			in[i] = keep == '\r' || keep == '\n' ? 'x' : '\n';
			bad += all(in, n, true, out, &got) != BODY_UNFIT;
			in[i] = keep;
		}
	}
	TEST_INT(wrong, 0);
	TEST_INT(bad, 0);
	free(in);
	free(out);
	free(good);
}

int
main(void)
{
	test_small();
	test_unfit();
	test_short_file();
	test_damaged();
	test_edges();
	return test_end("body");
}
