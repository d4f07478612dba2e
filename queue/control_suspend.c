/*
 * control_suspend: suspend and resume of a domain, and the list of those that are suspended.
 *
 * Called by control_verbs. What is suspended is suspend.c's, on the disk too; here it is set and told, and sched hears of it. Resume then
 * is an act on what waited: it is tried at once. Owns nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "addr.h"
#include "control_queue.h"
#include "log.h"
#include "query.h"
#include "sched.h"
#include "suspend.h"
#include "xmalloc.h"

void
verb_suspended(struct client *c, char **argv, int argc)
{
	struct buf b = BUF_INIT;
	const char *domain;
	size_t i;

	(void)argv;
	(void)argc;
	for (i = 0; (domain = suspend_nth(i)) != NULL; i++) {
		buf_adds(&b, c->json ? "{\"suspended\": " : "");
		if (c->json)
			json_str(&b, domain);
		buf_adds(&b, c->json ? "}" : domain);
		say_buf(c, &b);
	}
	if (i == 0 && !c->json)
		say(c, "no domain is suspended");
	buf_free(&b);
	client_done(c, 0);
}

/* -> it is so now */
static bool
set(struct client *c, const char *domain, bool on)
{
	int rc;

	if (!addr_valid_domain(domain, true)) {
		complain(c, "\"%s\" is no domain", domain);
		client_done(c, 64);
		return false;
	}
	if ((rc = suspend_set(domain, on)) == 1 || (rc == -1 && errno == E2BIG)) {
		complain(c, rc == -1 ? "too many domains are suspended already: %s" : on ? "%s is suspended already" : "%s is not suspended",
		    domain);
		client_done(c, 1);
		return false;
	}
	if (rc == -1)
		complain(c, "%s: this holds until Postern is started again, since it could not be written: %s", domain, strerror(errno));
	log_info("deliveries to %s %s by uid %u", domain, on ? "suspended" : "resumed", c->uid);
	if (c->json)
		say(c, "{\"domain\": \"%s\", \"suspended\": %s}", domain, on ? "true" : "false");
	else
		say(c, "deliveries to %s: %s", domain, on ? "suspended" : "resumed");
	sched_suspend(domain, on);
	return true;
}

void
verb_suspend(struct client *c, char **argv, int argc)
{
	(void)argc;
	if (set(c, argv[0], true))
		client_done(c, 0);
}

/* What waits is tried at once. */
void
verb_resume_domain(struct client *c, char **argv, int argc)
{
	char *only[1];

	(void)argc;
	if (!set(c, argv[0], false))
		return;
	only[0] = xasprintf("domain=%s", argv[0]);
	act_on_selection(c, only, 1, ACT_RETRY);
	((struct query *)c->query)->resumed = true;
	free(only[0]);
}
