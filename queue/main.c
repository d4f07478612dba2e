/*
 * main of postern-queue: stores, schedules, writes bounces, serves the control socket; owns the spool directory.
 *
 * Started by the parent as every program is (child.h), in the spool directory. Ends when the parent's edge closes, or when the
 * index is broken: the next start makes it whole again, from the segments at worst.
 */
#include "core/archive.h"
#include "notice/bounce.h"
#include "program/child.h"
#include "proc/clock.h"
#include "control/control.h"
#include "control/pause.h"
#include "core/damage.h"
#include "notice/doubles.h"
#include "spool/errand.h"
#include "proc/ev.h"
#include "core/steptime.h"
#include "core/history.h"
#include "core/id.h"
#include "core/intake.h"
#include "core/job.h"
#include "core/load.h"
#include "base/log.h"
#include "core/ready.h"
#include "core/startup.h"
#include "core/rules.h"
#include "core/rows.h"
#include "core/sched.h"
#include "core/suspect.h"
#include "core/suspend.h"

MSG_PROTOTYPES(PARENT_TO_QUEUE)
MSG_RECEIVER(PARENT_TO_QUEUE)
MSG_RECEIVER(LISTENER_TO_QUEUE)
MSG_RECEIVER(DELIVER_TO_QUEUE)
MSG_RECEIVER(LOOKUP_TO_QUEUE)

static struct spool *spool;
static struct index *index_;

static void
seg_gone(void *arg, uint32_t seg)
{
	index_segment_emptied(arg, seg);
}

/* Something that waits has an id of that run. */
static bool
run_used(uint32_t run)
{
	uint64_t id;

	return index_ids(index_, ((uint64_t)run << 32) - 1, &id, 1) == 1 && id >> 32 == run;
}

/* The youngest of what the last run left: a segment it made, or the message it took last. */
static void
tell_clock(void)
{
	struct index_msg *m = index_part(index_, index_last_id(index_), 0, 1);
	int64_t last = spool_last_made(spool);

	if (m != NULL && m->arrival > last)
		last = m->arrival;
	index_msg_free(m);
	clock_last_run(last);
}

/* After the log is there and before any peer speaks. */
static void
open_all(void)
{
	uint32_t run;

	if (spool != NULL)
		return;
	run = recovery_open(&spool, &index_);
	id_open(run, spool_last_made(spool), run_used);
	tell_clock();
	history_init(index_);
	suspend_init(control_pause_ended);
	sched_init(spool, index_);
	job_init(spool);
	bounce_init(spool);
	doubles_init(spool);
	damage_init(spool);
	archive_init(spool);
	intake_init(spool, index_);
	control_init(spool, index_);
	control_pause_init();
	spool_on_gone(spool, seg_gone, index_);
	held_begin();
}

static void
conf(const struct conf *c)
{
	(void)c;
	if (spool != NULL)
		sched_conf();
}

static void
peer(struct edge *e, enum prog prog, unsigned instance)
{
	open_all();
	if (prog == PROG_LISTENER)
		intake_listener(e, instance);
	else if (prog == PROG_DELIVER)
		job_deliver(e);
	else
		route_lookup(e);
}

static void
gone(struct edge *e, enum prog prog, unsigned instance)
{
	if (prog == PROG_LISTENER)
		intake_gone(e, instance);
	else if (prog == PROG_DELIVER)
		job_deliver(NULL);
	else
		route_lookup(NULL);
}

void
on_DIED(struct edge *e, uint32_t id, struct p_died *p, int fd)
{
	(void)e;
	(void)id;
	(void)fd;
	if (p->prog == PROG_DELIVER && p->crashed)
		suspect_crashed();
}

/* Compaction leaves alone what is in memory (a job may be in flight) and what the index does not know under that place. */
static bool
may_move(void *arg, uint64_t id, struct loc loc)
{
	(void)arg;
	return ready_find(id) == NULL && !load_under_way(id) && !rows_going(id) && !index_broken(index_) && index_has(index_, id, loc);
}

static void
moved(void *arg, uint64_t id, struct loc from, struct loc to)
{
	(void)arg;
	(void)from;
	index_move(index_, id, to);
}

/* A broken index is no use to anybody: the parent starts the queue again at once, or later if that is no help. So it does for a segment that is there again. */
static void
check_index(void)
{
	index_home(index_, !spool_low(spool));
	if (index_broken(index_) || spool_turned_up(spool))
		child_quit();
}

int
main(int argc, char **argv)
{
	static const struct msg_row parent_rows[] = { MSG_ROWS(PARENT_TO_QUEUE) };
	static const struct msg_row listener_rows[] = { MSG_ROWS(LISTENER_TO_QUEUE) };
	static const struct msg_row deliver_rows[] = { MSG_ROWS(DELIVER_TO_QUEUE) };
	static const struct msg_row lookup_rows[] = { MSG_ROWS(LOOKUP_TO_QUEUE) };
	static const struct child_peer peers[] = {
		{ PROG_LISTENER, listener_rows, sizeof(listener_rows) / sizeof(listener_rows[0]) },
		{ PROG_DELIVER, deliver_rows, sizeof(deliver_rows) / sizeof(deliver_rows[0]) },
		{ PROG_LOOKUP, lookup_rows, sizeof(lookup_rows) / sizeof(lookup_rows[0]) },
	};
	static const struct child_ops ops = {
		.prog = PROG_QUEUE, .log_name = "qmgr",
		.parent_rows = parent_rows, .n_parent_rows = sizeof(parent_rows) / sizeof(parent_rows[0]),
		.peers = peers, .n_peers = sizeof(peers) / sizeof(peers[0]),
		.conf = conf, .peer = peer, .gone = gone, .start = open_all,
	};
	static const struct spool_movers movers = { may_move, moved, NULL };

	child_start(argc, argv, &ops);
	while (child_turn()) {
		if (spool == NULL)
			continue;
		clock_now();			/* sees each step of the wall clock when it comes */
		held(HELD_events);
		archive_run();
		intake_commit();
		held(HELD_intake);
		sched_run();
		held(HELD_schedule);
		bounce_run();
		held(HELD_bounce);
		control_run();
		held(HELD_control);
		spool_compact(spool, &movers);
		spool_reclaim(spool);
		held(HELD_spool);
		history_run(false);
		index_turn(index_, false);
		if (index_waits_for_marks(index_))
			spool_hurry(spool);
		check_index();
		held(HELD_index);
	}
	control_end();
	errand_end();
	if (spool != NULL) {
		rows_end();
		spool_close(spool);
		history_run(true);
		index_turn(index_, true);
		index_close(index_);
	}
	return child_end();
}
