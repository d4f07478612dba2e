/*
 * control_pause: pause and resume of one half of the work, or both.
 *
 * Called as control_pause.h says. What is paused is suspend.c's to know and to keep; what follows is done here: the scheduler gives no
 * more jobs, the parent tells the listeners. That is told anew at each start of the queue, since either side may be a new one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "program/child.h"
#include "conf/conf_parse.h"
#include "control/pause.h"
#include "proc/ev.h"
#include "base/log.h"
#include "core/sched.h"
#include "control/show.h"

MSG_SENDER(QUEUE_TO_PARENT)

static const char *const halves[] = { DELIVERY, LISTENERS };
#define HALVES	(sizeof(halves) / sizeof(halves[0]))

/* ---- in words ---- */

static int64_t
ends_at(int64_t left)
{
	return (ev_time_ms() + left) / 1000;
}

void
pause_text(struct buf *b, const char *half)
{
	int64_t left = suspend_left(SUSPEND_HALF, half);
	time_t end;
	char date[64];
	struct tm tm;

	buf_adds(b, left == 0 ? "running" : "paused");
	if (left == 0 || left == SUSPEND_ALWAYS)
		return;
	end = (time_t)ends_at(left);
	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", localtime_r(&end, &tm));
	buf_addf(b, " until %s (for %s)", date, span(left).s);
}

void
pause_json(struct buf *b, const char *half)
{
	int64_t left = suspend_left(SUSPEND_HALF, half);

	buf_addf(b, "\"%s\": \"%s\"", half, left == 0 ? "running" : "paused");
	if (left != 0 && left != SUSPEND_ALWAYS)
		buf_addf(b, ", \"%s_until\": %lld", half, (long long)ends_at(left));
}

/* ---- what follows ---- */

static void
follow(const char *half)
{
	struct p_number paused = { .value = suspend_has(SUSPEND_HALF, half) };

	if (strcmp(half, DELIVERY) == 0) {
		sched_pause(paused.value);
		ev_wake();
	} else if (child_parent() != NULL)
		send_PAUSE_LISTENERS(child_parent(), 0, &paused, -1);
}

static void
log_half(const char *half, const char *who)
{
	struct buf b = BUF_INIT;

	pause_text(&b, half);
	log_info("%s %s%s", half, buf_str(&b), who);
	buf_free(&b);
}

void
control_pause_ended(enum suspend_kind kind, const char *half)
{
	(void)kind;
	log_half(half, " again: the time it was paused for is over");
	follow(half);
}

void
control_pause_init(void)
{
	size_t i;

	for (i = 0; i < HALVES; i++) {
		if (suspend_has(SUSPEND_HALF, halves[i]))
			log_half(halves[i], ", as an administrator said before this start");
		follow(halves[i]);
	}
}

/* ---- the verbs ---- */

static void
say_half(struct client *c, const char *half)
{
	struct buf b = BUF_INIT;

	if (c->json) {
		buf_adds(&b, "{");
		pause_json(&b, half);
		buf_adds(&b, "}");
	} else {
		buf_addf(&b, "%s: ", half);
		pause_text(&b, half);
	}
	say_buf(c, &b);
	buf_free(&b);
}

static void
turn(struct client *c, const char *half, int64_t ms)
{
	char who[40];

	suspend_set(SUSPEND_HALF, half, ms);
	snprintf(who, sizeof(who), ", by uid %u", c->uid);
	log_half(half, who);
	follow(half);
}

/* -> the half's place in the list, HALVES: both; -1: neither, the client is told */
static int
which(struct client *c, const char *word)
{
	size_t i;

	for (i = 0; i < HALVES; i++)
		if (strcmp(word, halves[i]) == 0)
			return (int)i;
	complain(c, "%s: say %s or %s, or neither for both", word, DELIVERY, LISTENERS);
	return -1;
}

/* --for TIME: -> ms; -1: it is wrong, the client is told */
static int64_t
span_of(struct client *c, const char *text)
{
	uint64_t ms;
	const char *wrong = text == NULL ? "needs a time, such as 30m or 2h" : conf_time(text, &ms);

	if (wrong == NULL && ms > 0)
		return (int64_t)ms;
	complain(c, "--for%s%s: %s", text != NULL ? " " : "", text != NULL ? text : "", wrong != NULL ? wrong : "that is no time at all");
	return -1;
}

static bool
is_meant(int half, size_t i)
{
	return half == (int)HALVES || half == (int)i;
}

/* The disk has it, or has refused it. */
static bool
turned_step(struct client *c)
{
	size_t i;

	if (suspend_error() != 0)
		complain(c, "this holds until Postern is started again, since it could not be written: %s", strerror(suspend_error()));
	for (i = 0; i < HALVES; i++)
		if (is_meant((int)c->at, i))
			say_half(c, halves[i]);
	return true;
}

static void
turn_all(struct client *c, int half, int64_t ms)
{
	size_t i;

	for (i = 0; i < HALVES; i++)
		if (is_meant(half, i))
			turn(c, halves[i], ms);
	c->at = (uint64_t)half;
	c->errand = suspend_ticket();
	c->step = turned_step;
	ev_wake();
}

void
verb_pause(struct client *c, char **argv, int argc)
{
	int64_t ms = SUSPEND_ALWAYS;
	int half = (int)HALVES, i;

	for (i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--for") == 0)
			ms = span_of(c, i + 1 < argc ? argv[i + 1] : NULL), i++;
		else
			half = which(c, argv[i]);
		if (ms == -1 || half == -1) {
			client_done(c, 64);
			return;
		}
	}
	turn_all(c, half, ms);
}

void
verb_resume(struct client *c, char **argv, int argc)
{
	int half = argc > 0 ? which(c, argv[0]) : (int)HALVES;

	if (half == -1)
		client_done(c, 64);
	else
		turn_all(c, half, 0);
}
