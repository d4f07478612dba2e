/*
 * reply_own: the other half of reply.c's dictionary: what an enhanced code of our own means, where no server said a word.
 *
 * Called by the queue for notices. Pure; has an answer for every code.
 */
#include <string.h>
#include "mail/reply.h"

static const struct own {
	const char	*dsn;		/* without its class, which says whether it is tried again */
	struct reply_meaning meaning;
} own[] = {
	{ "0.0", { DEED_BOUNCE, NULL, "the administrator of this mail system returned it", "ask the administrator" } },
	{ "1.1", { DEED_BOUNCE, NULL, "there is no such mailbox here", "check the address" } },
	{ "1.2", { DEED_BOUNCE, NULL, "the domain of the address does not exist", "check the spelling of what stands behind the @" } },
	{ "1.3", { DEED_BOUNCE, NULL, "the address is not valid", "check the address" } },
	{ "1.10", { DEED_BOUNCE, NULL, "the recipient's domain accepts no mail", "check the domain of the address" } },
	{ "2.2", { DEED_BOUNCE, NULL, "the mailbox is full", "the recipient must make space; tell them another way" } },
	{ "3.4", { DEED_BOUNCE, NULL, "the message is larger than the recipient's server takes", "send less, or a link" } },
	{ "4.1", { DEED_BOUNCE, NULL, "no mail server of the recipient's domain could be reached",
	    "wait and send it again; if it lasts, the administrators there must look" } },
	{ "4.2", { DEED_BOUNCE, NULL, "the connection to the recipient's mail server broke or timed out",
	    "wait and send it again; if it lasts, the administrators there must look" } },
	{ "4.3", { DEED_BOUNCE, NULL, "the mail servers of the recipient's domain could not be found out for now",
	    "check the domain of the address; if it is right, wait and send it again" } },
	{ "4.4", { DEED_BOUNCE, NULL, "the recipient's domain has no mail server", "check the domain of the address" } },
	{ "4.6", { DEED_BOUNCE, NULL, "the message would run in a loop",
	    "the administrators must look: the domain points to a server that does not take its mail" } },
	{ "4.7", { DEED_BOUNCE, NULL, "it could not be delivered in time", "wait and send it again" } },
	{ "6.3", { DEED_BOUNCE, NULL, "the recipient's server takes no 8-bit mail", "send it as plain 7-bit text" } },
	{ "6.7", { DEED_BOUNCE, NULL, "the recipient's server takes no internationalized addresses or headers",
	    "use addresses of ASCII characters alone" } },
	{ "7.1", { DEED_BOUNCE, NULL, "it was refused by a rule", "ask the administrator" } },
};

const struct reply_meaning *
reply_own_meaning(const char *dsn)
{
	static const struct reply_meaning later = { DEED_RETRY, NULL, "a temporary failure", "wait: it is nothing that you can mend" },
	    never = { DEED_BOUNCE, NULL, "a permanent failure", "read the words below" };
	size_t i;

	if (dsn[0] != '\0' && dsn[1] == '.')
		for (i = 0; i < sizeof own / sizeof own[0]; i++)
			if (strcmp(dsn + 2, own[i].dsn) == 0)
				return &own[i].meaning;
	return dsn[0] == '4' ? &later : &never;
}
