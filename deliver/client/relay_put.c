/*
 * relay_put: see relay_put.h. Whatever is in a job, one command line comes out per step: what could break a line is refused by
 * put_unfit before, or left out.
 */
#include <stdio.h>
#include <string.h>
#include "mail/addr.h"
#include "client/convert.h"
#include "client/relay_put.h"

#define ENVID_MAX	100		/* RFC 3461 4.4 */
#define ORCPT_MAX	500		/* RFC 3461 4.2 */

/* ---- fitness ---- */

bool
put_nonascii(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s & 0x80)
			return true;
	return false;
}

static bool
unprintable(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	return false;
}

bool
put_utf8(const struct job *j, const struct peer *peer)
{
	return put_nonascii(j->sender) || ((j->flags & MAIL_UTF8HDR) && j->smtputf8 && (peer->ext & EXT_SMTPUTF8));
}

/* What has no sender has nobody to come back to. */
bool
put_converts(const struct job *j, const struct peer *peer)
{
	return (j->flags & MAIL_8BIT) && !(peer->ext & EXT_8BITMIME) && (peer->eightbit == EIGHTBIT_CONVERT || j->sender[0] == '\0');
}

struct convert_plan *
put_plan(const struct job *j, const struct peer *peer)
{
	return put_converts(j, peer) && j->plan != NULL && j->plan->possible ? j->plan : NULL;
}

static uint64_t
length(const struct job *j, const struct convert_plan *plan)
{
	return plan != NULL ? plan->length : j->length;
}

static bool
too_large(const struct job *j, const struct rcpt *r, const struct peer *peer)
{
	(void)r;
	return (peer->ext & EXT_SIZE) && peer->size_max > 0 && length(j, put_plan(j, peer)) > peer->size_max;
}

static bool
bad_address(const struct job *j, const struct rcpt *r, const struct peer *peer)
{
	(void)peer;
	return r->addr[0] == '\0' || unprintable(r->addr) || unprintable(j->sender);
}

static bool
lacks_8bit(const struct job *j, const struct rcpt *r, const struct peer *peer)
{
	(void)r;
	return peer->eightbit == EIGHTBIT_BOUNCE && (j->flags & MAIL_8BIT) && !(peer->ext & EXT_8BITMIME) && j->sender[0] != '\0';
}

static bool
lacks_utf8(const struct job *j, const struct rcpt *r, const struct peer *peer)
{
	return !(peer->ext & EXT_SMTPUTF8) && (put_nonascii(j->sender) || put_nonascii(r->addr));
}

static const struct {
	bool		(*is)(const struct job *, const struct rcpt *, const struct peer *);
	const char	*dsn, *text;
} unfit[] = {
	{ bad_address,	"5.1.3", "the address cannot be written in an SMTP command" },
	{ too_large,	"5.3.4", "message size %llu exceeds the limit of %llu of the receiving server" },
	{ lacks_8bit,	"5.6.3", "the receiving server takes no 8-bit mail (8BITMIME)" },
	{ lacks_utf8,	"5.6.7", "the receiving server takes no internationalized mail (SMTPUTF8)" },
};

bool
put_unfit(const struct job *j, const struct rcpt *r, const struct peer *peer, struct verdict *v)
{
	static char text[160];
	size_t i;

	for (i = 0; i < sizeof unfit / sizeof unfit[0]; i++)
		if (unfit[i].is(j, r, peer)) {
			*v = verdict(OUT_BOUNCE, unfit[i].dsn, unfit[i].text);
			if (unfit[i].is == too_large) {
				snprintf(text, sizeof text, "message size %llu exceeds the limit of %llu of the receiving server",
				    (unsigned long long)length(j, put_plan(j, peer)), (unsigned long long)peer->size_max);
				v->text = text;
			}
			return true;
		}
	return false;
}

/* ---- commands ---- */

static void
xtext(struct buf *out, const char *name, const char *value, size_t max)
{
	char text[3 * ORCPT_MAX + 1];

	if (value[0] == '\0' || strlen(value) > max || put_nonascii(value) || unprintable(value))
		return;
	xtext_encode(value, text, sizeof text);
	if (strlen(text) <= max)
		buf_addf(out, "%s%s", name, text);
}

void
put_rset(const struct tx *t, const struct peer *peer, unsigned i, struct buf *out)
{
	(void)t;
	(void)peer;
	(void)i;
	buf_adds(out, "RSET\r\n");
}

void
put_mail(const struct tx *t, const struct peer *peer, unsigned i, struct buf *out)
{
	static const char *const ret[] = { [RET_NONE] = "", [RET_FULL] = " RET=FULL", [RET_HDRS] = " RET=HDRS" };
	const struct job *j = t->job;

	(void)i;
	buf_addf(out, "MAIL FROM:<%s>", j->sender);
	if (peer->ext & EXT_SIZE)
		buf_addf(out, " SIZE=%llu", (unsigned long long)length(j, t->plan));
	if ((j->flags & MAIL_8BIT) && (peer->ext & EXT_8BITMIME))
		buf_adds(out, " BODY=8BITMIME");
	if (t->utf8)
		buf_adds(out, " SMTPUTF8");
	if (peer->ext & EXT_DSN) {
		buf_adds(out, j->ret <= RET_HDRS ? ret[j->ret] : "");
		xtext(out, " ENVID=", j->envid, ENVID_MAX);
	}
	buf_adds(out, "\r\n");
}

static void
put_notify(struct buf *out, unsigned notify)
{
	static const struct { unsigned bit; const char *name; } on[] = {
		{ NOTIFY_SUCCESS, "SUCCESS" }, { NOTIFY_FAILURE, "FAILURE" }, { NOTIFY_DELAY, "DELAY" },
	};
	const char *before = " NOTIFY=";
	size_t i;

	if (notify & NOTIFY_NEVER) {
		buf_adds(out, " NOTIFY=NEVER");
		return;
	}
	for (i = 0; i < sizeof on / sizeof on[0]; i++)
		if (notify & on[i].bit) {
			buf_addf(out, "%s%s", before, on[i].name);
			before = ",";
		}
}

/* The type in front of the semicolon is an atom and stays as it is. */
static void
put_orcpt(struct buf *out, const char *orcpt)
{
	const char *semicolon = strchr(orcpt, ';');
	char name[64], ascii[3 * ORCPT_MAX];
	size_t n;

	if (semicolon == NULL || (n = (size_t)(semicolon - orcpt)) == 0 || n > 40)
		return;
	if (strspn(orcpt, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != n)
		return;
	snprintf(name, sizeof name, " ORCPT=%.*s;", (int)n, orcpt);
	if (n == 5 && strncasecmp(orcpt, "utf-8", n) == 0)
		addr_utf8_escape(semicolon + 1, ascii, sizeof ascii);	/* RFC 6533 3 */
	else
		strlcpy(ascii, semicolon + 1, sizeof ascii);
	xtext(out, name, ascii, ORCPT_MAX - n - 1);
}

void
put_rcpt(const struct tx *t, const struct peer *peer, unsigned i, struct buf *out)
{
	const struct rcpt *r = &t->job->rcpts[t->rcpt[i]];

	buf_addf(out, "RCPT TO:<%s>", r->addr);
	if (peer->ext & EXT_DSN) {
		put_notify(out, r->notify);
		put_orcpt(out, r->orcpt);
	}
	buf_adds(out, "\r\n");
}

void
put_data(const struct tx *t, const struct peer *peer, unsigned i, struct buf *out)
{
	(void)t;
	(void)peer;
	(void)i;
	buf_adds(out, "DATA\r\n");
}

void
put_bdat(const struct tx *t, const struct peer *peer, unsigned i, struct buf *out)
{
	(void)peer;
	(void)i;
	buf_addf(out, "BDAT %llu LAST\r\n", (unsigned long long)length(t->job, t->plan));
}

/* ---- what the server offers ---- */

static const struct {
	const char	*keyword;
	unsigned	 bit;
} extensions[] = {
	{ "PIPELINING", EXT_PIPELINING }, { "8BITMIME", EXT_8BITMIME }, { "SIZE", EXT_SIZE }, { "DSN", EXT_DSN },
	{ "CHUNKING", EXT_CHUNKING }, { "SMTPUTF8", EXT_SMTPUTF8 },
};

static uint64_t
number(const char *s)
{
	uint64_t n = 0;

	for (; *s >= '0' && *s <= '9'; s++) {
		if (n > UINT64_MAX / 10 - 1)
			return 0;
		n = n * 10 + (uint64_t)(*s - '0');
	}
	return *s == '\0' || *s == ' ' ? n : 0;
}

void
peer_extension(struct peer *peer, const char *line)
{
	size_t i, n = strcspn(line, " =");

	for (i = 0; i < sizeof extensions / sizeof extensions[0]; i++)
		if (strlen(extensions[i].keyword) == n && strncasecmp(line, extensions[i].keyword, n) == 0) {
			peer->ext |= extensions[i].bit;
			if (extensions[i].bit == EXT_SIZE)
				peer->size_max = line[n] != '\0' ? number(line + n + 1) : 0;
			return;
		}
}
