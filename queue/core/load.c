/*
 * load: from the index and the record back into memory.
 *
 * Called by sched_run and control. Nothing is booked: a destination whose line in memory is short, and that may send, has the next of its
 * rows read, as many as memory has room for (dest_wants); a destination that rests has none read, but those that are too old to wait any
 * longer. At start the destinations themselves are read, by and by. Owns the message that is under way: of many recipients a part is
 * read in each turn, and only then it is one of those in memory. A row whose record is gone or damaged is dropped from the index and
 * logged; the spool keeps the damaged piece.
 */
#include <errno.h>
#include <string.h>
#include "core/act_mark.h"
#include "proc/clock.h"
#include "core/nexthop.h"
#include "proc/ev.h"
#include "core/load.h"
#include "base/log.h"
#include "core/policy.h"
#include "mail/qid.h"
#include "core/ready.h"
#include "mail/reply.h"
#include "core/rows.h"
#include "core/sched.h"
#include "core/stats.h"

#define BATCH		100		/* rows at once */
#define DESTS		50		/* destinations a turn, at start */
#define SLICE_US	5000		/* of a turn */
#define PART		500		/* recipients a turn */
#define AGAIN_MS	60000		/* after a record that could not be read for now */

/* Why a message is read, beside what its rows say: what of it is due. */
enum why {
	AS_IT_IS,
	REACHABLE,			/* what waits because no host could be reached */
	ALL				/* everything, an administrator wants it */
};

/* A message on its way in. */
struct part {
	struct message	*m;		/* NULL: none */
	uint32_t	 at;		/* recipients from this one on are still to be read; UINT32_MAX: none */
	enum why	 why;
	bool		 pin;		/* somebody waits for it */
};

static struct {
	struct spool		*spool;
	struct index		*index;
	struct ev_timer		 again;
	bool			 dests;		/* those of before are still being read */
	struct buf		 action, domain;	/* ... behind this one */
	struct part		 part;		/* the one that is under way */
	struct {
		bool		 on;
		uint64_t	 ticket;	/* of rows that are to be there first */
		uint64_t	 after, last;	/* ids; last is 0: not known yet */
	} all;					/* "retry all" */
} ld;

void
load_retry_all(void)
{
	rows_flush();
	ld.all.ticket = rows_ticket();
	ld.all.after = ld.all.last = 0;
	ld.all.on = true;
	ev_wake();
}

/* A kill may have come between the mark and the index's commit. */
static bool
same_mark(const struct rcpt *r, const struct index_rcpt *row)
{
	return r->state != R_FINAL && (r->state == R_HELD) == (row->mark == MARK_HELD);
}

/* -> the number behind the last recipient that was read */
static uint32_t
take_rcpts(struct message *m, const struct index_msg *row)
{
	uint32_t i, end = 0;

	for (i = 0; i < row->nrcpt; i++) {
		const struct index_rcpt *from = &row->rcpts[i];
		const char *text = reply_behind_code(from->reply, from->code);

		end = from->n + 1;
		if (from->n >= m->env.rcpts_n)
			continue;
		rcpt_due(m, from->n, from->due);
		m->rcpts[from->n].attempts = from->attempts;
		m->rcpts[from->n].notified = from->notified;
		m->rcpts[from->n].row = same_mark(&m->rcpts[from->n], from) ? ROW_SAME : ROW_OTHER;
		if (*text != '\0')
			rcpt_last_at(m, from->n, from->code, "", text, from->relay, 0);
		if (strcmp(from->action, m->env.rcpts[from->n].action) != 0) {	/* rerouted since */
			m->env.rcpts[from->n].action = message_strdup(m, from->action);
			if (m->rcpts[from->n].later == ACT_REROUTE)
				m->rcpts[from->n].later = ACT_NONE;
		}
		if (strcmp(from->addr, m->env.rcpts[from->n].addr) != 0)
			m->env.rcpts[from->n].addr = message_strdup(m, from->addr);
	}
	return end;
}

static struct message *
load_record(const struct index_msg *row)
{
	struct spool_env se;
	struct message *m;

	if (spool_read_env(ld.spool, row->loc, &se) == -1)
		return NULL;
	if (se.env.id != row->id) {
		spool_env_free(&se);
		errno = EBADMSG;
		return NULL;
	}
	m = message_new(&se.env);
	m->loc = row->loc;
	m->body_off = se.body_off;
	m->len = se.body_len;
	m->crc = se.body_crc;
	m->row = m->old = true;
	m->message_id = message_strdup(m, row->message_id);
	message_ready(m, se.marks);
	spool_env_free(&se);
	return m;
}

static void
unreadable(uint64_t id)
{
	log_error("%s: its record cannot be read: %s", qid_text(id).s, strerror(errno));
	if (errno == EBADMSG || errno == ENOENT)
		index_delete(ld.index, id);
	else if (ld.again.due == 0)	/* the cursor has passed it: nobody else would come back to it */
		ev_timer_set(&ld.again, AGAIN_MS);
}

static void
take_part(struct part *p, const struct index_msg *row, uint32_t max)
{
	uint32_t end = row != NULL ? take_rcpts(p->m, row) : 0;

	p->at = row != NULL && row->nrcpt == max ? end : UINT32_MAX;
}

/* Its record and up to max of its recipients. false: there is no such message, or it cannot be read. */
static bool
part_begin(struct part *p, uint64_t id, uint32_t max)
{
	struct index_msg *row = index_part(ld.index, id, 0, max);

	if (row == NULL)
		return false;
	if ((p->m = load_record(row)) != NULL)
		take_part(p, row, max);
	else
		unreadable(id);
	index_msg_free(row);
	return p->m != NULL;
}

static void
part_more(struct part *p, uint32_t max)
{
	struct index_msg *row = index_part(ld.index, p->m->id, p->at, max);

	take_part(p, row, max);
	index_msg_free(row);
}

static struct message *
part_end(struct part *p)
{
	struct message *m = p->m;

	p->m = NULL;
	m->awaited = p->pin;
	p->pin = false;
	ready_add(m);
	stats.loaded++;
	return m;
}

bool
load_under_way(uint64_t id)
{
	return ld.part.m != NULL && ld.part.m->id == id;
}

struct message *
load_message(uint64_t id)
{
	struct message *m = ready_find(id);
	struct part all = { .m = NULL };

	if (m != NULL || rows_going(id))
		return m;
	if (load_under_way(id)) {
		if (ld.part.at != UINT32_MAX)
			part_more(&ld.part, UINT32_MAX);
		return part_end(&ld.part);
	}
	return part_begin(&all, id, UINT32_MAX) ? part_end(&all) : NULL;
}

/* A due time beyond any back-off was written when the clock was wrong: it counts as now. */
static bool
absurd(const struct rcpt *r)
{
	return r->due > clock_now() + policy_horizon();
}

static bool
unreached(const struct rcpt *r)
{
	return r->attempts > 0 && r->last != NULL && r->last->code == 0 && strncmp(r->last->dsn, "4.4.", 4) == 0;
}

static void
make_due(struct message *m, enum why why)
{
	uint32_t i;

	for (i = 0; i < m->env.rcpts_n; i++)
		if (m->rcpts[i].state == R_IDLE && (why == ALL || absurd(&m->rcpts[i]) || (why == REACHABLE && unreached(&m->rcpts[i]))))
			rcpt_due(m, i, clock_now());
	sched_queue(m);
}

static void
part_step(void)
{
	struct message *m;

	if (ld.part.at != UINT32_MAX)
		part_more(&ld.part, PART);
	if (ld.part.at == UINT32_MAX) {
		m = part_end(&ld.part);
		make_due(m, ld.part.why);
	}
}

enum load
load_slowly(uint64_t id, struct message **m)
{
	if ((*m = ready_find(id)) == NULL && ld.part.m == NULL) {
		if (rows_going(id) || !part_begin(&ld.part, id, PART))
			return LOAD_NONE;
		ld.part.why = AS_IT_IS;
		ld.part.pin = true;
		if (ld.part.at == UINT32_MAX)
			*m = part_end(&ld.part);
	}
	if (*m == NULL)
		return LOAD_WAIT;
	(*m)->awaited = false;
	(*m)->pins++;
	return LOAD_DONE;
}

void
load_let_go(uint64_t id)
{
	struct message *m = ready_find(id);

	if (load_under_way(id))
		ld.part.pin = false;
	if (m == NULL || !m->awaited)
		return;
	m->awaited = false;
	sched_queue(m);
}

/* It is in line afterwards, or under way. */
static void
load_one(uint64_t id, enum why why)
{
	struct message *m = ready_find(id);

	ld.part.why = why;
	if (m != NULL && why != AS_IT_IS)
		make_due(m, why);
	else if (m == NULL && !rows_going(id) && part_begin(&ld.part, id, PART) && ld.part.at == UINT32_MAX)
		part_step();
}

static bool
may_go_on(void)
{
	return ld.part.m == NULL && ready_may_load();
}

/* ---- what is due ---- */

/* Its next rows. What has its time still before it is where the walk ends. */
static void
pull(struct dest *d, unsigned max)
{
	struct index_due row[DEST_PULL];
	int64_t now = clock_now(), beyond = now + policy_horizon();
	size_t n = index_due(ld.index, d->action, d->domain, d->at.due, d->at.id, row, max), i;
	struct dest_walk at = d->at;

	/* First, since what comes back from here at once is noted as stored again. */
	for (i = 0; i < n && (row[i].due <= now || row[i].due > beyond); i++)
		at = (struct dest_walk){ .due = row[i].due, .id = row[i].id };
	dest_read(d, at.due, at.id, i < n ? row[i].due : n == max ? now : INT64_MAX);
	for (n = i, i = 0; i < n; i++) {
		if (ld.part.m != NULL) {		/* many recipients: the rest of these later */
			dest_stored(d, row[i].due, row[i].id);
			return;
		}
		load_one(row[i].id, AS_IT_IS);
	}
}

/* What waits for its time, though the host because of which it does is there again. */
static void
pull_early(struct dest *d, unsigned max)
{
	struct index_due row[DEST_PULL];
	size_t n = index_due(ld.index, d->action, d->domain, d->early.due, d->early.id, row, max), i;

	for (i = 0; i < n && may_go_on(); i++) {
		d->early.due = row[i].due;
		d->early.id = row[i].id;
		if (row[i].unreached && row[i].due > clock_now())
			load_one(row[i].id, REACHABLE);
	}
	if (i == n && n < max)
		dest_early_over(d);
}

static bool
pull_next(void)
{
	struct dest *d;
	unsigned n;

	if (!may_go_on() || (d = dest_wants(ready_room(LINE_OLD), &n)) == NULL)
		return false;
	if (d->early.on && d->due > clock_now())
		pull_early(d, n);
	else
		pull(d, n);
	return true;
}

/* ---- what is too old to wait ---- */

/* A page of what waits for a rest: sched.c gives up what is too old, and tells of what is late. */
static void
age(struct dest *d)
{
	struct index_due row[BATCH];
	struct dest_policy p = policy_least(d->action, d->domain);
	int64_t now = clock_now();
	uint64_t untried = 0;
	size_t n = index_due(ld.index, d->action, d->domain, d->ages.due, d->ages.id, row, BATCH), i;

	for (i = 0; i < n && row[i].due <= now && may_go_on(); i++) {
		d->ages.due = row[i].due;
		d->ages.id = row[i].id;
		untried += !row[i].tried;
		if (clock_born(row[i].arrival) + (int64_t)p.lifetime <= now ||
		    (p.delay_notice > 0 && !row[i].notified && clock_born(row[i].arrival) + (int64_t)p.delay_notice <= now))
			load_one(row[i].id, AS_IT_IS);
	}
	dest_waits_untried(d, untried);
	if (ld.part.m == NULL && (i == n ? n < BATCH : row[i].due > now))
		dest_aged(d);
}

/* ---- all of it ---- */

static void
look_at_all(void)
{
	uint64_t id[BATCH];
	size_t n, i;

	if (ld.all.last == 0)
		ld.all.last = index_last_id(ld.index);
	n = index_ids(ld.index, ld.all.after, id, BATCH);
	for (i = 0; i < n && id[i] <= ld.all.last && may_go_on(); i++) {
		ld.all.after = id[i];
		load_one(id[i], ALL);
	}
	if (n == 0 || (i < n && id[i] > ld.all.last))
		ld.all.on = false;
}

/* The destinations for which something waited when the run began; perhaps because a host could not be reached. */
static void
read_dests(void)
{
	struct dest *d;
	int64_t due;
	unsigned i;

	for (i = 0; i < DESTS && ld.dests; i++) {
		if (!(ld.dests = index_next_dest(ld.index, &ld.action, &ld.domain, &due)))
			break;
		d = dest_get(buf_str(&ld.action), buf_str(&ld.domain), clock_now());
		dest_trouble(d);
		dest_stored(d, due > clock_now() + policy_horizon() ? 0 : due, 0);
	}
}

/* Each gets its turn, so that none waits for another to come to its end. "Retry all" begins when all messages have their rows. */
void
load_run(bool paused)
{
	uint64_t end = ev_busy_us() + SLICE_US;
	struct dest *d;
	bool more = false;

	if (ld.part.m != NULL)
		part_step();
	if (ld.dests)
		read_dests();
	if (ld.all.on && rows_reached(ld.all.ticket) && may_go_on())
		look_at_all();
	if ((d = dest_aging()) != NULL && may_go_on())
		age(d);
	while (!paused && ev_busy_us() < end && (more = pull_next()))
		;
	if (ld.dests || ld.all.on || ld.part.m != NULL || dest_aging() != NULL || more)
		ev_wake();
}

static void
again(void *arg)
{
	(void)arg;
	dest_read_all_again();
}

void
load_init(struct spool *sp, struct index *ix)
{
	ld.spool = sp;
	ld.index = ix;
	ld.dests = true;
	ev_timer_init(&ld.again, again, NULL);
}
