/* links: */
/*
 * fuzz_reply: replies of remote servers. The first byte chooses how the bytes are split.
 * A split anywhere changes nothing; every text is bounded and clean; there is a meaning for what was said.
 */
#include <stdlib.h>
#include <string.h>
#include "mail/addr.h"
#include "mail/reply.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check(bool ok)
{
	if (!ok)
		abort();
}

static void
on_line(void *arg, const char *text)
{
	(*(unsigned *)arg)++;
	check(strlen(text) <= REPLY_LINE_MAX && utf8_clean(text, strlen(text)));
}

static enum reply_status
feed(struct reply *r, const uint8_t *in, size_t n, size_t piece, size_t *used)
{
	struct buf b = BUF_INIT;
	enum reply_status status = REPLY_MORE;
	unsigned lines = 0;
	size_t at, k;

	reply_init(r);
	for (at = 0; at < n && status == REPLY_MORE; at += k) {
		k = piece == 0 || piece > n - at ? n - at : piece;
		buf_add(&b, in + at, k);
		status = reply_feed(r, &b, on_line, &lines);
		check(status != REPLY_MORE || b.len <= REPLY_LINE_MAX + 1);
	}
	check(lines == r->lines && lines <= REPLY_LINES_MAX);
	*used = at - b.len;
	buf_free(&b);
	return status;
}

int
LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	struct reply a, b;
	enum reply_status status;
	size_t used_a, used_b;

	if (n == 0)
		return 0;
	status = feed(&a, in + 1, n - 1, 0, &used_a);
	check(status == feed(&b, in + 1, n - 1, 1 + in[0] % 32, &used_b));
	check(a.code == b.code && a.lines == b.lines && strcmp(a.dsn, b.dsn) == 0 && strcmp(a.text, b.text) == 0);
	check(strlen(a.text) < REPLY_TEXT_MAX && utf8_clean(a.text, strlen(a.text)));
	if (status != REPLY_DONE)
		return 0;
	check(used_a == used_b && a.code >= 200 && a.code < 600);
	check(a.dsn[0] == '\0' || (unsigned)(a.dsn[0] - '0') == a.code / 100);
	for (int stage = STAGE_CONNECT; stage <= STAGE_OTHER; stage++) {
		const struct reply_meaning *m = reply_meaning((enum reply_stage)stage, a.code, a.dsn);

		check(m != NULL && (m->deed != DEED_OK || a.code < 400) && (m->deed == DEED_OK) == (m->dsn[0] == '2'));
	}
	return 0;
}
