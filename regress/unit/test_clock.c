/*
 * test_clock: how old mail is, whatever the wall clock did.
 * links: common/proc/clock.c
 */
#include "proc/clock.h"
#include "test.h"

#define HOUR	(3600 * 1000LL)
#define DAY	(24 * HOUR)
#define NOW	(20000 * DAY)		/* the true time at the start of the run */

/* A run whose wall clock is wrong by so much at the start, and from AT on by as much as is said there. True times go in and come out. */
#define AT	(2 * HOUR)

static struct clock_run r;
static int64_t off[2];

static int64_t
clock_of(int64_t t)
{
	return t + off[0];
}

static int64_t
wall_of(int64_t t)
{
	return t + off[t >= NOW + AT];
}

static void
begin(int64_t first, int64_t second)
{
	r = (struct clock_run){ .n = 0 };
	off[0] = first;
	off[1] = second;
	clock_note(&r, clock_of(NOW), wall_of(NOW));
}

static int64_t
age_at(int64_t t, int64_t stamp)
{
	if (t >= NOW + AT)
		clock_note(&r, clock_of(NOW + AT), wall_of(NOW + AT));
	clock_note(&r, clock_of(t), wall_of(t));
	return clock_age_in(&r, clock_of(t), wall_of(t), stamp);
}

static const int64_t wrong[] = { 0, 3650 * DAY, -3650 * DAY, 9 * DAY, -9 * DAY, HOUR, -HOUR };
#define WRONG	(sizeof(wrong) / sizeof(wrong[0]))

/* Mail of this run is as old as the monotonic clock says, before and after every step. */
static void
of_this_run(void)
{
	size_t i, j;

	for (i = 0; i < WRONG; i++)
		for (j = 0; j < WRONG; j++) {
			int64_t early = NOW + HOUR, late = NOW + 20 * HOUR;

			begin(wrong[i], wrong[j]);
			TEST_INT(age_at(NOW + AT - 1, wall_of(early)), HOUR - 1);
			TEST_INT(age_at(late, wall_of(NOW + 6 * HOUR)), 14 * HOUR);
			/* a step back makes some hours come twice: the later ones may be meant */
			if (wall_of(early) - off[1] < NOW + AT - HOUR / 60)
				TEST_INT(age_at(late, wall_of(early)), 19 * HOUR);
		}
}

/* Older mail: by a wall clock that is right, at the start or later; never less than this run, never more than a wrong clock would make it. */
static void
older(void)
{
	int64_t sent = NOW - DAY, t = NOW + 20 * HOUR, age;
	size_t i;

	for (i = 0; i < WRONG; i++) {
		begin(0, wrong[i]);
		age = age_at(t, sent);
		TEST(age >= t - NOW && age <= t - sent);
		begin(wrong[i], 0);
		age = age_at(t, sent);
		TEST(age >= t - NOW && age <= t - sent);
		begin(0, 0);
		TEST_INT(age_at(t, sent), t - sent);
		/* its own stamp was wrong: it is as old as this run at least */
		TEST(age_at(t, NOW + 3650 * DAY) == t - NOW);
	}
	begin(3650 * DAY, 0);
	TEST_INT(age_at(t, sent), t - sent);
	begin(0, 3650 * DAY);
	TEST_INT(age_at(t, sent), t - sent);
}

/* A clock that is years ahead all along: only the last run's tells so. Once it is right it counts again. */
static void
ahead_all_along(void)
{
	int64_t sent = NOW - DAY, last = NOW - HOUR, t = NOW + 20 * HOUR;

	begin(3650 * DAY, 3650 * DAY);
	TEST(age_at(t, sent) > 3000 * DAY);
	clock_away(&r, last);
	TEST_INT(age_at(t, sent), t - NOW + last - sent);
	TEST_INT(age_at(t, NOW), t - NOW);
	begin(3650 * DAY, 0);
	clock_away(&r, last);
	TEST(age_at(t, sent) <= t - sent && age_at(t, sent) >= t - NOW);
	begin(0, 0);			/* a night is no reason to doubt */
	clock_away(&r, last);
	TEST_INT(age_at(t, sent), t - sent);
	clock_away(&r, 0);
	TEST_INT(age_at(t, sent), t - sent);
}

static void
small_things(void)
{
	int64_t t;
	unsigned i;

	begin(0, 0);
	TEST_INT(age_at(NOW + HOUR, NOW + HOUR + 300), 0);	/* another process looked a little later */
	for (t = 0; t < 1000; t++)				/* brought in step by and by: no step for each */
		clock_note(&r, NOW + t * HOUR, NOW + t * HOUR + t);
	TEST_INT(r.n, 1);
	begin(0, 0);
	for (i = 0; i < 10 * CLOCK_STEPS; i++)			/* a clock that cannot be trusted at all costs no memory */
		clock_note(&r, NOW + i * HOUR, NOW + i % 2 * DAY);
	TEST(r.n <= CLOCK_STEPS);
	TEST(clock_age_in(&r, NOW + i * HOUR, NOW, NOW) >= 0);
}

int
main(void)
{
	of_this_run();
	older();
	ahead_all_along();
	small_things();
	return test_end("clock");
}
