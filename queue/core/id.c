/*
 * id: leases of queue ids to the listeners, and the check that each id is used once.
 *
 * Called by main (open) and intake (leases, use), bounce (births). Owns the file last-run in the spool and a bitmap of the
 * ids seen: pages of 4 KiB for 32768 ids; the oldest pages go when there are too many, and their ids count as used.
 * Cannot fail after id_open.
 */
#include <sys/types.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "core/id.h"
#include "base/log.h"
#include "base/xmalloc.h"

#define EPOCH_2020	1577836800
#define PAGE_BITS	15
#define PAGES		1024			/* 32 million ids back */
#define SKIP		64
#define RUN_MAX		0x70000000		/* of what is on the disk; a later one is no time of ours */

static struct {
	uint64_t	 run;
	uint64_t	 next;			/* sequence number not given away yet */
	bool		 file;			/* last-run is ours to write */
	uint32_t	 at_least;
	bool		(*used)(uint32_t run);
	struct page {
		uint64_t	 number;	/* 1 + which page this is; 0: none */
		uint8_t		*bits;
	} page[PAGES];
} ids;

uint32_t
id_run(int64_t now_ms, uint32_t last)
{
	int64_t s = now_ms / 1000 - EPOCH_2020;

	if (s < 1)
		s = 1;
	if (s <= last)
		s = (int64_t)last + 1;
	return (uint32_t)s & 0x7fffffff;
}

void
id_begin(uint32_t run)
{
	size_t i;

	for (i = 0; i < PAGES; i++) {
		free(ids.page[i].bits);
		memset(&ids.page[i], 0, sizeof(ids.page[i]));
	}
	ids.run = run;
	ids.next = 0;
}

static uint32_t
last_run(void)
{
	char line[32] = "";
	int fd = open("last-run", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n;

	if (fd == -1)
		return 0;
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	return n > 0 ? (uint32_t)strtoul(line, NULL, 10) & 0x7fffffff : 0;
}

/* Overwritten in place after the first time: that needs no free block. */
static void
keep_run(uint32_t run)
{
	char line[32];
	int fd = open("last-run", O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600), dir;

	if (fd == -1)
		fatal("last-run: open");
	snprintf(line, sizeof(line), "%010u\n", run);
	if (pwrite(fd, line, strlen(line), 0) != (ssize_t)strlen(line) || fdatasync(fd) == -1)
		fatal("last-run: write");
	close(fd);
	dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir == -1 || fsync(dir) == -1)
		fatal("spool directory: sync");
	close(dir);
}

static void
new_run(void)
{
	struct timespec ts;
	uint32_t last = last_run();

	clock_gettime(CLOCK_REALTIME, &ts);
	if (last < ids.run)
		last = (uint32_t)ids.run;
	if (last < ids.at_least)
		last = ids.at_least;
	while (ids.used(id_run((int64_t)ts.tv_sec * 1000, last)))
		last = id_run((int64_t)ts.tv_sec * 1000, last);
	id_begin(id_run((int64_t)ts.tv_sec * 1000, last));
	keep_run((uint32_t)ids.run);
}

void
id_open(uint32_t at_least, int64_t made_ms, bool (*used)(uint32_t))
{
	int64_t made = made_ms / 1000 - EPOCH_2020;

	ids.file = true;
	ids.at_least = at_least < RUN_MAX ? at_least : 0;
	if (made > ids.at_least && made < RUN_MAX)
		ids.at_least = (uint32_t)made;
	ids.used = used;
	new_run();
}

uint64_t
id_lease(uint32_t count)
{
	uint64_t first;

	if (ids.next + count + SKIP > UINT32_MAX) {
		if (ids.file)
			new_run();
		else
			id_begin((uint32_t)ids.run + 1);
	}
	first = ids.next + arc4random_uniform(SKIP);
	ids.next = first + count;
	return ids.run << 32 | first;
}

static struct page *
page_of(uint64_t seq)
{
	uint64_t number = (seq >> PAGE_BITS) + 1;
	struct page *p = &ids.page[number % PAGES];

	if (p->number > number)
		return NULL;
	if (p->number < number) {
		if (p->bits == NULL)
			p->bits = xmalloc(1 << (PAGE_BITS - 3));
		memset(p->bits, 0, 1 << (PAGE_BITS - 3));
		p->number = number;
	}
	return p;
}

bool
id_use(uint64_t id)
{
	uint64_t seq = id & UINT32_MAX, bit = seq & ((1 << PAGE_BITS) - 1);
	struct page *p;

	if (id >> 32 != ids.run || seq >= ids.next || (p = page_of(seq)) == NULL)
		return false;
	if (p->bits[bit / 8] & 1 << (bit % 8))
		return false;
	p->bits[bit / 8] |= (uint8_t)(1 << (bit % 8));
	return true;
}

/* splitmix64's finalizer, once per input word: spreads well, and a birth id need not be secret. */
static uint64_t
mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9;
	x ^= x >> 27;
	x *= 0x94d049bb133111eb;
	return x ^ x >> 31;
}

uint64_t
id_birth(uint64_t parent, uint8_t kind, uint32_t number)
{
	uint64_t h = mix(parent + 0x9e3779b97f4a7c15);

	h = mix(h ^ ((uint64_t)kind << 32 | number));
	return h & INT64_MAX ? h & INT64_MAX : 1;
}
