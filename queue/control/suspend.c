/*
 * control_suspend: suspend and resume of a domain or a source; suspend alone lists them.
 *
 * Called by control_verbs. The lists are suspend.c's; what follows from a change is done here: a domain's destinations rest or not
 * (sched), deliver hears which sources are left (job), and what waited for what is resumed is tried (control_act).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "mail/addr.h"
#include "program/child.h"
#include "control/queue.h"
#include "core/job.h"
#include "base/log.h"
#include "core/sched.h"
#include "control/show.h"
#include "core/suspend.h"
#include "base/xmalloc.h"

/* ---- the two kinds ---- */

static int
check_domain(struct client *c, const char *name, bool on)
{
	(void)on;
	if (addr_valid_domain(name, true))
		return 0;
	complain(c, "\"%s\" is no domain", name);
	return 64;
}

/* One that is gone from the configuration can still be resumed. */
static int
check_source(struct client *c, const char *name, bool on)
{
	const struct conf *conf = child_conf();
	size_t i;

	for (i = 0; i < conf->nsource && strcmp(conf->source[i].name, name) != 0; i++)
		;
	if (i < conf->nsource || !on)
		return 0;
	complain(c, "there is no source \"%s\" in the configuration", name);
	return 1;
}

static void
source_changed(const char *name, bool on)
{
	(void)name;
	(void)on;
	job_tell_suspended();
}

static const struct kind {
	const char	*what, *field;		/* in words, and in JSON */
	const char	*before, *listed;	/* in the list: before its name, and its field */
	int		(*check)(struct client *, const char *, bool on);	/* 0, or the exit code; the client is told */
	void		(*changed)(const char *, bool on);
	const char	*waits;			/* selects what waits, but for the name */
	bool		 by_name;		/* ... which is to follow */
} kinds[] = {
	[SUSPEND_DOMAIN] = { "deliveries to", "domain", "", "suspended", check_domain, sched_suspend, "domain=", true },
	[SUSPEND_SOURCE] = { "deliveries by source", "source", "source ", "suspended_source", check_source, source_changed,
	    "reason~" NO_SOURCE_LEFT, false },
};

/* ---- the list ---- */

static size_t
list(struct client *c, enum suspend_kind kind)
{
	const struct kind *k = &kinds[kind];
	struct buf b = BUF_INIT;
	const char *name;
	size_t i;

	for (i = 0; (name = suspend_nth(kind, i)) != NULL; i++) {
		if (c->json) {
			buf_addf(&b, "{\"%s\": ", k->listed);
			json_str(&b, name);
			buf_adds(&b, "}");
		} else
			buf_addf(&b, "%s%s", k->before, name);
		say_buf(c, &b);
	}
	buf_free(&b);
	return i;
}

void
verb_suspended(struct client *c, char **argv, int argc)
{
	size_t n = list(c, SUSPEND_DOMAIN) + list(c, SUSPEND_SOURCE);

	(void)argv;
	(void)argc;
	if (n == 0 && !c->json)
		say(c, "no domain and no source is suspended");
	client_done(c, 0);
}

/* ---- a change ---- */

static void
say_changed(struct client *c, const struct kind *k, const char *name, bool on)
{
	struct buf b = BUF_INIT;

	if (c->json) {
		buf_addf(&b, "{\"%s\": ", k->field);
		json_str(&b, name);
		buf_addf(&b, ", \"suspended\": %s}", on ? "true" : "false");
	} else
		buf_addf(&b, "%s %s: %s", k->what, name, on ? "suspended" : "resumed");
	say_buf(c, &b);
	buf_free(&b);
}

/* What waited is tried at once. */
static void
try_waiting(struct client *c, enum suspend_kind kind, const char *name)
{
	const struct kind *k = &kinds[kind];
	char *what = xasprintf("%s%s", k->waits, k->by_name ? name : "");

	retry_resumed(c, what);
	free(what);
}

struct change {
	enum suspend_kind kind;
	bool		 on;
	char		 name[];
};

/* The disk has it, or has refused it. */
static bool
changed_step(struct client *c)
{
	struct change *ch = c->query;

	c->query = NULL;
	c->drop = NULL;
	c->step = NULL;
	if (suspend_error() != 0)
		complain(c, "%s: this holds until Postern is started again, since it could not be written: %s", ch->name,
		    strerror(suspend_error()));
	say_changed(c, &kinds[ch->kind], ch->name, ch->on);
	if (ch->on)
		client_done(c, 0);
	else
		try_waiting(c, ch->kind, ch->name);
	free(ch);
	return false;
}

static void
change(struct client *c, enum suspend_kind kind, const char *name, bool on)
{
	const struct kind *k = &kinds[kind];
	struct change *ch;
	int rc = k->check(c, name, on);

	if (rc == 0 && (rc = suspend_set(kind, name, on ? SUSPEND_ALWAYS : 0)) != 0) {
		complain(c, rc == -1 ? "%s: too many are suspended already, or its name is too long" : on ? "%s is suspended already" :
		    "%s is not suspended", name);
		rc = 1;
	}
	if (rc != 0) {
		client_done(c, rc);
		return;
	}
	log_info("%s %s %s by uid %u", k->what, name, on ? "suspended" : "resumed", c->uid);
	k->changed(name, on);
	ch = xcalloc(1, sizeof(*ch) + strlen(name) + 1);
	ch->kind = kind;
	ch->on = on;
	memcpy(ch->name, name, strlen(name) + 1);
	c->errand = suspend_ticket();
	c->query = ch;
	c->drop = free;
	c->step = changed_step;
}

void
verb_suspend_domain(struct client *c, char **argv, int argc)
{
	(void)argc;
	change(c, SUSPEND_DOMAIN, argv[0], true);
}

void
verb_suspend_source(struct client *c, char **argv, int argc)
{
	(void)argc;
	change(c, SUSPEND_SOURCE, argv[0], true);
}

void
verb_resume_domain(struct client *c, char **argv, int argc)
{
	(void)argc;
	change(c, SUSPEND_DOMAIN, argv[0], false);
}

void
verb_resume_source(struct client *c, char **argv, int argc)
{
	(void)argc;
	change(c, SUSPEND_SOURCE, argv[0], false);
}
