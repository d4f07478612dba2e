/*
 * log_line: see log_line.h. Called by log.c and parent_lines.c; owns the stamp of the second that is on, cannot fail.
 *
 * Text lines look like syslog's files do, for people and for pflogsumm.
 */
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include "base/log_line.h"

#define RECORD		'\001'
#define RECORD_HEAD	18		/* RECORD, level, 16 digits */

static const struct {
	const char	*prefix;	/* in front of the text, as Postfix has it */
	const char	*name;		/* in JSON */
	int		 priority;
} levels[] = {
	[LOG_LV_ERROR] = { "error: ", "error", LOG_ERR },
	[LOG_LV_WARN] = { "warning: ", "warning", LOG_WARNING },
	[LOG_LV_INFO] = { "", "info", LOG_INFO },
	[LOG_LV_DEBUG] = { "", "debug", LOG_DEBUG },
};

/* ---- a line ---- */

/* -> bytes of the character over 0x7f that begins here, 0: none does */
static size_t
utf8_len(const unsigned char *s, size_t left)
{
	size_t n = s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;
	size_t i;

	if (n > left)
		return 0;
	for (i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

void
log_text_add(struct buf *b, const char *text, size_t len, bool json)
{
	const unsigned char *s = (const unsigned char *)text, *end = s + len, *plain = s;
	size_t n;

	for (; s < end; s++) {
		if (*s >= 0x20 && *s < 0x7f && !(json && (*s == '"' || *s == '\\')))
			continue;
		if (*s > 0x7f && (n = utf8_len(s, (size_t)(end - s))) > 0 && !(s[0] == 0xc2 && s[1] < 0xa0)) {
			s += n - 1;
			continue;
		}
		buf_add(b, plain, (size_t)(s - plain));
		plain = s + 1;
		if (json)
			buf_addf(b, *s == '"' || *s == '\\' ? "\\%c" : "\\u%04x", *s);
		else
			buf_addf(b, "\\x%02x", *s);
	}
	buf_add(b, plain, (size_t)(s - plain));
}

static const char *
stamp(enum log_format format)
{
	static time_t second = -1;
	static enum log_format of;
	static char text[32];
	time_t now = time(NULL);
	struct tm tm;

	if (now == second && format == of)
		return text;
	second = now;
	of = format;
	localtime_r(&now, &tm);
	strftime(text, sizeof text, format == LOG_JSON ? "%Y-%m-%dT%H:%M:%S%z" : "%b %e %H:%M:%S", &tm);
	return text;
}

void
log_line_add(struct buf *b, const struct log_style *st, const struct log_from *from, enum log_level level, const char *text, size_t len)
{
	bool json = st->format == LOG_JSON;

	if (len > LOG_TEXT_MAX)
		len = LOG_TEXT_MAX;
	if (st->kind == LOG_TO_SYSLOG)
		buf_addf(b, "<%d>", LOG_MAIL | levels[level].priority);
	if (json)
		buf_addf(b, "{\"time\":\"%s\",\"host\":\"%s\",\"program\":\"%s\",\"pid\":%d,\"level\":\"%s\",\"message\":\"",
		    stamp(st->format), st->host, from->name, from->pid, levels[level].name);
	else if (st->kind == LOG_TO_SYSLOG)	/* the daemon adds the host */
		buf_addf(b, "%s postern/%s[%d]: %s", stamp(st->format), from->name, from->pid, levels[level].prefix);
	else
		buf_addf(b, "%s %s postern/%s[%d]: %s", stamp(st->format), st->host, from->name, from->pid, levels[level].prefix);
	log_text_add(b, text, len, json);
	buf_adds(b, json ? "\"}\n" : "\n");
}

/* ---- a record ---- */

uint64_t
log_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

void
log_record_put(struct buf *b, const struct log_record *r)
{
	static const char digit[] = "0123456789abcdef";
	const char *p = r->text, *end = p + r->text_len, *nl;
	char head[RECORD_HEAD] = { RECORD, (char)('0' + (int)r->level) };
	int i;

	for (i = 0; i < 16; i++)
		head[2 + i] = digit[r->ns >> (60 - 4 * i) & 15];
	buf_add(b, head, sizeof head);
	buf_add(b, r->name, r->name_len);
	buf_adds(b, " ");
	for (; (nl = memchr(p, '\n', (size_t)(end - p))) != NULL; p = nl + 1) {
		buf_add(b, p, (size_t)(nl - p));
		buf_adds(b, "\\x0a");
	}
	buf_add(b, p, (size_t)(end - p));
	buf_adds(b, "\n");
}

static bool
hex(const char *s, uint64_t *v)
{
	int i;

	for (*v = 0, i = 0; i < 16; i++) {
		if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
			return false;
		*v = *v << 4 | (uint64_t)(s[i] <= '9' ? s[i] - '0' : s[i] - 'a' + 10);
	}
	return true;
}

void
log_record_get(const char *line, size_t len, struct log_record *r)
{
	const char *space;

	*r = (struct log_record){ 0, LOG_LV_ERROR, "", line, 0, len };
	if (len <= RECORD_HEAD || line[0] != RECORD || line[1] < '0' || line[1] > '0' + LOG_LV_DEBUG || !hex(line + 2, &r->ns) ||
	    (space = memchr(line + RECORD_HEAD, ' ', len - RECORD_HEAD)) == NULL) {
		r->ns = 0;
		return;
	}
	r->level = (enum log_level)(line[1] - '0');
	r->name = line + RECORD_HEAD;
	r->name_len = (size_t)(space - r->name);
	r->text = space + 1;
	r->text_len = len - (size_t)(r->text - line);
}
