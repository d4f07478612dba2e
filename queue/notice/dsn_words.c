/*
 * dsn_words: the part of a notice that people read: what happened to whom, what may help, and the other server's own words.
 *
 * Called by dsn. Pure; owns nothing, cannot fail. The meanings come from the dictionary of replies (reply.h).
 */
#include <stdio.h>
#include <string.h>
#include "notice/dsn.h"
#include "notice/dsn_text.h"
#include "mail/reply.h"

static bool
any(const struct dsn *d, enum dsn_action a)
{
	uint32_t i;

	for (i = 0; i < d->nrcpt; i++)
		if (d->rcpts[i].action == a)
			return true;
	return false;
}

static bool
all_told(const struct dsn *d)
{
	uint32_t i;

	for (i = 0; i < d->nrcpt; i++)
		if (!d->rcpts[i].told)
			return false;
	return true;
}

const char *
dsn_subject(const struct dsn *d)
{
	if (d->damaged)
		return "Postmaster: a message is damaged on the disk and is held";
	if (d->archive)
		return "Postmaster: a copy for the archive could not be delivered";
	if (d->postmaster)
		return "Postmaster: a notice could not be delivered";
	if (any(d, DSN_FAILED))
		return "Undelivered mail returned to sender";
	if (any(d, DSN_DELAYED))
		return "Delayed mail: still being tried";
	if (any(d, DSN_DELIVERED))
		return "Delivered: your message arrived";
	return "Passed on: your message left this server";
}

static const char *
beginning(const struct dsn *d)
{
	if (d->damaged)
		return "A message for the recipients below is not on the disk as it was accepted.\r\n"
		    "Nothing of it was sent. It is held, and a copy of what is there is in the\r\n"
		    "spool's quarantine folder. You get this as the postmaster; nobody else is\r\n"
		    "told. `posternctl queue bounce` tells its sender; look after the disk.\r\n";
	if (d->archive)
		return "A copy for the archive, which is attached, could not be delivered and will\r\n"
		    "not be tried again. You get this as the postmaster; nobody else is told.\r\n"
		    "The message itself is not concerned.\r\n";
	if (d->postmaster)
		return "A message without a return address (a notice of another mail system,\r\n"
		    "as a rule) could not be delivered. You get this as the postmaster; nobody\r\n"
		    "else is told.\r\n";
	if (any(d, DSN_FAILED))
		return "Your message could not be delivered to the recipients below. It will not\r\n"
		    "be tried again.\r\n";
	if (any(d, DSN_DELAYED))
		return all_told(d) ? "Your message could not be delivered to the recipients below YET. You need\r\n"
		    "do nothing: it is still being tried, and you are told if it is given up.\r\n" :
		    "Your message could not be delivered to the recipients below YET. You need\r\n"
		    "do nothing: it is still being tried.\r\n";
	if (any(d, DSN_DELIVERED))
		return "You asked to be told: your message arrived.\r\n";
	return "You asked to be told: your message was passed on.\r\n";
}

static void
indented(struct buf *b, const char *s, bool utf8)
{
	buf_adds(b, "    ");
	dsn_wrapped(b, s, 4, "    ", utf8);
}

static void
sentence(struct buf *b, const char *what, const char *rest)
{
	char said[400];

	snprintf(said, sizeof(said), "%s%s.", what, rest);
	indented(b, said, false);
}

/* What usually helps is of no use to somebody who need do nothing. */
static void
meaning(struct buf *b, const struct dsn_rcpt *r)
{
	const struct reply_meaning *m = r->code != 0 ? reply_meaning(STAGE_RCPT, r->code, r->status) : reply_own_meaning(r->status);
	bool wait = strncmp(m->helps, "wait:", 5) == 0;

	sentence(b, "What happened: ", m->what);
	if (r->action == DSN_FAILED && wait)
		sentence(b, "What may help: ", "send it again later, or reach them another way");
	else if (r->action == DSN_FAILED || !wait)
		sentence(b, "What may help: ", m->helps);
}

static void
own_words(struct buf *b, const struct dsn_rcpt *r, bool utf8)
{
	char host[300], said[400];

	if (*r->text == '\0')
		return;
	dsn_host(r->relay, host, sizeof(host));
	if (r->code != 0 && *host != '\0') {
		snprintf(said, sizeof(said), "The server %s said:", host);
		indented(b, said, utf8);
	} else if (*host != '\0') {
		snprintf(said, sizeof(said), "The last server tried was %s:", host);
		indented(b, said, utf8);
	}
	buf_adds(b, "      ");
	if (r->code != 0)
		buf_addf(b, "%u ", r->code);
	dsn_wrapped(b, r->text, r->code != 0 ? 10 : 6, "      ", utf8);
}

static void
until(struct buf *b, const struct dsn_rcpt *r)
{
	char date[64], said[128];

	if (r->until == 0)
		return;
	dsn_date(date, sizeof(date), r->until);
	snprintf(said, sizeof(said), "It is tried until %s.", date);
	indented(b, said, false);
}

static void
explain(struct buf *b, const struct dsn_rcpt *r, bool utf8)
{
	switch (r->action) {
	case DSN_DELIVERED:
		sentence(b, r->discarded ? "was taken, and thrown away by a rule of this server" : "was delivered to the mailbox", "");
		return;
	case DSN_RELAYED:
		sentence(b, "was handed to a server that may not tell what becomes of it", "");
		return;
	case DSN_EXPANDED:
		sentence(b, "was passed on to the addresses that it stands for, which are told nothing more of", "");
		return;
	case DSN_FAILED:
	case DSN_DELAYED:
		break;
	}
	if (r->expired && !r->tried)
		indented(b, "It was given up before it was tried.", false);
	else if (r->expired)
		indented(b, "It could not be delivered within the time that mail is kept here. The last try ended so:", false);
	if (*r->text != '\0' || r->tried)
		meaning(b, r);
	own_words(b, r, utf8);
	until(b, r);
}

static void
recipient(struct buf *b, const struct dsn_rcpt *r, bool utf8)
{
	buf_adds(b, "\r\n  <");
	dsn_clean(b, r->addr, strnlen(r->addr, FIELD_MAX), utf8);
	buf_adds(b, ">");
	if (*r->orig != '\0' && strcasecmp(r->orig, r->addr) != 0) {
		buf_adds(b, " (given as <");
		dsn_clean(b, r->orig, strnlen(r->orig, FIELD_MAX), utf8);
		buf_adds(b, ">)");
	}
	buf_adds(b, "\r\n");
	explain(b, r, utf8);
}

void
dsn_words(struct buf *b, const struct dsn *d)
{
	uint32_t i;

	buf_addf(b, "This is the mail system at %s.\r\n\r\n%s", d->hostname, beginning(d));
	for (i = 0; i < d->nrcpt; i++)
		recipient(b, &d->rcpts[i], d->utf8);
	if (d->more > 0)
		buf_addf(b, "\r\n  ... and %u more recipients, who are not listed here.\r\n", d->more);
	buf_addf(b, "\r\nThe message had the queue id %s.%s", d->parent,
	    d->headers_only ? " Its header is attached.\r\n" : " It is attached.\r\n");
}
