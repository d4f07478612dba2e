/*
 * agent: postern-agent, one account's mailbox. Started by the parent under the recipient's uid when deliver has mail for
 * that account; ends when deliver (or the parent) closes its edge.
 *
 * The parent says where the mailbox is and hands over the edge to deliver; deliver sends messages; each is answered with
 * one result per recipient. Messages that come in close together are one batch and share their syncs. The account's owner
 * may trace this process, so nobody believes it more than a result for its own mail; it in turn holds nothing but its
 * edges and the messages. Local trouble is a temporary failure in the result; what only we could have done wrong is fatalx.
 */
#include <sys/queue.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "agent/letter.h"
#include "program/child.h"
#include "conf/conf.h"
#include "proc/ev.h"
#include "agent/expand.h"
#include "base/log.h"
#include "agent/maildir.h"
#include "base/xmalloc.h"

MSG_RECEIVER(PARENT_TO_AGENT)
MSG_RECEIVER(DELIVER_TO_AGENT)
MSG_SENDER(AGENT_TO_DELIVER)

static const struct msg_row from_parent[] = { MSG_ROWS(PARENT_TO_AGENT) };
static const struct msg_row from_deliver[] = { MSG_ROWS(DELIVER_TO_AGENT) };

struct mail_rcpt {
	uint32_t	 n;
	char		*addr;
	enum outcome	 outcome;
	uint16_t	 code;
	const char	*dsn;
	char		*text;
};

struct mail {
	TAILQ_ENTRY(mail)	 next;
	uint64_t		 job, id;
	int64_t			 arrival;	/* wall ms */
	bool			 again;
	char			*sender;
	struct letter		 letter;
	int			 err;		/* of letter_open */
	struct mail_rcpt	*rcpt;
	size_t			 nrcpt;
	size_t			 taken;		/* recipients that are in a batch or done */
};

static struct {
	TAILQ_HEAD(, mail)	 mails;		/* in the order they came */
	size_t			 nmail;
	bool			 fresh;		/* mail came in this turn */
	struct edge		*deliver;
	char			*path, *home, *hostname;
} agent = { .mails = TAILQ_HEAD_INITIALIZER(agent.mails) };

/* ---- messages ---- */

static void
deliver_closed(struct edge *e, void *arg)
{
	(void)e;
	(void)arg;
	agent.deliver = NULL;
	child_quit();
}

static const struct edge_ops deliver_ops = { deliver_closed, NULL };

void
on_AGENT_SET(struct edge *parent, uint32_t id, struct p_agent_set *p, int fd)
{
	(void)parent;
	(void)id;
	if (agent.deliver != NULL)
		fatalx("an agent has one edge to deliver");
	if (p->kind != ACTION_MAILDIR)
		fatalx("an agent delivers to maildirs, not to kind %u", p->kind);
	agent.path = xstrdup(p->path);
	agent.home = xstrdup(p->home);
	agent.hostname = xstrdup(p->hostname);
	agent.deliver = edge_new(fd, PROG_DELIVER, 0, from_deliver, sizeof(from_deliver) / sizeof(from_deliver[0]),
	    &deliver_ops, NULL);
}

void
on_MAIL(struct edge *e, uint32_t id, struct p_mail *p, int fd)
{
	struct mail	*m = xcalloc(1, sizeof(*m));
	size_t		 i;

	(void)e;
	(void)id;
	m->job = p->job;
	m->id = p->id;
	m->arrival = p->arrival;
	m->again = p->again != 0;
	m->sender = xstrdup(p->sender);
	m->nrcpt = p->rcpts_n;
	m->rcpt = xcalloc(m->nrcpt + 1, sizeof(*m->rcpt));
	for (i = 0; i < m->nrcpt; i++) {
		m->rcpt[i].n = p->rcpts[i].n;
		m->rcpt[i].addr = xstrdup(p->rcpts[i].addr);
	}
	m->err = letter_open(&m->letter, fd, p->length) == -1 ? errno : 0;
	TAILQ_INSERT_TAIL(&agent.mails, m, next);
	agent.nmail++;
	agent.fresh = true;
}

static void
mail_free(struct mail *m)
{
	size_t	 i;

	for (i = 0; i < m->nrcpt; i++) {
		free(m->rcpt[i].addr);
		free(m->rcpt[i].text);
	}
	free(m->rcpt);
	free(m->sender);
	letter_close(&m->letter);
	free(m);
}

static void
mail_answer(struct mail *m)
{
	struct p_mail_result	 r = { .job = m->job };
	size_t			 i;

	r.results = xcalloc(m->nrcpt + 1, sizeof(*r.results));
	r.results_n = (uint32_t)m->nrcpt;
	for (i = 0; i < m->nrcpt; i++) {
		r.results[i].n = m->rcpt[i].n;
		r.results[i].outcome = (uint8_t)m->rcpt[i].outcome;
		r.results[i].code = m->rcpt[i].code;
		r.results[i].dsn = m->rcpt[i].dsn;
		r.results[i].text = m->rcpt[i].text;
	}
	send_MAIL_RESULT(agent.deliver, 0, &r, -1);
	free(r.results);
}

/* ---- batches ---- */

static void
result(struct mail_rcpt *r, enum outcome outcome, uint16_t code, const char *dsn, const char *text)
{
	r->outcome = outcome;
	r->code = code;
	r->dsn = dsn;
	r->text = xstrdup(text);
}

/* False: the recipient has its result already. */
static bool
prepare(const struct mail *m, struct mail_rcpt *r, struct delivery *d)
{
	const char	*wrong;

	if (m->err != 0) {
		result(r, OUT_DEFER, 451, "4.3.0", "the message could not be read for delivery");
		return false;
	}
	if ((wrong = mailbox_expand(agent.path, agent.home, r->addr, &d->box)) != NULL) {
		result(r, OUT_DEFER, 451, "4.3.0", wrong);
		return false;
	}
	if (letter_was_delivered_to(&m->letter, r->addr)) {
		result(r, OUT_BOUNCE, 554, "5.4.6", "mail loop: this message was delivered to this address before");
		return false;
	}
	d->letter = &m->letter;
	d->sender = m->sender;
	d->rcpt = r->addr;
	d->id = m->id;
	d->number = r->n;
	d->arrival = m->arrival;
	d->again = m->again;
	return true;
}

/* The next recipients in order, as many as a batch holds, in number and in octets. -> how many */
static size_t
fill(struct delivery *batch, struct mail_rcpt **whose)
{
	struct mail	*m;
	struct mail_rcpt *r;
	uint64_t	 bytes = 0;
	size_t		 n = 0;

	TAILQ_FOREACH(m, &agent.mails, next) {
		while (m->taken < m->nrcpt && n < MAILDIR_BATCH) {
			if (n > 0 && bytes + m->letter.length > MAILDIR_BATCH_BYTES)
				return n;
			r = &m->rcpt[m->taken++];
			if (!prepare(m, r, &batch[n]))
				continue;
			whose[n++] = r;
			bytes += m->letter.length;
		}
	}
	return n;
}

static void
answer_done(void)
{
	struct mail	*m;

	while ((m = TAILQ_FIRST(&agent.mails)) != NULL && m->taken == m->nrcpt) {
		TAILQ_REMOVE(&agent.mails, m, next);
		agent.nmail--;
		mail_answer(m);
		mail_free(m);
	}
	edge_flush(agent.deliver);
}

static void
mailbox_run(void)
{
	static struct delivery	 batch[MAILDIR_BATCH];
	struct mail_rcpt	*whose[MAILDIR_BATCH];
	size_t			 i, n;

	n = fill(batch, whose);
	maildir_deliver(batch, n, agent.hostname);
	for (i = 0; i < n; i++)
		result(whose[i], batch[i].outcome, batch[i].code, batch[i].dsn, batch[i].text);
	answer_done();
}

/*
 * Each message is read in a turn of its own, since its descriptor is: the batch is what has come when a turn brings nothing
 * more, or when it is full. Nothing is read from deliver while a batch is written, so what waits here is bounded.
 */
static bool
batch_is_ready(void)
{
	if (agent.nmail == 0)
		return false;
	if (agent.fresh && agent.nmail < MAILDIR_BATCH) {
		agent.fresh = false;
		ev_wake();
		return false;
	}
	return true;
}

int
main(int argc, char **argv)
{
	static const struct child_ops ops = {
		.prog = PROG_AGENT,
		.log_name = "agent",
		.parent_rows = from_parent,
		.n_parent_rows = sizeof(from_parent) / sizeof(from_parent[0])
	};

	child_start(argc, argv, &ops);
	signal(SIGXFSZ, SIG_IGN);		/* a limit on file sizes is an error of write(2) */
	while (child_turn())
		if (batch_is_ready())
			while (agent.deliver != NULL && agent.nmail > 0)
				mailbox_run();
	return child_end();
}
