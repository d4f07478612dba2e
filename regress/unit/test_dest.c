/*
 * test_dest: destinations, their windows and rests, the round.
 * links: queue/core/nexthop.c queue/core/nexthop_line.c queue/core/nexthop_rest.c queue/core/round.c queue/core/message.c common/proc/clock.c
 */
#include <stdio.h>
#include <string.h>
#include "core/nexthop.h"
#include "proc/ev.h"
#include "test.h"

static int action_index = 3;

static void
policy(struct dest *d)
{
	d->index = d->action[0] == 'x' ? -1 : action_index;
	if (d->hosts != 0)
		dest_join(d, d->hosts, 20, 40, false);
	else
		dest_join(d, dest_key(d->action, d->domain), 2, 4, strcmp(d->action, "local") == 0);
}

static struct message *
make(uint64_t id, uint32_t n)
{
	struct p_env env = { .id = id, .sender = "s@x" };
	struct message *m = message_new(&env);
	uint32_t i;
	char addr[64];

	for (i = 0; i < n; i++) {
		struct p_env_rcpt r = { .addr = addr, .action = "a" };

		snprintf(addr, sizeof(addr), "u%u@d", i);
		message_add(m, &r, 1);
	}
	message_ready(m, NULL);
	return m;
}

static void
fill(struct dest *d, struct message *m)
{
	uint32_t i;

	for (i = 0; i < m->env.rcpts_n; i++)
		dest_add(d, m, i);
}

static struct message *
from(uint64_t id, const char *sender)
{
	struct message *m = make(id, 1);

	m->env.sender = sender;
	return m;
}

/* Another MX is another policy; with the destination it is forgotten. */
static void
knows_its_mx(void)
{
	struct dest *d = dest_get("a", "Mx.Example", 0);
	int before = action_index;

	TEST(dest_mx("a", "mx.example") == NULL);
	dest_set_mx(d, "mx1.test");
	TEST_STR(dest_mx("a", "MX.example"), "mx1.test");
	TEST(dest_mx("b", "mx.example") == NULL);
	action_index = before + 1;
	dest_set_mx(d, "mx1.test");
	TEST_INT(d->index, before);
	dest_set_mx(d, "mx2.test");
	TEST_INT(d->index, before + 1);
	TEST_STR(dest_mx("a", "mx.example"), "mx2.test");
	action_index = before;
}

/* A newsletter of 40 and one letter: the letter is not behind it. */
static void
senders_take_turns(void)
{
	struct dest *d = dest_get("a", "senders.example", 0);
	struct message *news[40], *letter = from(1000, "clerk@b.test");
	uint32_t first, n, i, place = 0;

	for (i = 0; i < 40; i++) {
		news[i] = from(i + 1, "news@here");
		fill(d, news[i]);
	}
	fill(d, letter);
	TEST_INT(d->line, 41);
	for (i = 1; dest_next() == d; i++) {
		if (dest_take(d, 1, &first, &n) == letter)
			place = i;
		dest_job_done(d);
	}
	TEST(place >= 1 && place <= 2);
	TEST_INT(i, 42);
	for (i = 0; i < 40; i++)
		message_free(news[i]);
	message_free(letter);
}

static void
room_in_memory(void)
{
	struct dest *d = dest_get("a", "room.example", 0);
	struct message *m[DEST_LINE_LEAST], *next = from(500, "news@here");
	uint32_t first, n, i;

	for (i = 0; i < DEST_LINE_LEAST; i++) {
		m[i] = from(i + 1, "news@here");
		TEST(dest_room(d, m[i], 0));
		fill(d, m[i]);
	}
	TEST(dest_room(d, next, DEST_LINE_LEAST + 1));
	TEST(!dest_room(d, next, DEST_LINE_LEAST));
	for (i = 0; d->line > 0; i++) {
		dest_take(d, 1, &first, &n);
		dest_job_done(d);
	}
	TEST(dest_room(d, next, 0));
	for (i = 0; i < DEST_LINE_LEAST; i++)
		message_free(m[i]);
	message_free(next);
}

/* A letter to one domain of a group is not behind a newsletter to thirty others of it. */
static void
senders_take_turns_in_a_group(void)
{
	struct message *news[30], *letter = from(1000, "clerk@b.test");
	struct dest *d[31], *next;
	uint32_t first, n, i, place = 0;
	char name[32];

	for (i = 0; i < 31; i++) {
		snprintf(name, sizeof(name), "g%u.example", i);
		d[i] = dest_get("a", name, 0);
		dest_set_hosts(d[i], 77, 0);
	}
	for (i = 0; i < 30; i++)
		fill(d[i], news[i] = from(i + 1, "news@here"));
	fill(d[30], letter);
	for (i = 1; (next = dest_next()) != NULL; i++) {
		if (dest_take(next, 1, &first, &n) == letter)
			place = i;
		dest_job_done(next);
	}
	TEST(place >= 1 && place <= 2);
	TEST_INT(i, 32);
	for (i = 0; i < 30; i++)
		message_free(news[i]);
	message_free(letter);
}

/* However much one group has, and though it gets nothing done, the share of another and local mail have places. */
static void
shares(void)
{
	struct dest *mute = dest_get("a", "mute.example", 0), *other = dest_get("a", "mute2.example", 0), *fine = dest_get("a", "fine.example", 0);
	struct dest *box = dest_get("local", "here.example", 0);
	struct message *m[40], *f = make(100, 1), *l = make(101, 1);
	unsigned i, flew = 0;
	uint32_t first, n;

	dest_set_hosts(mute, 5, 0);
	dest_set_hosts(other, 5, 0);
	for (i = 0; i < 40; i++)
		fill(i % 2 == 0 ? mute : other, m[i] = make(i + 1, 1));
	for (; dest_next() != NULL; flew++)
		dest_take(dest_next(), 1, &first, &n);
	TEST_INT(flew, 5);			/* of 10 */
	fill(fine, f);
	fill(box, l);
	TEST(dest_next() == fine || dest_next() == box);
	dest_take(dest_next(), 1, &first, &n);
	dest_take(dest_next(), 1, &first, &n);
	TEST(f->count[R_FLYING] == 1 && l->count[R_FLYING] == 1);
	dest_job_done(fine);
	dest_job_done(box);
	while (mute->flying > 0)
		dest_job_done(mute);
	while (other->flying > 0)
		dest_job_done(other);
	while (dest_next() != NULL) {
		struct dest *d = dest_next();

		dest_take(d, 1, &first, &n);
		dest_job_done(d);
	}
	for (i = 0; i < 40; i++)
		message_free(m[i]);
	message_free(f);
	message_free(l);
}

/* A rate is the group's: what deliver sent back rests, and no more is in flight than it kept; each that goes through makes room for one more. */
static void
rates(void)
{
	struct dest *d = dest_get("a", "rate.example", 0);
	struct message *m[6];
	uint32_t first, n;
	unsigned i;

	dest_set_hosts(d, 9, 0);
	for (i = 0; i < 6; i++)
		fill(d, m[i] = make(i + 1, 1));
	for (i = 0; i < 3; i++)
		dest_take(dest_next(), 1, &first, &n);
	round_slow(d->group, 500);
	dest_job_done(d);
	TEST(dest_next() == NULL);
	TEST_INT(dest_wake(400), 500);
	dest_wake(500);
	TEST(dest_next() == NULL);		/* two fly: as many as were kept */
	dest_job_done(d);
	dest_good(d);
	TEST(dest_next() == d);
	while (d->line > 0)
		dest_take(d, 1, &first, &n);
	while (d->flying > 0)
		dest_job_done(d);
	for (i = 0; i < 6; i++)
		message_free(m[i]);
}

/* What waits in the index is wanted when it is due, the line in memory is short and there is no rest; and read on from where it was. */
static void
stored(void)
{
	struct dest *d = dest_get("a", "stored.example", 0);
	unsigned n = 0;

	dest_wake(1000);
	dest_stored(d, 2000, 7);
	TEST(dest_wants(1000, &n) == NULL);
	TEST_INT(dest_wake(1999), 2000);
	dest_wake(2000);
	TEST(dest_wants(1000, &n) == d && n == DEST_PULL);
	TEST(dest_wants(160, &n) == d && n == 10);
	TEST(dest_wants(1, &n) == d && n == 1);		/* it could send */
	dest_rest(d, 2000, 5000, NULL);
	TEST(dest_wants(1000, &n) == NULL);
	TEST_INT(dest_wake(4000), 5000);
	dest_stored(d, 3000, 8);			/* nothing is read for what comes meanwhile */
	TEST(dest_wants(1000, &n) == NULL);
	dest_wake(5000);
	TEST(dest_wants(1000, &n) == d);
	dest_read(d, 3000, 8, INT64_MAX);
	TEST(dest_wants(1000, &n) == NULL);
	dest_stored(d, 3000, 8);			/* it came back as it was */
	TEST(d->at.due < 3000 && dest_wants(1000, &n) == d);
	dest_suspend("stored.EXAMPLE", true);
	TEST(dest_wants(1000, &n) == NULL);
	TEST_INT(dest_wake(6000), INT64_MAX);
	dest_suspend("stored.example", false);
	TEST(dest_wants(1000, &n) == d);
	dest_read(d, 3000, 8, INT64_MAX);
}

/* One of two domains of the same hosts gets through: what rests for the other is over, and what waits for its time is looked at. */
static void
success_wakes(void)
{
	struct last why = { .dsn = "4.4.1", .text = "refused", .relay = "x" };
	struct dest *a = dest_get("a", "up.example", 0), *b = dest_get("a", "down.example", 0), *c = dest_get("a", "elsewhere.example", 0);
	unsigned n;

	dest_set_hosts(a, 12, 0);
	dest_set_hosts(b, 12, 0);
	dest_set_hosts(c, 13, 0);
	dest_rest(b, 7000, 90000, &why);
	dest_rest(c, 7000, 90000, &why);
	TEST(dest_rests(b, 7000));
	dest_good(a);
	TEST(!dest_rests(b, 7000) && b->early.on && dest_rests(c, 7000) && !c->early.on);
	TEST(dest_wants(1000, &n) == b);
	dest_early_over(b);
	TEST(dest_wants(1000, &n) == NULL);
}

/* What waits untried behind a rest is counted; the walk that counts begins with each rest. */
static void
ages(void)
{
	struct last why = { .dsn = "4.4.1", .text = "refused", .relay = "x" };
	struct dest *d = dest_get("a", "ages.example", 0);
	uint64_t before = dest_untried();

	dest_stored(d, 1, 7);
	dest_rest(d, 8000, 9000, NULL);
	TEST(dest_aging() == NULL);			/* no host's fault: nothing is given up */
	dest_rest(d, 8000, 9500, &why);
	TEST(dest_aging() == d && d->ages.on);
	dest_waits_untried(d, 5);
	dest_aged(d);
	TEST(dest_aging() == NULL && dest_untried() == before + 5);
	dest_rest(d, 8000, 9900, &why);
	TEST(dest_aging() == d && dest_untried() == before);
	dest_wake(9900);
	TEST(dest_aging() == NULL && dest_untried() == before);
	dest_read(d, 1, 7, INT64_MAX);
}

static void
one_round(void)
{
	struct dest *a = dest_get("a", "One.example", 0), *b = dest_get("a", "two.example", 0);
	struct message *m1 = make(1, 250), *m2 = make(2, 1), *m3 = make(3, 1);
	uint32_t first, n;

	TEST(a == dest_get("a", "oNE.EXAMPLE", 0));
	TEST(a != dest_get("b", "one.example", 0));
	fill(a, m1);
	fill(b, m2);
	fill(b, m3);
	TEST_INT(m1->count[R_QUEUED], 250);
	TEST(dest_next() == a);
	TEST(dest_take(a, DEST_JOB, &first, &n) == m1);
	TEST(first == 0 && n == 100 && m1->count[R_FLYING] == 100);
	TEST(dest_next() == b);
	TEST(dest_take(b, DEST_JOB, &first, &n) == m2 && n == 1);
	TEST(dest_next() == a);
	TEST(dest_take(a, DEST_JOB, &first, &n) == m1 && first == 100);
	TEST(dest_next() == b);			/* a's window is full */
	TEST(dest_take(b, DEST_JOB, &first, &n) == m3);
	TEST(dest_next() == NULL);
	dest_job_done(a);
	TEST(dest_next() == a);
	TEST(dest_take(a, DEST_JOB, &first, &n) == m1 && first == 200 && n == 50);
	TEST(m1->rcpts[249].next == UINT32_MAX && m1->rcpts[199].next == UINT32_MAX);
	TEST_INT(m1->count[R_FLYING], 250);
	dest_job_done(a);
	dest_job_done(a);
	dest_job_done(b);
	dest_job_done(b);
	TEST(dest_next() == NULL);
	TEST_INT(dest_count(), 0);
	message_free(m1);
	message_free(m2);
	message_free(m3);
}

static void
rests(void)
{
	struct dest *a = dest_get("a", "one.example", 0), *b = dest_get("a", "two.example", 0);
	struct message *m1 = make(1, 2), *m2 = make(2, 1), *both = make(3, 2);
	uint32_t first, n;

	m1->rcpts[0].due = m1->rcpts[1].due = 70;
	fill(a, m1);
	fill(a, m2);
	dest_add(a, both, 0);
	dest_add(b, both, 1);
	dest_rest(a, 1, 10000, NULL);
	TEST(dest_next() == b);
	TEST_INT(dest_wake(1), 10000);
	TEST(dest_evict(10000) == NULL);
	TEST(dest_evict(9999) == m1);
	TEST(m1->count[R_IDLE] == 2 && m1->rcpts[0].due == 70 && m1->look <= 70);	/* as it was: its row need not be written again */
	TEST(dest_evict(9999) == m2);
	TEST(dest_evict(9999) == NULL);		/* of the other something is on its way */
	dest_add(a, m2, 0);
	dest_rest(a, 1, 10001, NULL);
	dest_wake(10000);
	TEST(a->rest != 0);
	dest_wake(10001);
	TEST(a->rest == 0);
	while (dest_next() != NULL) {
		struct dest *d = dest_next();

		dest_take(d, 2, &first, &n);
		dest_job_done(d);
	}
	TEST(m2->count[R_FLYING] == 1 && both->count[R_FLYING] == 2);
	dest_rest(a, 1, 20000, NULL);
	TEST_INT(dest_get("a", "one.example", 15000)->rest, 20000);
	TEST_INT(dest_get("a", "one.example", 20000)->rest, 0);
	message_free(m1);
	message_free(m2);
	message_free(both);
}

/* Who is told why he waits is told once, and all of a message share it; what an attempt ended with stays. */
static void
reasons(void)
{
	struct dest *a = dest_get("a", "why.example", 0);
	struct message *m = make(1, 4);
	char text[] = "connect to x: refused";
	struct last why = { .code = 0, .dsn = "4.4.1", .text = text, .relay = "x[192.0.2.1]:25", .when = 5 };
	const struct last *told;
	uint32_t i;

	m->rcpts[3].attempts = 1;
	rcpt_last(m, 3, 450, "4.2.1", "busy", "y");
	dest_rest(a, 1, 10000, &why);
	memset(text, '?', sizeof(text) - 1);
	why.text = "later";
	dest_rest(a, 1, 9000, &why);		/* no longer than it rests already: the reason stays too */
	TEST_STR(a->why->full, "4.4.1 connect to x: refused");
	for (i = 0; i < 4; i++)
		rcpt_reason(m, i, a->why);
	TEST(m->rcpts[0].last != NULL && m->rcpts[0].last == m->rcpts[1].last && m->rcpts[1].last == m->rcpts[2].last);
	TEST_STR(m->rcpts[0].last->text, "4.4.1 connect to x: refused");
	TEST_STR(m->rcpts[0].last->relay, "x[192.0.2.1]:25");
	TEST_INT(m->rcpts[0].last->when, 5);
	TEST_STR(m->rcpts[3].last->text, "busy");
	told = m->rcpts[0].last;
	a->why->when = 6;
	rcpt_reason(m, 0, a->why);
	TEST(m->rcpts[0].last == told);		/* the same again is no news */
	TEST(dest_get("a", "why.example", 10000)->why == NULL);
	strlcpy(why.dsn, DSN_OURS, sizeof(why.dsn));
	rcpt_reason(m, 3, &why);
	TEST_STR(m->rcpts[3].last->text, DSN_OURS " later");
	message_free(m);
}

/* Two destinations by turns: two answers are kept, not one for each recipient. */
static void
shared_answers(void)
{
	struct message *m = make(1, 40);
	uint32_t i;

	for (i = 0; i < 40; i++)
		rcpt_last_at(m, i, 450, "4.2.0", i % 2 == 0 ? "one" : "two", "", 7);
	for (i = 2; i < 40; i++)
		TEST(m->rcpts[i].last == m->rcpts[i % 2].last);
	TEST(m->rcpts[0].last != m->rcpts[1].last);
	message_free(m);
}

/* A wish ends a rest that began before it, once; a rest that began after it holds. */
static void
wishes(void)
{
	struct dest *a = dest_get("a", "wish.example", 0), *b = dest_get("a", "other.example", 0);

	dest_rest(a, 100, 10000, NULL);
	dest_rest(b, 100, 10000, NULL);
	dest_ask(a, 99);
	TEST(a->rest == 10000 && !a->hurry);
	dest_ask(a, 200);
	TEST(a->rest == 0 && a->hurry);
	TEST_INT(b->rest, 10000);
	dest_rest(a, 201, 10000, NULL);		/* the outcome of a job from before */
	TEST_INT(a->rest, 0);
	a->hurry = false;			/* its job was sent */
	dest_rest(a, 202, 10000, NULL);
	dest_ask(a, 200);			/* the next recipient of the same wish */
	TEST(a->rest == 10000 && !a->hurry);
	dest_ask(a, 300);
	TEST(a->rest == 0 && a->hurry);
	dest_suspend("wish.example", true);	/* whatever was wished */
	TEST(dest_rests(a, INT64_MAX - 1) && !a->hurry);
	dest_suspend("wish.example", false);
	TEST(!dest_rests(a, 0));
}

static void
drops(void)
{
	struct dest *a = dest_get("a", "one.example", 0), *b = dest_get("a", "two.example", 0);
	struct message *m1 = make(1, 2), *m2 = make(2, 1);
	uint32_t first, n;

	dest_add(a, m1, 0);
	dest_add(b, m1, 1);
	fill(a, m2);
	TEST(dest_hurry(m2) == a);
	dest_drop(m1);
	TEST_INT(m1->count[R_IDLE], 2);
	TEST_INT(dest_count(), 1);
	TEST(dest_hurry(m1) == NULL);
	TEST(dest_take(a, 1, &first, &n) == m2);
	dest_job_done(a);
	message_free(m1);
	message_free(m2);
}

static struct message *taken_out;

static void
gone(struct message *m)
{
	taken_out = m;
}

static void
generations(void)
{
	struct dest *x;
	struct message *m = make(9, 3);

	x = dest_get("a", "three.example", 0);
	fill(x, m);
	action_index = -1;
	dest_regenerate(2, gone);
	TEST(taken_out == m && m->count[R_IDLE] == 3);
	action_index = 4;
	dest_regenerate(3, gone);
	TEST_INT(dest_get("a", "three.example", 0)->index, 4);
	message_free(m);
}

/* Idle destinations are bounded. */
static void
many(void)
{
	char name[64];
	int i;

	for (i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "d%d.example", i);
		TEST(dest_get("a", name, 0) != NULL);
	}
	TEST_INT(dest_count(), 0);
}

int
main(void)
{
	ev_init();
	round_init(10, 10);
	dest_init(policy, 1);
	one_round();
	senders_take_turns_in_a_group();
	shares();
	rates();
	stored();
	success_wakes();
	ages();
	knows_its_mx();
	senders_take_turns();
	room_in_memory();
	rests();
	reasons();
	shared_answers();
	wishes();
	drops();
	generations();
	many();
	return test_end("test_dest");
}
