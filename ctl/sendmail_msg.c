/*
 * sendmail_msg: the message that sendmail reads and completes.
 *
 * Called by main. The whole message is in memory before anything is sent, so that a caller that dies half-way leaves
 * nothing behind. It owns no state; the header is read by common/hdr.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>
#include "mail/addr.h"
#include "mail/hdr.h"
#include "sendmail.h"
#include "base/xmalloc.h"

#define MESSAGE_MOST	(1024UL * 1024 * 1024)

/* ---- standard input ---- */

/*
 * Adds one line (without its LF) with CRLF. A CR at its end belongs to the line end. One inside is a line end of its own in
 * the body, as a progress bar writes it; in the header it becomes a blank, so that nobody starts a new field with it.
 */
static void
add_line(struct buf *text, char *line, size_t n, bool in_header)
{
	char *cr;

	if (n > 0 && line[n - 1] == '\r')
		n--;
	while ((cr = memchr(line, '\r', n)) != NULL) {
		if (in_header) {
			*cr = ' ';
			continue;
		}
		buf_add(text, line, (size_t)(cr - line));
		buf_adds(text, "\r\n");
		n -= (size_t)(cr + 1 - line);
		line = cr + 1;
	}
	buf_add(text, line, n);
	buf_adds(text, "\r\n");
}

static bool
has_high(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] >= 0x80)
			return true;
	return false;
}

/* The empty line, "." or ".\r": line is without its LF. */
static bool
is_line(const char *line, size_t n, const char *what)
{
	if (n > 0 && line[n - 1] == '\r')
		n--;
	return n == strlen(what) && memcmp(line, what, n) == 0;
}

static size_t
without_nul(char *line, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (line[i] != '\0')
			line[kept++] = line[i];
	return kept;
}

void
message_read(struct message *m, bool dot_is_text)
{
	char *line = NULL;
	size_t size = 0, n;
	ssize_t got;
	bool in_header = true;

	buf_reserve(&m->text, 4096);
	while ((got = getline(&line, &size, stdin)) > 0) {
		n = (size_t)got;
		if (line[n - 1] == '\n')
			n--;
		n = without_nul(line, n);
		if (!dot_is_text && is_line(line, n, "."))
			break;
		if (is_line(line, n, ""))
			in_header = false;
		if (m->text.len + n > MESSAGE_MOST)
			errx(EX_DATAERR, "the message is larger than %lu MiB", MESSAGE_MOST >> 20);
		add_line(&m->text, line, n, in_header);
	}
	if (ferror(stdin))
		err(EX_IOERR, "standard input");
	free(line);
	m->eightbit = has_high(buf_data(&m->text), m->text.len);
}

/* ---- the header ---- */

struct header {			/* what the walk through it finds */
	bool		 from, date, message_id;
	bool		 resent, resent_from, resent_date, resent_message_id;
	/* Resent fields come in blocks, the newest first. */
	bool		 in_block;
	unsigned	 block;			/* number of the current or last block */
	unsigned	 last_from, last_date, last_id;	/* in which block each was last seen */
	unsigned	 rcpt_block;		/* the newest block with recipients; 0: none */
	struct strings	 rcpts, resent_rcpts;
};

static bool
starts(const struct hdr_field *f, const char *prefix)
{
	return f->name_len > strlen(prefix) && strncasecmp(f->name, prefix, strlen(prefix)) == 0;
}

/* A block ends at the first other field, or where one of its single fields comes again. */
static void
note_block(struct header *h, const struct hdr_field *f)
{
	unsigned *last = hdr_is(f, "Resent-From") ? &h->last_from : hdr_is(f, "Resent-Date") ? &h->last_date :
	    hdr_is(f, "Resent-Message-ID") ? &h->last_id : NULL;

	if (!starts(f, "Resent-")) {
		h->in_block = false;
		return;
	}
	if (!h->in_block || (last != NULL && *last == h->block))
		h->block++;
	h->in_block = true;
	if (last != NULL)
		*last = h->block;
}

static void
note_field(struct header *h, const struct hdr_field *f)
{
	h->from |= hdr_is(f, "From");
	h->date |= hdr_is(f, "Date");
	h->message_id |= hdr_is(f, "Message-ID");
	note_block(h, f);
	if (!h->in_block || h->block != 1)
		return;
	h->resent = true;
	h->resent_from |= hdr_is(f, "Resent-From");
	h->resent_date |= hdr_is(f, "Resent-Date");
	h->resent_message_id |= hdr_is(f, "Resent-Message-ID");
}

static void
add_rcpt(void *arg, const char *addr)
{
	strings_add(arg, addr);
}

static void
collect(struct strings *list, const struct hdr_field *f)
{
	if (hdr_addresses(f->value, f->value_len, add_rcpt, list) == -1)
		warnx("the %.*s field is malformed; what could be read of it is used", (int)f->name_len, f->name);
}

static void
note_rcpts(struct header *h, const struct hdr_field *f)
{
	if (hdr_is(f, "To") || hdr_is(f, "Cc") || hdr_is(f, "Bcc"))
		collect(&h->rcpts, f);
	if (!hdr_is(f, "Resent-To") && !hdr_is(f, "Resent-Cc") && !hdr_is(f, "Resent-Bcc"))
		return;
	if (h->rcpt_block == 0)
		h->rcpt_block = h->block;
	if (h->rcpt_block == h->block)
		collect(&h->resent_rcpts, f);
}

static void
add_date(struct buf *out, const char *prefix)
{
	time_t now = time(NULL);
	struct tm tm;
	char text[64];

	localtime_r(&now, &tm);
	strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S %z", &tm);
	buf_addf(out, "%sDate: %s\r\n", prefix, text);
}

static void
add_message_id(struct buf *out, const char *prefix, const char *domain)
{
	buf_addf(out, "%sMessage-ID: <%llx.%08x%08x@%s>\r\n", prefix, (unsigned long long)time(NULL), arc4random(), arc4random(),
	    domain);
}

static void
add_missing(struct buf *out, const char *prefix, const bool have[3], const struct message_facts *facts)
{
	if (!have[0])
		buf_addf(out, "%sFrom: %s\r\n", prefix, facts->from);
	if (!have[1])
		add_date(out, prefix);
	if (!have[2])
		add_message_id(out, prefix, facts->domain);
}

/* What programs that think of mailboxes write in front: not fields. */
static size_t
from_lines(const char *text, size_t len)
{
	const char *lf, *e = text + len, *p = text;

	while (p < e) {
		size_t quoted = *p == '>';

		if ((size_t)(e - p) < quoted + 5 || memcmp(p + quoted, "From ", 5) != 0 || (lf = memchr(p, '\n', (size_t)(e - p))) == NULL)
			break;
		p = lf + 1;
	}
	return (size_t)(p - text);
}

void
message_complete(struct message *m, const struct message_facts *facts)
{
	const char *text = (const char *)buf_data(&m->text);
	struct buf kept = BUF_INIT, out = BUF_INIT;
	struct header h = { .rcpt_block = 0 };
	struct hdr_field f;
	size_t skip = from_lines(text, m->text.len), at = 0, len = m->text.len - skip;

	text += skip;
	while (hdr_next(text, len, &at, &f)) {
		note_field(&h, &f);
		if (facts->collect)
			note_rcpts(&h, &f);
		if (!hdr_is(&f, "Bcc") && !hdr_is(&f, "Resent-Bcc"))
			buf_add(&kept, f.name, f.whole_len);
	}
	if (h.resent)
		add_missing(&out, "Resent-", (bool[]){ h.resent_from, h.resent_date, h.resent_message_id }, facts);
	if (kept.len > 0)
		buf_add(&out, buf_data(&kept), kept.len);
	add_missing(&out, "", (bool[]){ h.from, h.date, h.message_id }, facts);
	m->utf8_header = has_high(buf_data(&out), out.len) && utf8_valid((const char *)buf_data(&out), out.len);
	if (at >= len || (text[at] != '\r' && text[at] != '\n'))
		buf_adds(&out, "\r\n");
	buf_add(&out, text + at, len - at);
	buf_free(&kept);
	buf_free(&m->text);
	m->text = out;
	m->rcpts = h.resent_rcpts.n > 0 ? h.resent_rcpts : h.rcpts;
}

/* ---- a mailbox with a name ---- */

static void
add_encoded(struct buf *out, const char *name)
{
	buf_adds(out, "=?UTF-8?Q?");
	for (; *name != '\0'; name++) {
		unsigned char c = (unsigned char)*name;

		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
			buf_add(out, &c, 1);
		else
			buf_addf(out, "=%02X", c);
	}
	buf_adds(out, "?=");
}

static void
add_quoted(struct buf *out, const char *name)
{
	buf_adds(out, "\"");
	for (; *name != '\0'; name++) {
		if (*name == '"' || *name == '\\')
			buf_adds(out, "\\");
		buf_add(out, name, 1);
	}
	buf_adds(out, "\"");
}

static bool
is_plain_name(const char *name)
{
	return name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -_+/'")] == '\0';
}

/* An encoded word may be 75 octets; a longer name, or one in no known coding, is left out. */
static bool
can_encode(const char *name)
{
	return strlen(name) <= 20 && utf8_valid(name, strlen(name));
}

char *
message_mailbox(const char *name, const char *address)
{
	struct buf out = BUF_INIT;
	char *text;

	if (has_high((const uint8_t *)name, strlen(name)) || strpbrk(name, "\t\r\n\v\f\x7f") != NULL) {
		if (can_encode(name))
			add_encoded(&out, name);
	} else if (is_plain_name(name))
		buf_adds(&out, name);
	else
		add_quoted(&out, name);
	if (out.len > 0)
		buf_addf(&out, " <%s>", address);
	else
		buf_adds(&out, address);
	text = xstrdup(buf_str(&out));
	buf_free(&out);
	return text;
}
