/*
 * replay: runs a fuzz target without a fuzzer: its corpus, and for some seconds mutations of it.
 *
 * Linked with each regress/fuzz/fuzz_*.c:  fuzz_NAME SECONDS [CORPUS-FOLDER]. It knows nothing of coverage; what it finds fast is
 * what breaks at once. `make fuzz CC=clang` links libFuzzer in its place. A target fails by abort().
 */
#include <dirent.h>
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define INPUT_MAX	65536
#define SEEDS_MAX	4096

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct seed {
	uint8_t	*p;
	size_t	 n;
};
static struct seed seeds[SEEDS_MAX];
static size_t nseeds;

/* The bytes are copied to a block of their very size, so that a sanitizer sees a read behind them. */
static void
run(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n > 0 ? n : 1);

	if (copy == NULL)
		err(1, "malloc");
	memcpy(copy, p, n);
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

static void
load(const char *folder, const char *name)
{
	static uint8_t bytes[INPUT_MAX];
	char path[4096];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if ((f = fopen(path, "rb")) == NULL)
		err(1, "%s", path);
	n = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	run(bytes, n);
	if (nseeds == SEEDS_MAX || (seeds[nseeds].p = malloc(n > 0 ? n : 1)) == NULL)
		return;
	memcpy(seeds[nseeds].p, bytes, n);
	seeds[nseeds++].n = n;
}

static void
load_all(const char *folder)
{
	struct dirent *e;
	DIR *dir = opendir(folder);

	if (dir == NULL)
		err(1, "%s", folder);
	while ((e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.')
			load(folder, e->d_name);
	closedir(dir);
}

static uint8_t
odd_byte(void)
{
	static const uint8_t liked[] = "\0\r\n\t .<>@\"\\:;,()[]{}=+-%$#*!/~\x7f\x80\xff\xc3\xa9" "09azAZ";

	return arc4random_uniform(2) ? liked[arc4random_uniform(sizeof(liked) - 1)] : (uint8_t)arc4random();
}

/* One change: a byte set, put in, taken out, a stretch doubled, or the tail of another seed. */
static size_t
mutate(uint8_t *p, size_t n)
{
	const struct seed *other = &seeds[arc4random_uniform((uint32_t)nseeds)];
	size_t at = n > 0 ? arc4random_uniform((uint32_t)n) : 0, len;

	switch (arc4random_uniform(5)) {
	case 0:
		p[at] = odd_byte();
		return n > at ? n : at + 1;
	case 1:
		memmove(p + at + 1, p + at, n - at);
		p[at] = odd_byte();
		return n + 1;
	case 2:
		if (n == 0)
			return 0;
		memmove(p + at, p + at + 1, n - at - 1);
		return n - 1;
	case 3:
		len = n > at ? 1 + arc4random_uniform((uint32_t)(n - at)) : 0;
		memmove(p + at + len, p + at, n - at);
		return n + len;
	default:
		len = other->n > 0 ? arc4random_uniform((uint32_t)other->n) : 0;
		memcpy(p + at, other->p + other->n - len, len);
		return at + len;
	}
}

int
main(int argc, char **argv)
{
	static uint8_t bytes[4 * INPUT_MAX];
	time_t end;
	size_t n, runs = 0;

	if (argc < 2)
		errx(64, "usage: %s SECONDS [CORPUS-FOLDER]", argv[0]);
	end = time(NULL) + atoi(argv[1]);
	for (int i = 2; i < argc; i++)
		load_all(argv[i]);
	if (nseeds == 0)
		seeds[nseeds++] = (struct seed){ (uint8_t[]){ 0 }, 0 };
	while ((++runs & 255) != 0 || time(NULL) < end) {
		const struct seed *s = &seeds[arc4random_uniform((uint32_t)nseeds)];

		memcpy(bytes, s->p, s->n);
		n = s->n;
		for (uint32_t times = 1 + arc4random_uniform(8); times > 0 && n < INPUT_MAX; times--)
			n = mutate(bytes, n);
		run(bytes, n);
	}
	printf("%zu runs\n", runs);
	return 0;
}
