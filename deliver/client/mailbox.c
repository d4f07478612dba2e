/*
 * mailbox: see mailbox.h. The handlers of AGENT, NO_AGENT and MAIL_RESULT stand here.
 *
 * The parent makes an agent (AGENT_ASK) and hands over the edge to it. Bounded are: agents, messages in one agent's hands, bytes in
 * memory files. An agent that answers nonsense, or nothing for long, loses its edge; what it had in hand is deferred, and
 * since it could not lie about anyone's mail but its own account's, no more harm is done.
 *
 * An agent that dies (somebody killed it) says nothing of what it had in hand. Another one gets that again, one message at a time: the name of
 * the file is made from the message, so what is delivered already is found. Only a message that was alone in hand when an agent
 * died for the second time is deferred. What waited was not tried, and counts no attempt whatever became of the agent.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "mail/addr.h"
#include "program/child.h"
#include "proc/ev.h"
#include "base/log.h"
#include "client/mailbox.h"
#include "client/memfile.h"
#include "proc/msg.h"
#include "client/seg.h"
#include "base/xmalloc.h"

MSG_PROTOTYPES(PARENT_TO_DELIVER)
MSG_RECEIVER(AGENT_TO_DELIVER)
MSG_SENDER(DELIVER_TO_PARENT)
MSG_SENDER(DELIVER_TO_AGENT)

#define AGENTS_MAX	100
#define IN_HAND_MAX	256			/* messages of one agent: the batch that it syncs and the next one */
#define IN_HAND_BYTES	(32 * 1024 * 1024)	/* the same, unless it is but one */
#define BYTES_MAX	(256 * 1024 * 1024)	/* of all memory files, unless there is but one */
#define DEATHS_MAX	3			/* without a result in between */
#define MAIL_RCPTS	100
#define IDLE_MS		2000
#define SILENCE_MS	(5 * 60 * 1000)
#define SLOW_MS		(10 * 1000)		/* silent for so long: what waits for it takes the others' places in the queue's windows */
#define BACK_MS		(30 * 1000)
#define TEXT_MAX	500

/* Some recipients of one job that share an account. */
struct mail {
	TAILQ_ENTRY(mail) entry;
	uint64_t	 number;
	struct job	*job;
	bool		 again;			/* an agent died with it in hand */
	uint32_t	 n;
	uint32_t	 rcpt[MAIL_RCPTS];	/* of job->rcpts */
};
TAILQ_HEAD(mail_list, mail);

enum agent_state { AGENT_WANTED /* there are too many now */, AGENT_ASKED, AGENT_READY };

struct agent {
	TAILQ_ENTRY(agent) entry;
	uint32_t	 id;
	enum agent_state state;
	uint32_t	 generation;
	uint16_t	 action;
	char		*account;
	struct edge	*edge;
	struct mail_list waiting, in_hand;
	unsigned	 nwaiting, nhand;
	unsigned	 nagain;		/* of both lists: until they are done, one is in hand at a time */
	unsigned	 deaths;		/* of agents, since the last result */
	uint64_t	 bytes;			/* in hand */
	uint64_t	 last;			/* ev_now_ms() when it last got or answered something */
};

static struct {
	TAILQ_HEAD(, agent)	 all;
	unsigned		 n;		/* asked for or ready */
	uint32_t		 last_id;
	uint64_t		 last_mail;
	uint64_t		 bytes;
	int64_t			 begun;		/* wall ms; mail that came before may have been tried by another deliver */
	bool			 starved;	/* somebody waits for bytes */
} agents = { .all = TAILQ_HEAD_INITIALIZER(agents.all) };

static const struct msg_row from_agent[] = { MSG_ROWS(AGENT_TO_DELIVER) };

static void agent_closed(struct edge *, void *);
static const struct edge_ops agent_ops = { agent_closed, NULL };

/* ---- agents ---- */

static struct agent *
agent_find(const struct job *j, const char *account)
{
	struct agent *a;

	TAILQ_FOREACH(a, &agents.all, entry)
		if (a->generation == j->generation && a->action == j->action && strcmp(a->account, account) == 0)
			return a;
	return NULL;
}

static struct agent *
agent_new(const struct job *j, const char *account)
{
	struct agent *a = xcalloc(1, sizeof *a);

	a->generation = j->generation;
	a->action = j->action;
	a->account = xstrdup(account);
	a->last = ev_now_ms();
	TAILQ_INIT(&a->waiting);
	TAILQ_INIT(&a->in_hand);
	TAILQ_INSERT_TAIL(&agents.all, a, entry);
	return a;
}

static void
agent_ask(struct agent *a)
{
	a->state = AGENT_ASKED;
	a->id = ++agents.last_id;
	a->last = ev_now_ms();
	send_AGENT_ASK(child_parent(), a->id, &(struct p_agent_ask){ a->generation, a->action, a->account }, -1);
}

static void
mail_end(struct agent *a, struct mail *m, const struct verdict *v)
{
	uint32_t i;

	a->nagain -= m->again;
	for (i = 0; i < m->n; i++) {
		struct rcpt *r = &m->job->rcpts[m->rcpt[i]];

		if (r->busy)
			rcpt_settle(m->job, r, v);
	}
	free(m);
}

static void
put_in_hand(struct agent *a, struct mail *m)
{
	TAILQ_INSERT_TAIL(&a->in_hand, m, entry);
	a->nhand++;
	a->bytes += m->job->length;
	agents.bytes += m->job->length;
}

static void
out_of_hand(struct agent *a, struct mail *m)
{
	TAILQ_REMOVE(&a->in_hand, m, entry);
	a->nhand--;
	a->bytes -= m->job->length;
	agents.bytes -= m->job->length;
}

/* What waits for it goes back to the queue, and is no attempt. */
static void
hand_back(struct agent *a, uint64_t ms)
{
	struct verdict v = verdict(OUT_NOT_BEFORE, "", "");
	struct mail *m;

	while ((m = TAILQ_FIRST(&a->waiting)) != NULL) {
		TAILQ_REMOVE(&a->waiting, m, entry);
		a->nwaiting--;
		m->job->rest_ms = ms;
		mail_end(a, m, &v);
	}
}

static void
end_in_hand(struct agent *a, const struct verdict *v)
{
	struct mail *m;

	while ((m = TAILQ_FIRST(&a->in_hand)) != NULL) {
		out_of_hand(a, m);
		mail_end(a, m, v);
	}
}

/* There is none for it, for that reason: it holds for all that waits. */
static void
end_waiting(struct agent *a, const struct verdict *v)
{
	struct mail *m;

	while ((m = TAILQ_FIRST(&a->waiting)) != NULL) {
		TAILQ_REMOVE(&a->waiting, m, entry);
		a->nwaiting--;
		mail_end(a, m, v);
	}
}

/* Its edge is closed already, or never was; it has no mail. */
static void
agent_free(struct agent *a)
{
	if (a->state != AGENT_WANTED)
		agents.n--;
	TAILQ_REMOVE(&agents.all, a, entry);
	free(a->account);
	free(a);
}

static void
agent_end(struct agent *a, const char *why)
{
	struct verdict v = verdict(OUT_DEFER, "4.3.0", why);

	if (a->edge != NULL)
		edge_close(a->edge);
	end_in_hand(a, &v);
	hand_back(a, BACK_MS);
	agent_free(a);
}

/* What it had in hand waits again, in front. */
static void
take_back(struct agent *a)
{
	struct mail *m;

	while ((m = TAILQ_LAST(&a->in_hand, mail_list)) != NULL) {
		out_of_hand(a, m);
		a->nagain += !m->again;
		m->again = true;
		TAILQ_INSERT_HEAD(&a->waiting, m, entry);
		a->nwaiting++;
	}
}

static void ask_wanted(void);

static void
agent_closed(struct edge *e, void *arg)
{
	struct verdict v = verdict(OUT_DEFER, "4.3.0", "the delivery agent ended before it answered");
	struct agent *a = arg;
	struct mail *first = TAILQ_FIRST(&a->in_hand);

	(void)e;
	a->edge = NULL;
	a->last = ev_now_ms();
	a->deaths++;
	if (a->nhand == 1 && first->again)
		end_in_hand(a, &v);
	take_back(a);
	if (a->deaths >= DEATHS_MAX)
		hand_back(a, BACK_MS);
	if (a->nwaiting == 0)
		agent_free(a);
	else {
		agents.n--;
		a->state = AGENT_WANTED;
	}
	ask_wanted();
}

/* An idle agent gives way to one that is wanted. */
static bool
make_room(void)
{
	struct agent *a;

	if (agents.n < AGENTS_MAX)
		return true;
	TAILQ_FOREACH(a, &agents.all, entry)
		if (a->state == AGENT_READY && a->nhand == 0 && a->nwaiting == 0) {
			agent_end(a, "");
			return true;
		}
	return false;
}

static void
ask_wanted(void)
{
	struct agent *a;

	TAILQ_FOREACH(a, &agents.all, entry) {
		if (a->state != AGENT_WANTED)
			continue;
		if (!make_room())
			return;
		agents.n++;
		agent_ask(a);
	}
}

/* ---- mail ---- */

/* A queue or a deliver of before may have tried it, or an agent that is gone. */
static bool
maybe_tried(const struct mail *m)
{
	const struct job *j = m->job;

	return m->again || j->old || j->attempt > 1 || j->arrival < agents.begun;
}

static void
send_mail(struct agent *a, struct mail *m, int fd)
{
	struct p_mail_rcpt rcpts[MAIL_RCPTS];
	const struct job *j = m->job;
	uint32_t i;

	for (i = 0; i < m->n; i++)
		rcpts[i] = (struct p_mail_rcpt){ j->rcpts[m->rcpt[i]].n, j->rcpts[m->rcpt[i]].addr };
	send_MAIL(a->edge, 0, &(struct p_mail){ .job = m->number, .id = j->id, .arrival = j->arrival, .again = maybe_tried(m),
	    .sender = j->sender, .length = j->length, .rcpts = rcpts, .rcpts_n = m->n }, fd);
}

static void
hand_over(struct agent *a, struct mail *m)
{
	struct job *j = m->job;
	char text[160];
	struct verdict v;
	int error, fd = memfile(seg_fd(j->seg), j->offset, j->length, j->crc);

	if (fd == -1) {
		error = errno;
		snprintf(text, sizeof text, "no copy of the message can be made: %s", strerror(error));
		v = error == EBADMSG ? verdict_damaged() : verdict(OUT_DEFER, "4.3.0", text);
		mail_end(a, m, &v);
		return;
	}
	if (j->taken == 0)
		j->taken = ev_time_ms();
	send_mail(a, m, fd);
	put_in_hand(a, m);
	a->last = ev_now_ms();
}

static bool
has_room(const struct agent *a, const struct mail *m)
{
	if (a->nhand >= (a->nagain > 0 ? 1 : IN_HAND_MAX) || (a->nhand > 0 && a->bytes + m->job->length > IN_HAND_BYTES))
		return false;
	if (agents.bytes == 0 || agents.bytes + m->job->length <= BYTES_MAX)
		return true;
	agents.starved = true;
	return false;
}

static void
agent_pump(struct agent *a)
{
	struct mail *m;

	while (a->state == AGENT_READY && (m = TAILQ_FIRST(&a->waiting)) != NULL && has_room(a, m)) {
		TAILQ_REMOVE(&a->waiting, m, entry);
		a->nwaiting--;
		hand_over(a, m);
	}
}

/* Memory may have come free: whoever waited for it. */
static void
pump_starved(void)
{
	struct agent *a;

	if (!agents.starved)
		return;
	agents.starved = false;
	TAILQ_FOREACH(a, &agents.all, entry)
		agent_pump(a);
}

static void
enqueue(struct agent *a, struct job *j, uint32_t i)
{
	struct mail *m = TAILQ_LAST(&a->waiting, mail_list);

	if (m == NULL || m->job != j || m->n == MAIL_RCPTS) {
		m = xcalloc(1, sizeof *m);
		m->number = ++agents.last_mail;
		m->job = j;
		TAILQ_INSERT_TAIL(&a->waiting, m, entry);
		a->nwaiting++;
	}
	j->rcpts[i].busy = true;
	m->rcpt[m->n++] = i;
}

static void
account_of(const struct conf *conf, const struct job *j, const struct rcpt *r, char *out, size_t size)
{
	const char *user = conf->action[j->action].user;

	if (conf->me != NULL)
		strlcpy(out, conf->me, size);
	else if (user != NULL)
		strlcpy(out, user, size);
	else
		addr_key(r->addr, out, size, true);
}

void
mailbox_init(void)
{
	agents.begun = ev_time_ms();
}

void
mailbox(const struct conf *conf, struct job *j)
{
	char account[ADDR_PATH_MAX + 1];
	struct agent *a, *before = NULL;
	uint32_t i;

	j->local = true;
	job_relay(j, "maildir");
	for (i = 0; i < j->nrcpt; i++) {
		account_of(conf, j, &j->rcpts[i], account, sizeof account);
		if ((a = agent_find(j, account)) == NULL)
			a = agent_new(j, account);
		if (before != NULL && before != a)
			agent_pump(before);
		before = a;
		enqueue(a, j, i);
	}
	agent_pump(before);
	ask_wanted();
}

/* ---- what the parent and the agents say ---- */

static struct agent *
by_id(uint32_t id)
{
	struct agent *a;

	TAILQ_FOREACH(a, &agents.all, entry)
		if (a->state == AGENT_ASKED && a->id == id)
			return a;
	return NULL;
}

void
on_AGENT(struct edge *parent, uint32_t id, struct p_none *p, int fd)
{
	struct agent *a = by_id(id);

	(void)parent;
	(void)p;
	if (a == NULL) {			/* we gave up waiting: that agent ends by itself */
		close(fd);
		return;
	}
	a->state = AGENT_READY;
	a->last = ev_now_ms();
	a->edge = edge_new(fd, PROG_AGENT, id, from_agent, sizeof from_agent / sizeof from_agent[0], &agent_ops, a);
	agent_pump(a);
}

void
on_NO_AGENT(struct edge *parent, uint32_t id, struct p_no_agent *p, int fd)
{
	struct agent *a = by_id(id);
	struct verdict never = verdict(OUT_BOUNCE, "5.1.1", p->text), now = verdict(OUT_DEFER, "4.3.0", p->text);

	(void)parent;
	(void)fd;
	if (a == NULL)
		return;
	if (p->never)
		end_waiting(a, &never);
	else if (a->generation != child_conf()->generation)	/* a reload came between: nothing was tried */
		hand_back(a, 0);
	else
		end_waiting(a, &now);
	agent_free(a);
	ask_wanted();
}

static void
clean(const char *text, char *out)
{
	size_t i;

	strlcpy(out, text, TEXT_MAX);
	for (i = 0; out[i] != '\0'; i++)
		if ((unsigned char)out[i] < 0x20 || out[i] == 0x7f)
			out[i] = '?';
}

static bool
dsn_fits(const char *dsn, char class)
{
	unsigned part = 0, digits = 0;

	if (dsn[0] != class || dsn[1] != '.' || strlen(dsn) > 9)
		return false;
	for (dsn += 2; *dsn != '\0'; dsn++) {
		if (*dsn == '.' && digits > 0 && part == 0) {
			part++;
			digits = 0;
		} else if (*dsn >= '0' && *dsn <= '9' && digits < 3)
			digits++;
		else
			return false;
	}
	return part == 1 && digits > 0;
}

/* Its word on one recipient, as far as it makes sense. */
static struct verdict
agent_verdict(const struct p_result *p, char *text)
{
	static const struct { char class; const char *dsn; } by_outcome[] = {
		[OUT_SENT] = { '2', "2.0.0" }, [OUT_DEFER] = { '4', "4.3.0" }, [OUT_BOUNCE] = { '5', "5.3.0" },
	};
	enum outcome o = p->outcome <= OUT_BOUNCE ? (enum outcome)p->outcome : OUT_DEFER;

	clean(p->text, text);
	return verdict(o, dsn_fits(p->dsn, by_outcome[o].class) ? p->dsn : by_outcome[o].dsn, text);
}

static struct mail *
mail_by_number(const struct agent *a, uint64_t number)
{
	struct mail *m;

	TAILQ_FOREACH(m, &a->in_hand, entry)
		if (m->number == number)
			return m;
	return NULL;
}

/* False: a recipient that is none of this mail, or told twice. */
static bool
take_result(struct mail *m, const struct p_result *p)
{
	char text[TEXT_MAX];
	struct verdict v = agent_verdict(p, text);
	uint32_t i;

	for (i = 0; i < m->n; i++) {
		struct rcpt *r = &m->job->rcpts[m->rcpt[i]];

		if (r->n == p->n && r->busy) {
			rcpt_settle(m->job, r, &v);
			return true;
		}
	}
	return false;
}

static bool
take_results(struct agent *a, const struct p_mail_result *p)
{
	struct verdict v = verdict(OUT_DEFER, "4.3.0", "the delivery agent did not tell what became of it");
	struct mail *m = mail_by_number(a, p->job);
	uint32_t i;

	if (m == NULL)
		return false;
	out_of_hand(a, m);
	a->deaths = 0;
	a->last = ev_now_ms();
	for (i = 0; i < p->results_n; i++)
		if (!take_result(m, &p->results[i])) {
			mail_end(a, m, &v);
			return false;
		}
	mail_end(a, m, &v);
	return true;
}

void
on_MAIL_RESULT(struct edge *e, uint32_t id, struct p_mail_result *p, int fd)
{
	struct agent *a = edge_arg(e);

	(void)id;
	(void)fd;
	if (!take_results(a, p)) {
		log_error("the delivery agent of %s sent a result that cannot be: its connection ends", a->account);
		agent_end(a, "the delivery agent misbehaved");
	} else
		agent_pump(a);
	pump_starved();
}

/* ---- time ---- */

void
mailbox_sweep(void)
{
	struct agent *a, *next;
	uint64_t now = ev_now_ms();

	for (a = TAILQ_FIRST(&agents.all); a != NULL; a = next) {
		bool idle = a->state == AGENT_READY && a->nhand == 0 && a->nwaiting == 0;
		bool busy = a->state != AGENT_READY || a->nhand > 0;

		next = TAILQ_NEXT(a, entry);
		if (idle && now - a->last >= IDLE_MS)
			agent_end(a, "");
		else if (busy && now - a->last >= SILENCE_MS)
			agent_end(a, "the delivery agent did not answer in time");
		else if (busy && now - a->last >= SLOW_MS)
			hand_back(a, BACK_MS);
	}
	ask_wanted();
	pump_starved();
}

void
mailbox_drain(void)
{
	struct agent *a;

	TAILQ_FOREACH(a, &agents.all, entry)
		hand_back(a, DRAIN_MS);
}
