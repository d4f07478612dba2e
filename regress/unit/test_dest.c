/*
 * test_dest: destinations, their windows and rests, the round.
 * links: queue/dest.c queue/message.c queue/clock.c
 */
#include <stdio.h>
#include "dest.h"
#include "ev.h"
#include "test.h"

static int action_index = 3;

static void
policy(struct dest *d)
{
	d->window = 2;
	d->index = d->action[0] == 'x' ? -1 : action_index;
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
	for (i = 1; d->line > 0; i++) {
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

/* A flow has what room there is, and always a few; what is put off comes back one after the other. */
static void
room_in_memory(void)
{
	struct dest *d = dest_get("a", "room.example", 0);
	struct message *m[DEST_LINE_LEAST], *next = from(500, "news@here"), *other = from(501, "clerk@b.test");
	uint32_t first, n, i;
	int64_t now = 1000000, due;

	dest_pace(d, now - 100);
	for (i = 0; i < 64; i++)
		dest_pace(d, now - 100);
	for (i = 0; i < DEST_LINE_LEAST; i++) {
		m[i] = from(i + 1, "news@here");
		TEST(dest_put_off(d, m[i], 0, now) == 0);
		fill(d, m[i]);
	}
	TEST(dest_put_off(d, next, DEST_LINE_LEAST + 1, now) == 0);
	TEST(dest_put_off(d, other, 0, now) == 0);
	TEST(dest_put_off(d, m[DEST_LINE_LEAST - 1], 0, now) == 0);	/* it is in the line already */
	due = dest_put_off(d, next, DEST_LINE_LEAST, now);
	TEST(due > now && due < now + 5000);
	TEST(dest_put_off(d, next, 0, now) >= due + 100);
	for (i = 0; i < 10000; i++)
		due = dest_put_off(d, next, 0, now);
	TEST(due <= now + 300000);
	for (i = 0; d->line > 0; i++) {
		dest_take(d, 1, &first, &n);
		dest_job_done(d);
	}
	for (i = 0; i < DEST_LINE_LEAST; i++)
		message_free(m[i]);
	message_free(next);
	message_free(other);
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
	struct dest *a = dest_get("a", "one.example", 0), *at;
	struct message *m1 = make(1, 2), *m2 = make(2, 1);
	uint32_t first, n;

	fill(a, m1);
	fill(a, m2);
	dest_rest(a, 1, 10000, NULL);
	TEST(dest_next() == NULL);
	TEST_INT(dest_wake_at(), 10000);
	dest_wake(9999);
	TEST(dest_next() == NULL);
	TEST(dest_evict(10000, &at, &first) == NULL);
	TEST(dest_evict(9999, &at, &first) == m1 && at == a && first == 0 && m1->rcpts[0].next == 1);
	TEST(m1->count[R_IDLE] == 2 && m1->rcpts[0].due == 10000);
	dest_rest(a, 1, 10001, NULL);
	dest_wake(10001);
	TEST(dest_next() == a);
	TEST(dest_take(a, 1, &first, &n) == m2);
	dest_job_done(a);
	dest_rest(a, 1, 20000, NULL);
	TEST_INT(dest_get("a", "one.example", 15000)->rest, 20000);
	TEST_INT(dest_get("a", "one.example", 20000)->rest, 0);
	message_free(m1);
	message_free(m2);
}

/* Who is put off is told why, once for all of a message; what an attempt ended with stays. */
static void
reasons(void)
{
	struct dest *a = dest_get("a", "why.example", 0), *at;
	struct message *m = make(1, 4);
	uint32_t first;
	char text[] = "connect to x: refused";
	struct last why = { .code = 0, .dsn = "4.4.1", .text = text, .relay = "x[192.0.2.1]:25", .when = 5 };

	m->rcpts[3].attempts = 1;
	rcpt_last(m, 3, 450, "4.2.1", "busy", "y");
	fill(a, m);
	dest_rest(a, 1, 10000, &why);
	memset(text, '?', sizeof(text) - 1);
	why.text = "later";
	dest_rest(a, 1, 9000, &why);		/* no longer than it rests already: the reason stays too */
	TEST(dest_evict(9999, &at, &first) == m);
	TEST(m->rcpts[0].last != NULL && m->rcpts[0].last == m->rcpts[1].last && m->rcpts[1].last == m->rcpts[2].last);
	TEST_STR(m->rcpts[0].last->text, "4.4.1 connect to x: refused");
	TEST_STR(m->rcpts[0].last->relay, "x[192.0.2.1]:25");
	TEST_INT(m->rcpts[0].last->when, 5);
	TEST_STR(m->rcpts[3].last->text, "busy");
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
	dest_rest_domain("wish.example", 20000);	/* suspended: whatever was wished */
	TEST(a->rest == 20000 && !a->hurry);
	dest_rest_domain("wish.example", 0);
	TEST_INT(a->rest, 0);
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
	dest_drop(m1, 77);
	TEST(m1->count[R_IDLE] == 2 && m1->rcpts[1].due == 77);
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
	int64_t due = 5;

	x = dest_get("a", "three.example", 0);
	fill(x, m);
	action_index = -1;
	dest_regenerate(2, due, gone);
	TEST(taken_out == m && m->count[R_IDLE] == 3);
	action_index = 4;
	dest_regenerate(3, due, gone);
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
	dest_init(policy, 1);
	one_round();
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
