/*
 * dsn: the text of a delivery status notification: multipart/report of words for people, fields for programs, and the message
 * (or its header) that it is about.
 *
 * Called by bounce. Pure; owns nothing, cannot fail. Whatever comes from outside (replies, addresses, ORCPT) is written with its
 * control characters gone and lines broken, so that it cannot end a field or a part; bytes over 0x7e only where a part is one of
 * internationalized mail, and never in the header: so a notice to an ASCII address passes servers without SMTPUTF8.
 */
#include <stdio.h>
#include <string.h>
#include "mail/addr.h"
#include "notice/dsn.h"
#include "notice/dsn_text.h"

static const char *const action_word[] = {
	[DSN_FAILED] = "failed", [DSN_DELAYED] = "delayed", [DSN_DELIVERED] = "delivered", [DSN_RELAYED] = "relayed",
	[DSN_EXPANDED] = "expanded"
};

/* ---- fields for programs ---- */

/* "rfc822;a@b". An internationalized address stands as it is in a report that may have it, else escaped. */
static void
address_field(struct buf *b, const struct dsn *d, const char *name, const char *type, size_t n, const char *addr)
{
	char text[900], value[1000];
	bool i18n = n == 5 && strncasecmp(type, "utf-8", 5) == 0;

	if (i18n && d->utf8)
		addr_utf8_unescape(addr, text, sizeof(text));
	else if (!dsn_is_ascii(addr) && !d->utf8)
		addr_utf8_escape(addr, text, sizeof(text));
	else
		strlcpy(text, addr, sizeof(text));
	snprintf(value, sizeof(value), "%.*s;%s", (int)n, type, text);
	dsn_field(b, name, value, d->utf8);
}

/* What is no "type;address" is left out. */
static void
original_recipient(struct buf *b, const struct dsn *d, const struct dsn_rcpt *r)
{
	size_t n = strcspn(r->orcpt, ";");

	if (n > 0 && n <= 60 && r->orcpt[n] == ';' && r->orcpt[n + 1] != '\0')
		address_field(b, d, "Original-Recipient", r->orcpt, n, r->orcpt + n + 1);
}

static void
diagnostic(struct buf *b, const struct dsn *d, const struct dsn_rcpt *r)
{
	char value[FIELD_MAX + 64];

	if (*r->text == '\0')
		return;
	if (r->code != 0)
		snprintf(value, sizeof(value), "smtp; %u %s", r->code, r->text);
	else
		snprintf(value, sizeof(value), "X-Postern; %s", r->text);
	dsn_field(b, "Diagnostic-Code", value, d->utf8);
}

/* RFC 3463, RFC 3464 2.3.4: its class fits the action; what expired says so, and the reply tells why. */
static const char *
status(const struct dsn_rcpt *r)
{
	size_t n = strspn(r->status, "0123456789.");
	bool good = n >= 5 && r->status[n] == '\0' && r->status[1] == '.';

	if (r->action == DSN_FAILED)
		return r->expired ? "4.4.7" : good && (*r->status == '5' || *r->status == '4') ? r->status : "5.0.0";
	if (r->action == DSN_DELAYED)
		return good && *r->status == '4' ? r->status : "4.0.0";
	return good && *r->status == '2' ? r->status : "2.0.0";
}

static void
remote_mta(struct buf *b, const struct dsn_rcpt *r)
{
	char host[300], value[400];

	dsn_host(r->relay, host, sizeof(host));
	if (*host == '\0')
		return;
	snprintf(value, sizeof(value), "dns; %.*s", (int)strcspn(host, "["), host);
	dsn_field(b, "Remote-MTA", value, false);
}

static void
rcpt_fields(struct buf *b, const struct dsn *d, const struct dsn_rcpt *r)
{
	const char *type = dsn_is_ascii(r->addr) ? "rfc822" : "utf-8";
	char date[64];

	buf_adds(b, "\r\n");
	original_recipient(b, d, r);
	address_field(b, d, "Final-Recipient", type, strlen(type), r->addr);
	buf_addf(b, "Action: %s\r\n", action_word[r->action]);
	dsn_field(b, "Status", status(r), false);
	remote_mta(b, r);
	if (r->action == DSN_FAILED || r->action == DSN_DELAYED)
		diagnostic(b, d, r);
	if (r->when != 0) {
		dsn_date(date, sizeof(date), r->when);
		buf_addf(b, "Last-Attempt-Date: %s\r\n", date);
	}
	if (r->action == DSN_DELAYED && r->until != 0) {
		dsn_date(date, sizeof(date), r->until);
		buf_addf(b, "Will-Retry-Until: %s\r\n", date);
	}
}

static void
report(struct buf *b, const struct dsn *d)
{
	char date[64];
	uint32_t i;

	buf_addf(b, "Reporting-MTA: dns; %s\r\n", d->hostname);
	dsn_field(b, "Original-Envelope-Id", d->envid, d->utf8);
	dsn_date(date, sizeof(date), d->arrival);
	buf_addf(b, "Arrival-Date: %s\r\nX-Postern-Queue-ID: %s\r\n", date, d->parent);
	for (i = 0; i < d->nrcpt; i++)
		rcpt_fields(b, d, &d->rcpts[i]);
}

/* ---- the whole ---- */

static void
header(struct buf *b, const struct dsn *d, bool eightbit)
{
	char date[64];

	dsn_date(date, sizeof(date), d->now);
	buf_addf(b, "Date: %s\r\nFrom: Mail Delivery System <MAILER-DAEMON@%s>\r\nTo: <", date, d->hostname);
	dsn_clean(b, d->to, strnlen(d->to, FIELD_MAX), true);
	buf_addf(b, ">\r\nSubject: %s\r\nMessage-ID: <%s@%s>\r\n", dsn_subject(d), d->id, d->hostname);
	if (dsn_is_ascii(d->message_id)) {
		dsn_field(b, "In-Reply-To", d->message_id, false);
		dsn_field(b, "References", d->message_id, false);
	}
	buf_addf(b, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"%s\"\r\n", d->boundary);
	if (eightbit)
		buf_adds(b, "Content-Transfer-Encoding: 8bit\r\n");
	buf_adds(b, "\r\nThis is a delivery report in MIME format.\r\n");
}

static void
part(struct buf *b, const struct dsn *d, const char *description, const char *type, bool eightbit)
{
	buf_addf(b, "\r\n--%s\r\nContent-Description: %s\r\nContent-Type: %s\r\n", d->boundary, description, type);
	if (eightbit)
		buf_adds(b, "Content-Transfer-Encoding: 8bit\r\n");
	buf_adds(b, "\r\n");
}

static void
returned(struct buf *b, const struct dsn *d)
{
	struct blob m = d->returned;

	if (d->headers_only) {
		m.len = dsn_header_len(m);
		part(b, d, "Header of the message", d->utf8 ? "message/global-headers" : "text/rfc822-headers", d->utf8 || d->eightbit);
	} else
		part(b, d, "The message", d->utf8 ? "message/global" : "message/rfc822", d->utf8 || d->eightbit);
	buf_add(b, m.p, m.len);
	if (m.len < 2 || memcmp(m.p + m.len - 2, "\r\n", 2) != 0)
		buf_adds(b, "\r\n");
}

/* The other server's words may be in any language, whatever the rest is. */
static bool
words_utf8(const struct dsn *d)
{
	uint32_t i;

	for (i = 0; i < d->nrcpt; i++)
		if (!dsn_is_ascii(d->rcpts[i].text) && (d->rcpts[i].action == DSN_FAILED || d->rcpts[i].action == DSN_DELAYED))
			return true;
	return d->utf8;
}

void
dsn_write(struct buf *b, const struct dsn *d)
{
	struct dsn people = *d;

	people.utf8 = words_utf8(d);
	header(b, d, people.utf8 || d->utf8 || d->eightbit);
	part(b, d, "Notice", people.utf8 ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii", people.utf8);
	dsn_words(b, &people);
	part(b, d, "Delivery report", d->utf8 ? "message/global-delivery-status" : "message/delivery-status", d->utf8);
	report(b, d);
	returned(b, d);
	buf_addf(b, "\r\n--%s--\r\n", d->boundary);
}
