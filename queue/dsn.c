/*
 * dsn: the text of a delivery status notification: multipart/report of words for people, fields for programs, and the message
 * (or its header) that it is about.
 *
 * Called by bounce. Pure; owns nothing, cannot fail. Whatever comes from outside (replies, addresses, ORCPT) is written with its
 * control characters gone and lines broken, so that it cannot end a field or a part; bytes over 0x7e only where the DSN is
 * one for internationalized mail.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "addr.h"
#include "dsn.h"
#include "reply.h"

#define FIELD_MAX	900		/* octets of a value, with what folding leaves room for */
#define WIDTH		76

static const char *const action_word[] = { [DSN_FAILED] = "failed", [DSN_DELIVERED] = "delivered", [DSN_RELAYED] = "relayed" };

bool
dsn_is_ascii(const char *s)
{
	while (*s != '\0' && (unsigned char)*s < 0x80)
		s++;
	return *s == '\0';
}

void
dsn_date(char *out, size_t size, int64_t ms)
{
	static const char day[] = "SunMonTueWedThuFriSat", month[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	gmtime_r(&t, &tm);
	snprintf(out, size, "%.3s, %02d %.3s %04d %02d:%02d:%02d +0000", day + 3 * tm.tm_wday, tm.tm_mday, month + 3 * tm.tm_mon,
	    tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

size_t
dsn_header_len(struct blob b)
{
	const uint8_t *end = memmem(b.p, b.len, "\r\n\r\n", 4), *nl;

	if (b.len >= 2 && memcmp(b.p, "\r\n", 2) == 0)
		return 2;
	if (end != NULL)
		return (size_t)(end - b.p) + 4;
	nl = memrchr(b.p, '\n', b.len);
	return nl != NULL ? (size_t)(nl - b.p) + 1 : 0;
}

/* ---- safe text ---- */

/* Bytes that may stand in a line of ours; others become '?'. */
static void
clean(struct buf *b, const char *s, size_t n, bool utf8)
{
	size_t i;

	for (i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		put_u8(b, c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8) ? '?' : c);
	}
}

/* Where to break s so that at most width bytes stand before it. */
static size_t
break_at(const char *s, size_t n, size_t width)
{
	size_t i = width;

	if (n <= width)
		return n;
	while (i > width / 2 && s[i] != ' ')
		i--;
	if (s[i] != ' ')
		i = width;
	while (i > 1 && ((unsigned char)s[i] & 0xc0) == 0x80)
		i--;
	return i;
}

/* s in lines of a decent width, each after the first behind prefix. */
static void
wrapped(struct buf *b, const char *s, size_t used, const char *prefix, bool utf8)
{
	size_t n = strnlen(s, FIELD_MAX), cut, room;

	for (;;) {
		room = used < WIDTH - 20 ? WIDTH - used : 20;
		cut = break_at(s, n, room);
		clean(b, s, cut, utf8);
		buf_adds(b, "\r\n");
		s += cut;
		n -= cut;
		while (n > 0 && *s == ' ') {
			s++;
			n--;
		}
		if (n == 0)
			return;
		buf_adds(b, prefix);
		used = strlen(prefix);
	}
}

static void
field(struct buf *b, const char *name, const char *value, bool utf8)
{
	if (*value == '\0')
		return;
	buf_addf(b, "%s: ", name);
	wrapped(b, value, strlen(name) + 2, " ", utf8);
}

/* "host[address]:port" without the port; "" where it is no host ("maildir", "none"). */
static void
host_of(const char *relay, char *out, size_t size)
{
	const char *end = strrchr(relay, ':');

	snprintf(out, size, "%.*s", end != NULL && *relay != '/' ? (int)(end - relay) : 0, relay);
}

/* ---- words for people ---- */

static bool
any(const struct dsn *d, enum dsn_action a)
{
	uint32_t i;

	for (i = 0; i < d->nrcpt; i++)
		if (d->rcpts[i].action == a)
			return true;
	return false;
}

static void
indented(struct buf *b, const char *s, bool utf8)
{
	buf_adds(b, "    ");
	wrapped(b, s, 4, "    ", utf8);
}

static void
explain_failure(struct buf *b, const struct dsn *d, const struct dsn_rcpt *r)
{
	const struct reply_meaning *mean = reply_meaning(STAGE_RCPT, r->code, r->status);
	char host[300], said[400];

	if (r->expired)
		indented(b, "It could not be delivered within the time that mail is kept here. The last try ended so:", d->utf8);
	if (r->code != 0) {
		snprintf(said, sizeof(said), "What happened: %s.", mean->what);
		indented(b, said, d->utf8);
		snprintf(said, sizeof(said), "What may help: %s.", mean->helps);
		if (mean->helps != NULL && *mean->helps != '\0')
			indented(b, said, d->utf8);
	}
	host_of(r->relay, host, sizeof(host));
	if (r->code != 0 && *host != '\0') {
		snprintf(said, sizeof(said), "The server %s said:", host);
		indented(b, said, d->utf8);
	}
	buf_adds(b, "      ");
	if (r->code != 0)
		buf_addf(b, "%u ", r->code);
	wrapped(b, r->text, r->code != 0 ? 10 : 6, "      ", d->utf8);
}

static void
explain(struct buf *b, const struct dsn *d, const struct dsn_rcpt *r)
{
	buf_adds(b, "\r\n  <");
	clean(b, r->addr, strnlen(r->addr, FIELD_MAX), d->utf8);
	buf_adds(b, ">");
	if (*r->orig != '\0' && strcasecmp(r->orig, r->addr) != 0) {
		buf_adds(b, " (given as <");
		clean(b, r->orig, strnlen(r->orig, FIELD_MAX), d->utf8);
		buf_adds(b, ">)");
	}
	buf_adds(b, "\r\n");
	if (r->action == DSN_FAILED)
		explain_failure(b, d, r);
	else if (r->action == DSN_DELIVERED)
		indented(b, "was delivered to the mailbox.", d->utf8);
	else
		indented(b, "was handed to a server that may not tell what becomes of it.", d->utf8);
}

static void
words(struct buf *b, const struct dsn *d)
{
	uint32_t i;

	buf_addf(b, "This is the mail system at %s.\r\n\r\n", d->hostname);
	if (d->postmaster)
		buf_adds(b, "A message without a return address (a notice of another mail system,\r\n"
		    "as a rule) could not be delivered. You get this as the postmaster; nobody\r\n"
		    "else is told.\r\n");
	else if (any(d, DSN_FAILED))
		buf_adds(b, "Your message could not be delivered to the recipients below. It will not\r\n"
		    "be tried again.\r\n");
	else
		buf_adds(b, "You asked to be told: your message arrived.\r\n");
	for (i = 0; i < d->nrcpt; i++)
		explain(b, d, &d->rcpts[i]);
	buf_addf(b, "\r\nThe message had the queue id %s.", d->parent);
	if (d->headers_only)
		buf_adds(b, " Its header is attached.\r\n");
	else
		buf_adds(b, " It is attached.\r\n");
}

/* ---- fields for programs ---- */

/* "rfc822;a@b" from ORCPT's xtext; what is no such thing is left out. */
static void
original_recipient(struct buf *b, const struct dsn *d, const struct dsn_rcpt *r)
{
	const char *semi = strchr(r->orcpt, ';');
	char addr[600], value[700];

	if (semi == NULL || (size_t)(semi - r->orcpt) > 60)
		return;
	if (!xtext_decode(semi + 1, strlen(semi + 1), addr, sizeof(addr)))
		strlcpy(addr, semi + 1, sizeof(addr));
	snprintf(value, sizeof(value), "%.*s;%s", (int)(semi - r->orcpt), r->orcpt, addr);
	field(b, "Original-Recipient", value, d->utf8);
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
	field(b, "Diagnostic-Code", value, d->utf8);
}

static void
rcpt_fields(struct buf *b, const struct dsn *d, const struct dsn_rcpt *r)
{
	char value[700], host[300], date[64];

	buf_adds(b, "\r\n");
	original_recipient(b, d, r);
	snprintf(value, sizeof(value), "%s;%s", dsn_is_ascii(r->addr) ? "rfc822" : "utf-8", r->addr);
	field(b, "Final-Recipient", value, d->utf8);
	buf_addf(b, "Action: %s\r\n", action_word[r->action]);
	field(b, "Status", r->status, false);
	host_of(r->relay, host, sizeof(host));
	if (*host != '\0') {
		snprintf(value, sizeof(value), "dns; %.*s", (int)strcspn(host, "["), host);
		field(b, "Remote-MTA", value, false);
	}
	if (r->action == DSN_FAILED)
		diagnostic(b, d, r);
	dsn_date(date, sizeof(date), r->when);
	buf_addf(b, "Last-Attempt-Date: %s\r\n", date);
}

static void
report(struct buf *b, const struct dsn *d)
{
	char value[700], date[64];
	uint32_t i;

	buf_addf(b, "Reporting-MTA: dns; %s\r\n", d->hostname);
	if (*d->envid != '\0') {
		if (!xtext_decode(d->envid, strlen(d->envid), value, sizeof(value)))
			strlcpy(value, d->envid, sizeof(value));
		field(b, "Original-Envelope-Id", value, d->utf8);
	}
	dsn_date(date, sizeof(date), d->arrival);
	buf_addf(b, "Arrival-Date: %s\r\nX-Postern-Queue-ID: %s\r\n", date, d->parent);
	for (i = 0; i < d->nrcpt; i++)
		rcpt_fields(b, d, &d->rcpts[i]);
}

/* ---- the whole ---- */

static const char *
subject(const struct dsn *d)
{
	if (d->postmaster)
		return "Postmaster: a notice could not be delivered";
	return any(d, DSN_FAILED) ? "Undelivered mail returned to sender" : "Delivered: your message arrived";
}

static void
header(struct buf *b, const struct dsn *d)
{
	char date[64];

	dsn_date(date, sizeof(date), d->now);
	buf_addf(b, "Date: %s\r\nFrom: Mail Delivery System <MAILER-DAEMON@%s>\r\nTo: <", date, d->hostname);
	clean(b, d->to, strnlen(d->to, FIELD_MAX), d->utf8);
	buf_addf(b, ">\r\nSubject: %s\r\nMessage-ID: <%s@%s>\r\n", subject(d), d->id, d->hostname);
	field(b, "In-Reply-To", d->message_id, d->utf8);
	field(b, "References", d->message_id, d->utf8);
	buf_addf(b, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"%s\"\r\n", d->boundary);
	if (d->utf8 || d->eightbit)
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

void
dsn_write(struct buf *b, const struct dsn *d)
{
	header(b, d);
	part(b, d, "Notice", d->utf8 ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii", d->utf8);
	words(b, d);
	part(b, d, "Delivery report", d->utf8 ? "message/global-delivery-status" : "message/delivery-status", d->utf8);
	report(b, d);
	returned(b, d);
	buf_addf(b, "\r\n--%s--\r\n", d->boundary);
}
