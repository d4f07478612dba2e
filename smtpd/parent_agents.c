/*
 * parent_agents: starts postern-agent for an account, at deliver's request.
 *
 * Deliver names an action by its number and an account by name; both are looked up here, so a captured deliver can run
 * nothing but a configured action, as an account that this action may use. An agent is hostile once it runs: it is told what to do and
 * only its READY is heard.
 */
#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "account.h"
#include "log.h"
#include "parent.h"
#include "xmalloc.h"

#define AGENTS_MAX	128
#define AGENTS_EACH	2		/* of one account and action: deliver may have let one go that has not ended yet */

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
	char		 account[64];
	uint16_t	 action;
	uint64_t	 serial;		/* the lower, the older */
};

static struct agent agents[AGENTS_MAX];

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
		if (WIFSIGNALED(status))
			log_warn("postern-agent[%d] for %s was ended by signal %d", (int)pid, a->account, WTERMSIG(status));
		if (a->edge != NULL)
			edge_close(a->edge);
		a->edge = NULL;
		a->pid = 0;
		return true;
	}
	return false;
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

/*
 * Deliver has one agent for an account and action. What else there is of them was let go, and is at its end; one that stays could only be
 * stopped by its owner, who would have all the slots in time.
 */
static void
end_oldest(const char *account, uint16_t action)
{
	struct agent *a, *oldest = NULL;
	unsigned n = 0;

	for (a = agents; a < agents + AGENTS_MAX; a++) {
		if (a->pid == 0 || a->action != action || strcmp(a->account, account) != 0)
			continue;
		n++;
		if (oldest == NULL || a->serial < oldest->serial)
			oldest = a;
	}
	if (n >= AGENTS_EACH)
		kill(oldest->pid, SIGKILL);
}

static void
refuse(struct edge *deliver, uint32_t id, const char *why)
{
	log_warn("no agent: %s", why);
	send_NO_AGENT(deliver, id, &(struct p_text){ why }, -1);
}

/*
 * Which account the action's mail is delivered as; NULL if there is none (or it cannot be known now: deliver tries again either
 * way). Not run by root there is one only: the caller's, which may have no name.
 */
static const struct passwd *
whose(const struct parent *p, const struct conf_action *a, const char *account)
{
	static struct passwd me;
	const struct passwd *pw;
	char *home;

	if (p->conf->me == NULL)
		return account_get(a->user != NULL ? a->user : account, &pw) == 1 ? pw : NULL;
	if ((pw = getpwuid(geteuid())) != NULL)
		return pw;
	home = getenv("HOME");
	me = (struct passwd){ .pw_name = p->conf->me, .pw_uid = geteuid(), .pw_gid = getegid(), .pw_dir = home != NULL ? home : "/" };
	return &me;
}

/* Starts it, with sv[1] as its edge to us. False: reason logged. */
static bool
spawn(struct parent *p, struct agent *slot, const struct passwd *pw, uint16_t action)
{
	static uint64_t serial;
	struct proc_start st = { proc_row(PROG_AGENT), "/", pw->pw_uid, pw->pw_gid, pw->pw_name };
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) == -1) {
		log_error("agent for %s: socketpair: %s", pw->pw_name, strerror(errno));
		return false;
	}
	slot->pid = proc_spawn(p->libexec, &st, sv[1]);
	close(sv[1]);
	if (slot->pid == -1) {
		slot->pid = 0;
		close(sv[0]);
		return false;
	}
	strlcpy(slot->account, pw->pw_name, sizeof slot->account);
	slot->action = action;
	slot->serial = ++serial;
	slot->edge = edge_new(sv[0], PROG_AGENT, (unsigned)(slot - agents), rows, sizeof rows / sizeof rows[0], &ops, slot);
	return true;
}

void
agents_ask(struct parent *p, struct edge *deliver, uint32_t id, const struct p_agent_ask *ask)
{
	const struct conf_action *a;
	const struct passwd *pw;
	struct agent *slot;
	struct p_agent_set set;
	int sv[2];

	if (ask->generation != p->conf->generation) {
		refuse(deliver, id, "the configuration has just changed");
		return;
	}
	if (ask->action >= p->conf->naction || p->conf->action[ask->action].kind != ACTION_MAILDIR) {
		refuse(deliver, id, "not an action with a mailbox");
		return;
	}
	a = &p->conf->action[ask->action];
	if ((pw = whose(p, a, ask->account)) == NULL) {
		refuse(deliver, id, "there is no such account");
		return;
	}
	end_oldest(pw->pw_name, ask->action);
	if ((slot = free_slot()) == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) == -1) {
		refuse(deliver, id, "too many agents run");
		return;
	}
	if (!spawn(p, slot, pw, ask->action)) {
		close(sv[0]);
		close(sv[1]);
		refuse(deliver, id, "the agent cannot be started now");
		return;
	}
	set = (struct p_agent_set){ a->path != NULL ? a->path : "", pw->pw_dir, pw->pw_name, p->conf->hostname, (uint8_t)a->kind };
	send_AGENT_SET(slot->edge, 0, &set, sv[0]);
	send_AGENT(deliver, id, NULL, sv[1]);
}
