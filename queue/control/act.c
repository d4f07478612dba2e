/*
 * control_act: queue retry, hold, release, remove, bounce, expire, reroute.
 *
 * Called by control_verbs, and by control_suspend for what waited for what is resumed. First the selection is walked and counted, and its
 * messages remembered (--dry-run ends here); then each of them is loaded and its recipients asked again, as they are by then. Both in
 * slices of a turn, and no more messages at once in memory than the scheduler likes. "retry all" is load.c's: its answer does not wait for
 * what is brought in, and it ends every rest; a narrower one ends those of its own destinations (dest_ask).
 */
#include <string.h>
#include "control/queue.h"
#include "proc/ev.h"
#include "index/index.h"
#include "core/load.h"
#include "base/log.h"
#include "mail/qid.h"
#include "control/query.h"
#include "core/ready.h"
#include "core/rows.h"
#include "core/sched.h"

#define PROGRESS	1000		/* messages, after which the client is told how far it is */

/* ---- the answer ---- */

static void
nothing(struct client *c, const struct query *q)
{
	if (q->resumed) {
		client_done(c, 0);
		return;
	}
	if (q->s.nids == 1)
		complain(c, "%s: no such message in the queue", qid_text(q->s.ids[0]).s);
	else if (!c->json)
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
	const char *did = act_words[q->act].did;

	log_info("queue %s: %s, %s, by uid %u", act_words[q->act].name, plural(q->done_messages, "message").s,
	    plural(q->done_recipients, "recipient").s, c->uid);
	if (c->json)
		say(c, "{\"messages\": %llu, \"recipients\": %llu, \"under_way\": %llu, \"replaced\": %llu}",
		    (unsigned long long)q->done_messages, (unsigned long long)q->done_recipients, (unsigned long long)q->later,
		    (unsigned long long)q->replaced);
	else
		say(c, "%s, %s %s", plural(q->done_messages, "message").s, plural(q->done_recipients, "recipient").s, did);
	if (q->later > 0 && !c->json)
		say(c, "of them %s under way: what is not delivered now is %s when it returns", plural(q->later, "delivery").s, did);
	if (q->replaced > 0 && !c->json)
		say(c, "for %s this replaces an earlier command that waited", plural(q->replaced, "recipient").s);
	client_done(c, q->done_recipients > 0 || q->resumed ? 0 : 1);
}

/* ---- steps ---- */

static bool
wants(void *arg, const struct message *m, uint32_t n)
{
	return query_wants(arg, m, n);
}

static void
done_with(struct client *c, struct query *q)
{
	uid_t by = c->uid;
	const struct acting *a = &q->acting;

	q->done_messages += a->done > 0;
	q->done_recipients += a->done;
	q->later += a->later;
	q->replaced += a->replaced;
	if (a->done > 0)
		log_info("%s: %s, %s, by uid %u", qid_text(q->turn).s, act_words[q->act].did, plural(a->done, "recipient").s, by);
	q->turn = 0;
	if (a->done > 0 && q->done_messages % PROGRESS == 0 && !c->json)
		say(c, "%llu of %s", (unsigned long long)q->done_messages, plural(q->messages, "message").s);
}

/* A part of the message whose turn it is. -> false: it must be loaded first, which goes on by itself */
static bool
act_on(struct client *c, struct query *q)
{
	struct message *m;
	enum load found;

	if (q->acting.m == NULL) {
		if ((found = load_slowly(q->turn, &m)) == LOAD_WAIT)
			return false;
		if (found == LOAD_NONE) {
			q->turn = 0;
			return true;
		}
		act_begin(&q->acting, m, q->act, q->now, wants, q);
	}
	if (act_part(&q->acting))
		done_with(c, q);
	return true;
}

static bool
acted_step(struct client *c)
{
	acted(c, c->query);
	return true;
}

/* Rows and marks are on their way; the answer comes when no kill takes them back. */
static bool
store_step(struct client *c)
{
	c->stored = index_soon(control_index());
	c->step = acted_step;
	return false;
}

/* Who is told that it is done finds it so in the index: the rows of many recipients are written by and by. */
static bool
act_step(struct client *c)
{
	struct query *q = c->query;

	while (!control_overrun()) {
		if (q->turn == 0 && !idset_next(q->seen, &q->at, &q->turn)) {
			c->ticket = rows_ticket();
			c->step = store_step;
			ev_wake();
			return false;
		}
		if (!act_on(c, q))
			return false;
	}
	return false;
}

static bool
count_step(struct client *c)
{
	struct query *q = c->query;

	if (!query_walk(q, NULL, NULL))
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

void
act_on_selection(struct client *c, char **argv, int argc, enum act act)
{
	struct query *q = query_begin(c, argv, argc, WALK_NEED_KEY, true, true);

	if (q == NULL)
		return;
	q->act = act;
	c->step = count_step;
}

/* ---- the verbs ---- */

/* What waits need not be loaded for the answer: it is brought in by and by. What is held is not meant, with --dry-run as without. */
static void
retry_all(struct client *c, struct query *q)
{
	struct totals n = view_totals(control_index());

	q->done_messages = q->messages = n.messages;
	q->done_recipients = q->recipients = n.recipients - n.held;
	if (q->recipients == 0) {
		nothing(c, q);
		return;
	}
	selected(c, q);
	if (q->s.dry) {
		client_done(c, 0);
		return;
	}
	load_retry_all();
	acted(c, q);
}

void
verb_retry(struct client *c, char **argv, int argc)
{
	struct query *q;

	act_on_selection(c, argv, argc, ACT_RETRY);
	q = c->query;
	if (c->closing)
		return;
	if (q->s.nids > 0)
		q->act = ACT_RETRY_HELD;
	if (q->s.whole) {
		if (!q->s.dry)
			sched_wake_all();
		c->step = NULL;
		retry_all(c, q);
	}
}

/* The table of verbs has this in rows whose second word is the name of an act. */
void
verb_act(struct client *c, char **argv, int argc)
{
	enum act act = ACT_RETRY;

	while (act < ACT__N && strcmp(act_words[act].name, c->sub) != 0)
		act++;
	if (act == ACT__N)
		fatalx("\"%s\" is no act", c->sub);
	act_on_selection(c, argv, argc, act);
}

/* What waited for this is tried at once; nothing to do is no failure. */
void
retry_resumed(struct client *c, char *what)
{
	act_on_selection(c, &what, 1, ACT_RETRY);
	((struct query *)c->query)->resumed = true;
}
