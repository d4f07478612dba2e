/*
 * control_act: queue retry, hold, release, remove, bounce, expire, reroute.
 *
 * Called by control_verbs, and by control_suspend for what waited for what is resumed. First the selection is walked and counted, and its
 * messages remembered (--dry-run ends here); then each of them is loaded and its recipients asked again, as they are by then. Both in
 * slices of a turn, and no more messages at once in memory than the scheduler likes. "retry all" is the index's own: it need not load what
 * waits, and ends every rest; a narrower one ends those of its own destinations (dest_ask).
 */
#include <stdlib.h>
#include <string.h>
#include "child.h"
#include "ev.h"
#include "index.h"
#include "load.h"
#include "log.h"
#include "qid.h"
#include "query.h"
#include "control_queue.h"
#include "ready.h"
#include "sched.h"

#define ROOM	(READY_MAX / 2)

static const struct { const char *name, *did; } words[] = { [ACT_RETRY] = { "retry", "tried again" }, [ACT_HOLD] = { "hold", "held" },
	[ACT_RELEASE] = { "release", "released" }, [ACT_REMOVE] = { "remove", "removed" },
	[ACT_BOUNCE] = { "bounce", "returned to the sender" }, [ACT_EXPIRE] = { "expire", "given up" },
	[ACT_REROUTE] = { "reroute", "routed anew" }, [ACT_RETRY_HELD] = { "retry", "tried again" } };

/* ---- the answer ---- */

static void
nothing(struct client *c, const struct query *q)
{
	if (q->resumed) {
		client_done(c, 0);
		return;
	}
	if (q->s.has_id)
		complain(c, "%s: no such message in the queue", qid_text(q->s.id).s);
	else if (c->json)
		say(c, "{\"messages\": 0, \"recipients\": 0}");
	else
		say(c, "nothing in the queue is meant by this");
	client_done(c, 1);
}

static void
selected(struct client *c, const struct query *q)
{
	if (c->json && q->s.dry)
		say(c, "{\"dry_run\": true, \"messages\": %llu, \"recipients\": %llu}", (unsigned long long)q->messages,
		    (unsigned long long)q->recipients);
	else if (!c->json)
		say(c, "selected: %s, %s%s", plural(q->messages, "message").s, plural(q->recipients, "recipient").s,
		    q->s.dry ? "; nothing was changed" : "");
}

static void
acted(struct client *c, const struct query *q)
{
	const char *did = words[q->act].did;

	log_info("queue %s: %s, %s, by uid %u", words[q->act].name, plural(q->done_messages, "message").s,
	    plural(q->done_recipients, "recipient").s, c->uid);
	if (c->json)
		say(c, "{\"messages\": %llu, \"recipients\": %llu, \"under_way\": %llu}", (unsigned long long)q->done_messages,
		    (unsigned long long)q->done_recipients, (unsigned long long)q->later);
	else
		say(c, "%s, %s %s", plural(q->done_messages, "message").s, plural(q->done_recipients, "recipient").s, did);
	if (q->later > 0 && !c->json)
		say(c, "of them %s under way: what is not delivered now is %s when it returns", plural(q->later, "delivery").s, did);
	client_done(c, q->done_recipients > 0 || q->resumed ? 0 : 1);
}

/* ---- steps ---- */

static bool
wants(void *arg, const struct message *m, uint32_t n)
{
	return query_wants(arg, m, n);
}

static void
act_on(struct query *q, uint64_t id, uid_t by)
{
	struct message *m = load_message(id);
	uint32_t n, later = 0;

	if (m == NULL)
		return;
	n = act_message(m, q->act, q->now, wants, q, &later);
	q->done_messages += n > 0;
	q->done_recipients += n;
	q->later += later;
	if (n > 0)
		log_info("%s: %s, %s, by uid %u", qid_text(id).s, words[q->act].did, plural(n, "recipient").s, by);
}

static bool
act_step(struct client *c)
{
	struct query *q = c->query;
	uint64_t id;

	while (!control_overrun() && ready_count() < ROOM) {
		if (!idset_next(q->seen, &q->at, &id)) {
			acted(c, q);
			return true;
		}
		act_on(q, id, c->uid);
	}
	return false;
}

static bool
count_step(struct client *c)
{
	struct query *q = c->query;

	while (query_page(q, QUERY_PAGE, NULL, NULL))
		if (control_overrun())
			return false;
	if (q->messages == 0) {
		nothing(c, q);
		return true;
	}
	selected(c, q);
	if (q->s.dry) {
		client_done(c, 0);
		return true;
	}
	c->step = act_step;
	return false;
}

static void
begin(struct client *c, char **argv, int argc, enum act act)
{
	struct query *q = query_begin(c, argv, argc, WALK_NEED_KEY, true, true);

	if (q == NULL)
		return;
	q->act = act;
	c->step = count_step;
}

/* ---- the verbs ---- */

static void
retry_in_memory(struct message *m, void *arg)
{
	uint32_t i;

	(void)arg;
	for (i = 0; i < m->env.rcpts_n; i++)
		if (m->rcpts[i].state == R_IDLE)
			m->rcpts[i].due = INT64_MIN;
	sched_queue(m);
}

static void
retry_all(struct client *c, struct query *q)
{
	struct index_count n = { 0 };

	index_counts(control_index(), &n);
	q->messages = n.messages;
	q->recipients = n.recipients - n.held;
	if (q->recipients == 0) {
		nothing(c, q);
		return;
	}
	selected(c, q);
	q->done_messages = index_retry(control_index(), 0);
	q->done_recipients = q->recipients;
	ready_each(retry_in_memory, NULL);
	load_all_again();
	acted(c, q);
}

void
verb_retry(struct client *c, char **argv, int argc)
{
	struct query *q;

	begin(c, argv, argc, ACT_RETRY);
	q = c->query;
	if (c->closing)
		return;
	if (q->s.has_id)
		q->act = ACT_RETRY_HELD;
	if (q->s.whole && !q->s.dry) {
		sched_wake_all();
		c->step = NULL;
		retry_all(c, q);
	}
}

void
verb_hold(struct client *c, char **argv, int argc)
{
	begin(c, argv, argc, ACT_HOLD);
}

void
verb_release(struct client *c, char **argv, int argc)
{
	begin(c, argv, argc, ACT_RELEASE);
}

void
verb_remove(struct client *c, char **argv, int argc)
{
	begin(c, argv, argc, ACT_REMOVE);
}

void
verb_bounce(struct client *c, char **argv, int argc)
{
	begin(c, argv, argc, ACT_BOUNCE);
}

void
verb_expire(struct client *c, char **argv, int argc)
{
	begin(c, argv, argc, ACT_EXPIRE);
}

void
verb_reroute(struct client *c, char **argv, int argc)
{
	begin(c, argv, argc, ACT_REROUTE);
}

/* What waited for this is tried at once; nothing to do is no failure. */
void
retry_resumed(struct client *c, char *what)
{
	begin(c, &what, 1, ACT_RETRY);
	((struct query *)c->query)->resumed = true;
}
