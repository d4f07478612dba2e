/*
 * control_explain: explain ADDRESS [from=ADDRESS] [client=ADDRESS] [tag=NAME] [helo=NAME] [auth]: what would become of such mail.
 *
 * Called by control_verbs; the handler of EXPLAINED stands here. The question goes the way of every recipient (route.c, with lookup's
 * answers), then to deliver, which asks the resolver for the hosts and knows which of them rest. The client waits meanwhile and may be
 * gone when the answer comes, so it is remembered by its number. Owns the questions; deliver that is silent is said to be (explain.c).
 */
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include "mail/addr.h"
#include "program/child.h"
#include "control/explain.h"
#include "proc/ev.h"
#include "control/explain_answer.h"
#include "core/job.h"
#include "core/rules.h"
#include "base/xmalloc.h"

MSG_PROTOTYPES(DELIVER_TO_QUEUE)

#define WAIT_S		8		/* for deliver; the DNS may be slow */
#define SAY_(n)		#n
#define SAY(n)		SAY_(n)

struct question {
	TAILQ_ENTRY(question) link;	/* once it was asked */
	bool		 asked;
	uint32_t	 id, client, generation;
	char		*wanted, *addr;		/* as it was asked for, and where its mail goes */
	struct match	 mt;
	struct ev_timer	 timer;
};
static TAILQ_HEAD(, question) open_questions = TAILQ_HEAD_INITIALIZER(open_questions);

/* ---- words ---- */

static bool
set_client(struct match_facts *f, struct sockaddr_storage *ss, const char *text)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1)
		ss->ss_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1)
		ss->ss_family = AF_INET6;
	else
		return false;
	f->client = (const struct sockaddr *)ss;
	f->socket = false;
	return true;
}

/* Without the <> that it may stand in, which are cut off. */
static const char *
bare(char *word)
{
	size_t n;
	const char *inside = addr_inside(word, &n);

	word[(size_t)(inside - word) + n] = '\0';
	return inside;
}

static bool
take(struct match_facts *f, struct sockaddr_storage *ss, char *word)
{
	if (strncmp(word, "from=", 5) == 0)
		f->mail_from = bare(word + 5);
	else if (strncmp(word, "tag=", 4) == 0)
		f->tag = word + 4;
	else if (strncmp(word, "helo=", 5) == 0)
		f->helo = word + 5;
	else if (strcmp(word, "auth") == 0)
		f->auth = true;
	else
		return strncmp(word, "client=", 7) == 0 && set_client(f, ss, word + 7);
	return true;
}

/* ---- questions ---- */

static void
forget(struct question *q)
{
	if (q->asked)
		TAILQ_REMOVE(&open_questions, q, link);
	ev_timer_clear(&q->timer);
	free(q->wanted);
	free(q->addr);
	free(q);
}

/* The client may be gone, and the configuration another one. */
static void
answer(struct question *q, void (*say_it)(struct client *, const struct explained *), const struct p_explained *way, const char *trouble)
{
	struct explained e = { .asked = q->wanted, .addr = q->addr, .mt = &q->mt, .way = way, .trouble = trouble };
	struct client *c = client_find(q->client);

	if (c == NULL || !c->waits) {
		forget(q);
		return;
	}
	if (q->generation == child_conf()->generation) {
		say_it(c, &e);
		client_done(c, 0);
	} else {
		complain(c, "the configuration was read anew meanwhile; ask again");
		client_done(c, 1);
	}
	forget(q);
}

void
on_EXPLAINED(struct edge *e, uint32_t id, struct p_explained *p, int fd)
{
	struct question *q;

	(void)e;
	(void)fd;
	TAILQ_FOREACH(q, &open_questions, link)
		if (q->id == id) {
			answer(q, explain_taken, p, "");
			return;
		}
}

static void
too_late(void *arg)
{
	answer(arg, explain_taken, NULL, "deliver has not answered in " SAY(WAIT_S) " s");
}

/* Of another run of this program deliver may still have questions: their numbers are to be others. */
static uint32_t
next_id(void)
{
	static uint32_t id;

	while (id == 0)
		id = arc4random();
	return id++;
}

static void
ask_deliver(struct question *q)
{
	struct p_explain p = { .generation = q->generation, .action = (uint16_t)q->mt.action, .domain = addr_domain(q->addr) };

	q->id = next_id();
	if (!job_explain(q->id, &p)) {
		answer(q, explain_taken, NULL, "deliver is not there to be asked");
		return;
	}
	q->asked = true;
	TAILQ_INSERT_TAIL(&open_questions, q, link);
	ev_timer_set(&q->timer, WAIT_S * 1000);
}

static void
routed(void *arg, enum match_result result, const struct match *mt)
{
	struct question *q = arg;

	q->mt = *mt;
	q->generation = child_conf()->generation;
	if (*mt->to != '\0') {
		free(q->addr);
		q->addr = xstrdup(mt->to);
	}
	if (result != MATCH_OK)
		answer(q, explain_refused, NULL, "");
	else if (mt->held)
		answer(q, explain_held, NULL, "");
	else if (child_conf()->action[mt->action].kind == ACTION_RELAY)
		ask_deliver(q);
	else
		answer(q, explain_taken, NULL, "");
}

void
verb_explain(struct client *c, char **argv, int argc)
{
	struct match_facts f = route_own();
	struct sockaddr_storage ss;
	struct question *q;
	struct addr a;
	size_t used, n;
	const char *addr = addr_inside(argv[0], &n);
	int i;

	if (addr_parse(addr, n, ADDR_BARE, &a, &used) != NULL || used != n) {
		complain(c, "\"%s\" is no address", argv[0]);
		client_done(c, 64);
		return;
	}
	for (i = 1; i < argc; i++)
		if (!take(&f, &ss, argv[i])) {
			complain(c, "\"%s\": there are from= client= tag= helo= auth", argv[i]);
			client_done(c, 64);
			return;
		}
	q = xcalloc(1, sizeof(*q));
	q->client = c->number;
	q->wanted = xstrdup(a.text);
	q->addr = xstrdup(a.text);
	ev_timer_init(&q->timer, too_late, q);
	c->waits = true;
	route_ask(&f, a.text, routed, q);
}
