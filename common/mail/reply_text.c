/*
 * reply_text: a reply as one text, "450 4.7.1 slow down", and what of it stands behind the code.
 *
 * Called by the queue, which shows and keeps replies so, and by deliver, which says why a host rests. Pure; owns nothing, cannot fail. Where a server spoke the text is its own words,
 * with an enhanced code only if it gave one. The code is 0 where none spoke: then there is none in the text either.
 */
#include <stdio.h>
#include <string.h>
#include "mail/reply.h"

/* -> the bytes of the word that text begins with, if it is that one */
static size_t
begins_with(const char *text, const char *word)
{
	size_t n = strlen(word);

	return n > 0 && strncmp(text, word, n) == 0 && (text[n] == ' ' || text[n] == '\0') ? n : 0;
}

void
reply_whole(struct buf *b, unsigned code, const char *dsn, const char *text)
{
	if (code != 0)
		buf_addf(b, "%u", code);
	if (code == 0 && *dsn != '\0' && begins_with(text, dsn) == 0)
		buf_addf(b, "%s%s", b->len > 0 ? " " : "", dsn);
	if (*text != '\0')
		buf_addf(b, "%s%s", b->len > 0 ? " " : "", text);
}

void
reply_said(const struct reply *r, char *out, size_t size)
{
	snprintf(out, size, "%u %s%s%s", r->code, r->dsn, r->dsn[0] != '\0' ? " " : "", r->text);
}

const char *
reply_behind_code(const char *whole, unsigned code)
{
	char digits[16];
	size_t n;

	snprintf(digits, sizeof(digits), "%u", code);
	n = code != 0 ? begins_with(whole, digits) : 0;
	return whole + n + (n > 0 && whole[n] == ' ');
}
