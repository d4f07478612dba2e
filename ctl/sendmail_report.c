/*
 * sendmail_report: tells the sender which recipients were refused while others were accepted (RFC 3464).
 *
 * Called by sendmail: the caller is told nothing by exit 0, and programs throw standard error away. The report is a message from the
 * null sender, sent as any other. Owns what it gathers. When it cannot be sent the exit code says so.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include "ask.h"
#include "sendmail.h"
#include "base/xmalloc.h"

static bool
has_high(const char *s)
{
	while (*s != '\0')
		if ((unsigned char)*s++ >= 0x80)
			return true;
	return false;
}

void
report_refused(void *arg, const char *rcpt, const struct reply *r)
{
	struct report *rep = arg;
	const char *dsn = *r->dsn != '\0' ? r->dsn : r->code >= 500 ? "5.0.0" : "4.0.0";

	rep->utf8 |= has_high(rcpt);
	buf_addf(&rep->words, "<%s>: %u %s %s\r\n", rcpt, r->code, r->dsn, r->text);
	buf_addf(&rep->status, "\r\nFinal-Recipient: %s; %s\r\nAction: failed\r\nStatus: %s\r\nDiagnostic-Code: smtp; %u %s %s\r\n",
	    has_high(rcpt) ? "utf-8" : "rfc822", rcpt, dsn, r->code, r->dsn, r->text);
}

static void
put_head(const struct report *rep, struct buf *out, const char *sender, const char *domain, const char *boundary)
{
	struct tm tm;
	time_t now = time(NULL);
	char date[64];

	localtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S %z", &tm);
	buf_addf(out, "From: Mail Delivery System <MAILER-DAEMON@%s>\r\nTo: %s%s%s\r\nDate: %s\r\n", domain, sender,
	    strchr(sender, '@') != NULL ? "" : "@", strchr(sender, '@') != NULL ? "" : domain, date);
	buf_addf(out, "Message-ID: <%llx.%08x%08x@%s>\r\n", (unsigned long long)now, arc4random(), arc4random(), domain);
	buf_addf(out, "Subject: Undelivered Mail Returned to Sender\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"%s\"\r\n\r\n", boundary);
	buf_addf(out, "--%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n"
	    "Your message was taken for some of its recipients, but not for these:\r\n\r\n", boundary, rep->utf8 ? "8bit" : "7bit");
}

/* The header of the message that was sent. */
static size_t
header_len(const struct buf *text)
{
	const char *end = memmem(buf_data(text), text->len, "\r\n\r\n", 4);

	return end != NULL ? (size_t)(end + 2 - (const char *)buf_data(text)) : text->len;
}

static void
put_report(const struct report *rep, struct buf *out, const struct submission *of, const char *domain)
{
	char boundary[40];
	size_t head = header_len(of->text);

	snprintf(boundary, sizeof(boundary), "=_%08x%08x%08x", arc4random(), arc4random(), arc4random());
	put_head(rep, out, of->sender, domain, boundary);
	buf_add(out, buf_data(&rep->words), rep->words.len);
	buf_addf(out, "\r\n--%s\r\nContent-Type: message/%s\r\n\r\nReporting-MTA: dns; %s\r\n", boundary,
	    rep->utf8 ? "global-delivery-status" : "delivery-status", domain);
	buf_add(out, buf_data(&rep->status), rep->status.len);
	buf_addf(out, "\r\n--%s\r\nContent-Type: %s\r\n\r\n", boundary, of->utf8 ? "message/global-headers" : "text/rfc822-headers");
	buf_add(out, buf_data(of->text), head);
	buf_addf(out, "\r\n--%s--\r\n", boundary);
}

static void
nobody_left(void *arg, const char *rcpt, const struct reply *r)
{
	(void)arg;
	(void)rcpt;
	(void)r;
}

/* On a connection of its own, since the other may be broken. */
int
report_send(struct report *rep, const struct submission *of, const char *domain)
{
	struct buf text = BUF_INIT;
	char *to = xstrdup(of->sender);
	struct submission sub = { .sender = "", .rcpts = &to, .nrcpts = 1, .text = &text, .eightbit = of->eightbit || rep->utf8,
	    .utf8 = of->utf8 };
	struct submit s;
	int code = 0;

	if (rep->words.len > 0 && *to != '\0') {
		put_report(rep, &text, of, domain);
		if ((code = submit_open(&s, runtime_dir())) == 0)
			code = submit_send(&s, &sub, nobody_left, NULL);
		submit_close(&s);
		if (code != 0)
			warnx("some recipients were refused, and <%s> cannot be told; the others get the message", to);
	}
	buf_free(&text);
	free(to);
	buf_free(&rep->words);
	buf_free(&rep->status);
	return code == 0 ? 0 : EX_UNAVAILABLE;	/* not 75: a second try would send it to the others again */
}
