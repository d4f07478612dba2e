/*
 * report: the log line of a recipient, in the shape that people and log readers know from Postfix.
 *
 * Called by job when a recipient is settled. What was handed back unattempted makes no line.
 */
#include <stdio.h>
#include <string.h>
#include "proc/ev.h"
#include "client/job.h"
#include "base/log.h"
#include "mail/qid.h"

static const char *const status[] = { [OUT_SENT] = "sent", [OUT_DEFER] = "deferred", [OUT_BOUNCE] = "bounced",
	[OUT_DAMAGED] = "held" };

struct seconds {
	char s[24];
};

/* "0", "0.3", "12", "1.25": hundredths below ten seconds, tenths below a hundred. */
static struct seconds
seconds(int64_t ms)
{
	struct seconds t;
	size_t n;

	if (ms < 0)
		ms = 0;
	if (ms >= 100 * 1000)
		n = (size_t)snprintf(t.s, sizeof t.s, "%lld.0", (long long)ms / 1000);
	else if (ms >= 10 * 1000)
		n = (size_t)snprintf(t.s, sizeof t.s, "%d.%d", (int)ms / 1000, (int)ms % 1000 / 100);
	else
		n = (size_t)snprintf(t.s, sizeof t.s, "%d.%02d", (int)ms / 1000, (int)ms % 1000 / 10);
	while (t.s[n - 1] == '0')
		t.s[--n] = '\0';
	if (t.s[n - 1] == '.')
		t.s[--n] = '\0';
	return t;
}

/* a/b/c/d: before the queue handed it over; until a connection took it; making that connection; the transaction. */
static void
delays(const struct job *j, char *out, size_t size)
{
	int64_t now = ev_time_ms(), taken = j->taken != 0 ? j->taken : now;
	int64_t wait = taken - j->handed, setup = j->setup < wait ? j->setup : wait;

	snprintf(out, size, "delay=%s, delays=%s/%s/%s/%s", seconds(now - j->arrival).s, seconds(j->handed - j->arrival).s,
	    seconds(wait - setup).s, seconds(setup).s, seconds(now - taken).s);
}

static void
words(const struct verdict *v, const char *relay, char *out, size_t size)
{
	const char *port = strrchr(relay, ':');

	if (v->step == NULL)
		strlcpy(out, v->text, size);
	else if (v->outcome == OUT_SENT)
		snprintf(out, size, "%u %s", v->code, v->text);
	else
		snprintf(out, size, "host %.*s said: %u %s (in reply to %s)", port != NULL ? (int)(port - relay) : 64, relay,
		    v->code, v->text, v->step);
}

void
report(const struct job *j, const struct rcpt *r)
{
	const struct verdict *v = &r->verdict;
	const char *relay = v->relay != NULL ? v->relay : "none";
	bool moved = r->orig[0] != '\0' && strcmp(r->orig, r->addr) != 0;
	char time[160], text[2600];

	if (v->outcome == OUT_NOT_BEFORE)
		return;
	delays(j, time, sizeof time);
	words(v, relay, text, sizeof text);
	log_as(j->local ? "local" : "smtp", LOG_LV_INFO, "%s: to=<%s>,%s%s%s relay=%s, %s, dsn=%s, status=%s (%s)", qid_text(j->id).s,
	    r->addr, moved ? " orig_to=<" : "", moved ? r->orig : "", moved ? ">," : "", relay,
	    time, v->dsn, status[v->outcome], text);
}
