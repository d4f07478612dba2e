/*
 * agents: starts postern-agent for an account, at deliver's request.
 *
 * Deliver names an action by its number and an account by name; both are looked up here, so a captured deliver can run
 * nothing but a configured action, as an account that this action may use; whoever asks, none runs as uid 0 or as an account of Postern's.
 * Of one account and action there are never more than two. An agent is hostile once it runs: it is told what to do and only its READY is
 * heard. Owns the processes, and the questions that wait for one to end.
 */
#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "proc/account.h"
#include "base/log.h"
#include "conf/match.h"
#include "parent/parent.h"
#include "parent/lines.h"
#include "base/xmalloc.h"

#define AGENTS_MAX	128
#define AGENTS_EACH	2		/* of one account, action and generation: deliver may have let one go that has not ended yet */
#define ACCOUNT_LEN	64

MSG_PROTOTYPES(ANY_TO_PARENT)
MSG_SENDER(PARENT_TO_DELIVER)
MSG_SENDER(PARENT_TO_AGENT)

static bool
agent_ready(struct edge *e, uint32_t id, struct rd *rd, int fd)
{
	(void)e;
	(void)id;
	(void)fd;
	return rd->left == 0;
}

static const struct msg_row rows[] = { { MSG_READY, 0, agent_ready } };

struct agent {
	pid_t		 pid;
	struct edge	*edge;
	struct lines	*lines;
	char		 account[ACCOUNT_LEN];
	uint16_t	 action;
	uint32_t	 generation;
	uint64_t	 serial;		/* the lower, the older */
	bool		 ended;			/* by us */
};

static struct agent agents[AGENTS_MAX];

/* What deliver wants as soon as an agent in its way has ended. */
struct wanted {
	bool		 used;
	uint32_t	 id, generation;
	uint16_t	 action;
	char		 account[ACCOUNT_LEN];
};
static struct wanted wanted[AGENTS_MAX];

static void
agent_closed(struct edge *e, void *arg)
{
	struct agent *a = arg;

	(void)e;
	a->edge = NULL;
}

static const struct edge_ops ops = { agent_closed, NULL };

bool
agents_reap(pid_t pid, int status)
{
	struct agent *a;

	for (a = agents; a < agents + AGENTS_MAX; a++) {
		if (a->pid != pid)
			continue;
		lines_end(a->lines);
		a->lines = NULL;
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
			log_error("postern-agent[%d] for %s tried a system call that its sandbox forbids", (int)pid, a->account);
		else if (WIFSIGNALED(status) && !a->ended)
			log_warn("postern-agent[%d] for %s was ended by signal %d", (int)pid, a->account, WTERMSIG(status));
		if (a->edge != NULL)
			edge_close(a->edge);
		a->edge = NULL;
		a->pid = 0;
		return true;
	}
	return false;
}

void
agents_again(struct parent *p, struct edge *deliver)
{
	struct wanted *w, was;

	for (w = wanted; w < wanted + AGENTS_MAX; w++) {
		was = *w;
		w->used = false;
		if (was.used && deliver != NULL)
			agents_ask(p, deliver, was.id, &(struct p_agent_ask){ was.generation, was.action, was.account });
	}
}

static struct agent *
free_slot(void)
{
	struct agent *a;

	for (a = agents; a < agents + AGENTS_MAX; a++)
		if (a->pid == 0 && a->edge == NULL)
			return a;
	return NULL;
}

static void
end(struct agent *a)
{
	if (!a->ended)
		kill(a->pid, SIGKILL);
	a->ended = true;
}

/*
 * Deliver has one agent for an account and action. What else there is of them was let go, and is at its end; one that stays could only be
 * stopped by its owner, who would have all the slots in time. -> one more may be started now.
 */
static bool
make_room(const struct agent *like)
{
	struct agent *a, *oldest = NULL;
	unsigned n = 0;

	for (a = agents; a < agents + AGENTS_MAX; a++) {
		if (a->pid == 0 || a->action != like->action || a->generation != like->generation || strcmp(a->account, like->account) != 0)
			continue;
		n++;
		if (oldest == NULL || a->serial < oldest->serial)
			oldest = a;
	}
	if (n >= AGENTS_EACH)
		end(oldest);
	return n < AGENTS_EACH;
}

/* All slots are in use: those of configurations before have had their time. */
static void
end_an_old_one(uint32_t generation)
{
	struct agent *a, *oldest = NULL;

	for (a = agents; a < agents + AGENTS_MAX; a++)
		if (a->pid != 0 && a->generation != generation && (oldest == NULL || a->serial < oldest->serial))
			oldest = a;
	if (oldest != NULL)
		end(oldest);
}

/* never: it would be no use to ask again. */
static void
refuse(struct edge *deliver, uint32_t id, bool never, const char *why)
{
	log_warn("no agent: %s", why);
	send_NO_AGENT(deliver, id, &(struct p_no_agent){ never, why }, -1);
}

/* One question waits for each account and action, and the last one counts. False: too many do. */
static bool
wait_for_end(uint32_t id, const struct agent *like)
{
	struct wanted *w, *room = NULL;

	for (w = wanted; w < wanted + AGENTS_MAX; w++) {
		if (w->used && w->action == like->action && strcmp(w->account, like->account) == 0)
			break;
		if (!w->used && room == NULL)
			room = w;
	}
	if (w == wanted + AGENTS_MAX && (w = room) == NULL)
		return false;
	*w = (struct wanted){ .used = true, .id = id, .generation = like->generation, .action = like->action };
	strlcpy(w->account, like->account, sizeof w->account);
	return true;
}

/*
 * Which account the action's mail is delivered as. NULL: there is none that may be, and why; *never: not later either. Not run by root there is
 * one only: the caller's, which may have no name.
 */
static const struct passwd *
whose(const struct parent *p, const struct conf_action *a, const char *account, bool *never, const char **why)
{
	static struct passwd me;
	const struct passwd *pw;
	enum account_kind kind;
	char *home;

	*never = false;
	*why = "there is no such account";
	if (p->conf->me == NULL) {
		if (account_get(a->user != NULL ? a->user : account, &pw) != 1 || strlen(pw->pw_name) >= ACCOUNT_LEN)
			return NULL;
		kind = account_kind(pw, p->conf->limit[LIM_FIRST_UID]);
		*never = kind == ACCOUNT_NEVER || (kind == ACCOUNT_SYSTEM && a->user == NULL && !match_names_account(p->conf, a, pw->pw_name));
		*why = kind == ACCOUNT_NEVER ? "as root, and as an account of Postern's, nothing is delivered" : "this is a system account";
		return *never ? NULL : pw;
	}
	if ((pw = getpwuid(geteuid())) != NULL)
		return pw;
	home = getenv("HOME");
	me = (struct passwd){ .pw_name = p->conf->me, .pw_uid = geteuid(), .pw_gid = getegid(), .pw_dir = home != NULL ? home : "/" };
	return &me;
}

/* Starts it, with sv[1] as its edge to us. False: reason logged. */
static bool
spawn(struct parent *p, struct agent *slot, const struct passwd *pw)
{
	static uint64_t serial;
	struct proc_start st = { proc_row(PROG_AGENT), "/", pw->pw_uid, pw->pw_gid, pw->pw_name, pw->pw_dir };
	struct lines *lines;
	int sv[2], say;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) == -1) {
		log_error("agent for %s: socketpair: %s", pw->pw_name, strerror(errno));
		return false;
	}
	lines = lines_new(st.row, &say);
	slot->pid = proc_spawn(p->libexec, &st, sv[1], say);
	close(say);
	close(sv[1]);
	if (slot->pid == -1) {
		slot->pid = 0;
		close(sv[0]);
		lines_end(lines);
		return false;
	}
	lines_of(slot->lines = lines, slot->pid);
	slot->serial = ++serial;
	slot->edge = edge_new(sv[0], PROG_AGENT, (unsigned)(slot - agents), rows, sizeof rows / sizeof rows[0], &ops, slot);
	return true;
}

static void
start(struct parent *p, struct edge *deliver, uint32_t id, const struct agent *like, const struct passwd *pw)
{
	const struct conf_action *a = &p->conf->action[like->action];
	struct agent *slot = free_slot();
	struct p_agent_set set = { a->path != NULL ? a->path : "", pw->pw_dir, pw->pw_name, p->conf->hostname, (uint8_t)a->kind };
	int sv[2];

	if (slot == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) == -1) {
		end_an_old_one(like->generation);
		refuse(deliver, id, false, "too many agents run");
		return;
	}
	*slot = *like;
	if (!spawn(p, slot, pw)) {
		close(sv[0]);
		close(sv[1]);
		refuse(deliver, id, false, "the agent cannot be started now");
		return;
	}
	send_AGENT_SET(slot->edge, 0, &set, sv[0]);
	send_AGENT(deliver, id, NULL, sv[1]);
}

void
agents_ask(struct parent *p, struct edge *deliver, uint32_t id, const struct p_agent_ask *ask)
{
	struct agent like = { .action = ask->action, .generation = ask->generation };
	const struct passwd *pw;
	const char *why;
	bool never;

	if (ask->generation != p->conf->generation) {
		refuse(deliver, id, false, "the configuration has just changed");
		return;
	}
	if (ask->action >= p->conf->naction || p->conf->action[ask->action].kind != ACTION_MAILDIR) {
		refuse(deliver, id, false, "not an action with a mailbox");
		return;
	}
	if ((pw = whose(p, &p->conf->action[ask->action], ask->account, &never, &why)) == NULL) {
		refuse(deliver, id, never, why);
		return;
	}
	strlcpy(like.account, pw->pw_name, sizeof like.account);
	if (make_room(&like))
		start(p, deliver, id, &like, pw);
	else if (!wait_for_end(id, &like))
		refuse(deliver, id, false, "too many agents run");
}
