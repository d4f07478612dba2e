/*
 * reply: the parser of remote servers' replies (RFC 5321 4.2.1, RFC 2034) and the dictionary of what they mean.
 *
 * Called by deliver for each reply, by the queue for bounces and notices,
    by posternctl. Owns nothing. Whatever a server sends ends in
 * REPLY_BAD or a struct reply of bounded size; the dictionary has an answer for every number.
 */
#include <string.h>
#include "mail/addr.h"
#include "mail/reply.h"

/* ---- the parser ---- */

void
reply_init(struct reply *r)
{
	memset(r, 0, sizeof *r);
}

static bool
is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* The code of a line, 0 if it has none; *more: a hyphen follows. */
static unsigned
line_code(const uint8_t *p, size_t n, bool *more)
{
	if (n < 3 || p[0] < '2' || p[0] > '5' || !is_digit(p[1]) || !is_digit(p[2]))
		return 0;
	if (n > 3 && p[3] != ' ' && p[3] != '-')
		return 0;
	*more = n > 3 && p[3] == '-';
	return (unsigned)(p[0] - '0') * 100 + (unsigned)(p[1] - '0') * 10 + (unsigned)(p[2] - '0');
}

static size_t
digits(const uint8_t *p, size_t n)
{
	size_t i;

	for (i = 0; i < n && i < 3 && is_digit(p[i]); i++)
		;
	return i;
}

/* Length of an enhanced status code of this class at p, 0 if there is none: class "." 1*3digit "." 1*3digit. */
static size_t
dsn_len(const uint8_t *p, size_t n, unsigned class)
{
	size_t i, k;

	if (n < 5 || p[0] != '0' + class || p[1] != '.')
		return 0;
	i = 2 + digits(p + 2, n - 2);
	if (i == 2 || i == n || p[i] != '.')
		return 0;
	i++;
	k = digits(p + i, n - i);
	if (k == 0 || (i + k < n && p[i + k] != ' '))
		return 0;
	return i + k;
}

/* A line's text, fit for logs and reports; UTF-8 stays if the line is valid. */
static void
clean(const uint8_t *p, size_t n, char *out)
{
	bool utf8 = utf8_valid((const char *)p, n);
	size_t i;

	for (i = 0; i < n; i++) {
		out[i] = (char)p[i];
		if (p[i] < ' ' || p[i] == 0x7f || (p[i] >= 0x80 && !utf8))
			out[i] = '?';
		else if (utf8 && p[i] == 0xc2 && p[i + 1] < 0xa0) {
			out[i++] = '?';		/* a C1 control character */
			out[i] = '?';
		}
	}
	out[n] = '\0';
}

/* Joined by one blank; what does not fit is dropped, a UTF-8 sequence as a whole. */
static void
add_text(struct reply *r, const char *line)
{
	size_t have = strlen(r->text), n = strlen(line);

	if (n == 0 || have + 1 >= sizeof r->text)
		return;
	if (have > 0)
		r->text[have++] = ' ';
	if (n > sizeof r->text - 1 - have) {
		n = sizeof r->text - 1 - have;
		while (n > 0 && ((unsigned char)line[n] & 0xc0) == 0x80)
			n--;
	}
	memcpy(r->text + have, line, n);
	r->text[have + n] = '\0';
}

/* One line without its end. */
static enum reply_status
take_line(struct reply *r, const uint8_t *p, size_t n, void (*line_cb)(void *, const char *), void *arg)
{
	char text[REPLY_LINE_MAX + 1];
	unsigned code = line_code(p, n, &r->more);
	size_t k;

	if (code == 0 || (r->lines > 0 && code != r->code) || r->lines == REPLY_LINES_MAX)
		return REPLY_BAD;
	r->code = code;
	r->lines++;
	k = n > 3 ? 4 : 3;
	p += k;
	n -= k;
	if ((k = dsn_len(p, n, code / 100)) > 0 && k < sizeof r->dsn) {
		if (r->dsn[0] == '\0') {
			memcpy(r->dsn, p, k);
			r->dsn[k] = '\0';
		}
		p += k;
		n -= k;
		if (n > 0) {
			p++;
			n--;
		}
	}
	clean(p, n, text);
	add_text(r, text);
	if (line_cb != NULL)
		line_cb(arg, text);
	return r->more ? REPLY_MORE : REPLY_DONE;
}

enum reply_status
reply_feed(struct reply *r, struct buf *in, void (*line_cb)(void *, const char *), void *arg)
{
	enum reply_status status = REPLY_MORE;
	const uint8_t *p, *lf;
	size_t n;

	while (status == REPLY_MORE && in->len > 0) {
		p = buf_data(in);
		n = in->len;
		if (n > REPLY_LINE_MAX + 2)
			n = REPLY_LINE_MAX + 2;
		if ((lf = memchr(p, '\n', n)) == NULL)
			return in->len > REPLY_LINE_MAX + 1 ? REPLY_BAD : REPLY_MORE;
		n = (size_t)(lf - p);
		if (n > 0 && p[n - 1] == '\r')
			n--;
		if (n > REPLY_LINE_MAX)
			return REPLY_BAD;
		status = take_line(r, p, n, line_cb, arg);
		buf_drain(in, (size_t)(lf - p) + 1);
	}
	return status;
}

/* ---- the dictionary ---- */

#define S(stage)	(1U << (stage))
#define GREETING	(S(STAGE_CONNECT) | S(STAGE_EHLO))
#define MESSAGE		(S(STAGE_MAIL) | S(STAGE_DATA) | S(STAGE_END))
#define ANY		(~0U)

#define NONE		"-"	/* the server gave no enhanced code */

/*
 * The first row that fits holds. dsn: NULL = whatever the server gave, NONE,
    or a prefix of the code behind its class. Where
 * the meaning is temporary its dsn has class 4 even if the server's code was a 5xx. 530, 534, 535 and 538 from a
 * smarthost are for the administrator, not for the sender: deliver, who knows, retries on them.
 */
static const struct row {
	unsigned	 stages, low, high;
	const char	*dsn;
	struct reply_meaning meaning;
} rows[] = {
	{ ANY, 101, 101, NULL, { DEED_NEXT_MX, "4.4.1", "no connection could be opened to the recipient's mail server",
	    "wait; if it lasts, check the network and the firewall" } },
	{ ANY, 111, 111, NULL, { DEED_NEXT_MX, "4.4.1", "the recipient's mail server refused the connection",
	    "wait: the server is probably down" } },

	/* Success is success where it is due; anything else here is no valid reply. */
	{ ANY & ~S(STAGE_DATA), 200, 299, NULL, { DEED_OK, "2.0.0", "accepted", "nothing need be done" } },
	{ S(STAGE_DATA) | S(STAGE_OTHER), 300, 399, NULL, { DEED_OK, "2.0.0", "go on", "nothing need be done" } },

	/* Connection and greeting: it is the host that will not, not the recipient. */
	{ ANY, 421, 421, NULL, { DEED_REST_HOST, "4.3.2", "the recipient's mail server is not available now",
	    "wait: it will be tried again" } },
	{ ANY, 521, 521, NULL, { DEED_NEXT_MX_BOUNCE, "5.3.2", "the host never accepts mail",
	    "check the domain of the address" } },
	{ ANY, 556, 556, NULL, { DEED_NEXT_MX_BOUNCE, "5.1.10", "the recipient's domain accepts no mail",
	    "check the domain of the address" } },
	{ GREETING, 400, 499, NULL, { DEED_NEXT_MX, "4.3.2",
	    "the recipient's mail server does not take mail from us now",
	    "wait: it will be tried again" } },
	{ GREETING, 500, 599, NULL, { DEED_NEXT_MX, "4.3.2", "the recipient's mail server refuses to talk to us",
	    "if it lasts, check whether our address is on a block list and has a PTR" } },

	/* Too many recipients, which the enhanced code or the command tells. */
	{ S(STAGE_RCPT), 452, 452, "5.3", { DEED_NEXT_TX, "4.5.3", "too many recipients for one transaction",
	    "nothing need be done: the others follow in a next one" } },
	{ S(STAGE_RCPT), 552, 552, "5.3", { DEED_NEXT_TX, "4.5.3", "too many recipients for one transaction",
	    "nothing need be done: the others follow in a next one" } },
	{ S(STAGE_RCPT), 552, 552, NONE, { DEED_RETRY, "4.5.3", "too many recipients, or no space at the other side",
	    "wait: it will be tried again" } },

	{ ANY, 420, 420, NULL, { DEED_NEXT_MX, "4.4.2", "the connection timed out", "wait: it will be tried again" } },
	{ ANY, 441, 441, NULL, { DEED_NEXT_MX, "4.4.1", "the recipient's server does not respond",
	    "wait: it will be tried again" } },
	{ ANY, 442, 442, NULL, { DEED_NEXT_MX, "4.4.2", "the connection was dropped during the transmission",
	    "wait: it will be tried again" } },
	{ ANY, 447, 447, NULL, { DEED_NEXT_MX, "4.4.7", "the message timed out at the other side",
	    "wait: it will be tried again" } },

	{ ANY, 422, 422, NULL, { DEED_RETRY, "4.2.2", "mailbox full",
	    "the recipient must make space; tell them another way" } },
	{ ANY, 400, 499, "2.2", { DEED_RETRY, "4.2.2", "mailbox full",
	    "the recipient must make space; tell them another way" } },
	{ ANY, 400, 499, "3.4", { DEED_RETRY, "4.3.4", "the message is too large for the recipient's server for now",
	    "if it lasts, send less, or a link" } },
	{ ANY, 400, 499, "5.3", { DEED_RETRY, "4.5.3", "too many recipients or messages at once",
	    "wait: it will be tried again" } },
	{ ANY, 431, 431, NULL, { DEED_RETRY, "4.3.1", "no disk space or memory at the other side",
	    "wait: it will be tried again" } },
	{ ANY, 452, 452, NULL, { DEED_RETRY, "4.3.1",
	    "no disk space or memory at the other side, or too many messages or recipients",
	    "wait: it will be tried again" } },
	{ ANY, 432, 432, NULL, { DEED_RETRY, "4.2.1", "the recipient's incoming queue is stopped",
	    "wait: it will be tried again" } },
	{ ANY, 446, 446, NULL, { DEED_BOUNCE, "5.4.6", "the message went through too many hosts: a loop",
	    "the administrators must look at the Received: lines" } },
	{ ANY, 500, 599, "4.6", { DEED_BOUNCE, "5.4.6", "the message runs in a loop",
	    "the administrators must look at the Received: lines" } },
	{ ANY, 449, 449, NULL, { DEED_RETRY, "4.4.4", "routing trouble at the other side",
	    "wait: it will be tried again" } },
	{ ANY, 450, 451, "7.", { DEED_RETRY, "4.7.1", "greylisted, or refused for now by policy",
	    "wait: it will be tried again in a few minutes" } },
	{ ANY, 450, 450, NULL, { DEED_RETRY, "4.2.1", "mailbox busy, or greylisted", "wait: it will be tried again" } },
	{ ANY, 451, 451, NULL, { DEED_RETRY, "4.3.0", "local error at the other side",
	    "wait: it will be tried again" } },
	{ ANY, 454, 454, NULL, { DEED_RETRY, "4.7.0", "TLS or authentication is not possible now",
	    "wait: it will be tried again" } },
	{ ANY, 455, 455, NULL, { DEED_RETRY, "4.5.4", "the server cannot take the parameters now",
	    "wait: it will be tried again" } },
	{ ANY, 471, 471, NULL, { DEED_RETRY, "4.7.1", "trouble with a filter at the other side",
	    "wait: it will be tried again" } },
	{ ANY, 400, 499, NULL, { DEED_RETRY, "4.0.0", "a temporary failure at the other side",
	    "wait: it will be tried again" } },

	{ ANY, 500, 500, NULL, { DEED_BOUNCE, "5.5.2", "the server did not understand our command",
	    "tell the administrator" } },
	{ ANY, 501, 501, NULL, { DEED_BOUNCE, "5.5.4", "the server did not accept an argument, often the address",
	    "check the address" } },
	{ ANY, 502, 502, NULL, { DEED_BOUNCE, "5.5.1", "the server does not know the command",
	    "tell the administrator" } },
	{ ANY, 503, 503, NULL, { DEED_BOUNCE, "5.5.1", "the server did not expect the command now",
	    "tell the administrator" } },
	{ ANY, 504, 504, NULL, { DEED_BOUNCE, "5.5.4", "the server does not know a parameter",
	    "tell the administrator" } },
	{ ANY, 555, 555, NULL, { DEED_BOUNCE, "5.5.4", "the server does not take a parameter of the address",
	    "check the address" } },
	{ ANY, 510, 511, NULL, { DEED_BOUNCE, "5.1.1", "bad address", "check the address" } },
	{ ANY, 512, 512, NULL, { DEED_BOUNCE, "5.1.2", "no such domain", "check the domain of the address" } },
	{ ANY, 513, 513, NULL, { DEED_BOUNCE, "5.1.3", "the address is of the wrong type", "check the address" } },
	{ ANY, 515, 515, NULL, { DEED_BOUNCE, "5.1.5", "the address is not valid", "check the address" } },
	{ ANY, 523, 523, NULL, { DEED_BOUNCE, "5.3.4", "the message is larger than the recipient's server takes",
	    "send less, or a link" } },
	{ ANY, 552, 552, "2.2", { DEED_BOUNCE, "5.2.2", "mailbox full",
	    "the recipient must make space; tell them another way" } },
	{ ANY, 552, 552, "3.4", { DEED_BOUNCE, "5.3.4", "the message is larger than the recipient's server takes",
	    "send less, or a link" } },
	{ MESSAGE, 552, 552, NONE, { DEED_BOUNCE, "5.3.4", "the message is larger than the recipient's server takes",
	    "send less, or a link" } },
	{ ANY, 552, 552, NULL, { DEED_BOUNCE, "5.2.2", "mailbox full, or the message too large",
	    "send less, or tell the recipient another way" } },
	{ ANY, 530, 530, NULL, { DEED_BOUNCE, "5.7.0", "the server demands authentication or TLS",
	    "tell the administrator" } },
	{ ANY, 534, 534, NULL, { DEED_BOUNCE, "5.7.9", "the authentication is too weak for the server",
	    "tell the administrator" } },
	{ ANY, 535, 535, NULL, { DEED_BOUNCE, "5.7.8", "the authentication failed", "tell the administrator" } },
	{ ANY, 538, 538, NULL, { DEED_BOUNCE, "5.7.11", "the authentication needs TLS", "tell the administrator" } },
	{ ANY, 541, 541, NULL, { DEED_BOUNCE, "5.7.1", "refused by policy, as spam or for a block list",
	    "read the server's words: they may name the list" } },
	{ ANY, 500, 599, "7.", { DEED_BOUNCE, "5.7.1", "refused by policy, as spam or for a block list",
	    "read the server's words: they may name the list" } },
	{ ANY, 554, 554, NULL, { DEED_BOUNCE, "5.7.1", "refused, most often by policy, as spam or for a block list",
	    "read the server's words: they may name the list" } },
	{ MESSAGE, 550, 550, NONE, { DEED_BOUNCE, "5.7.1", "the server refused the message or its sender",
	    "read the server's words" } },
	{ ANY, 550, 550, NULL, { DEED_BOUNCE, "5.1.1", "no such mailbox", "check the address" } },
	{ ANY, 551, 551, NULL, { DEED_BOUNCE, "5.1.6", "the recipient is not local there, or has moved",
	    "the server's words may name the new address" } },
	{ ANY, 553, 553, NULL, { DEED_BOUNCE, "5.1.3", "the name of the mailbox is not allowed",
	    "check the address" } },
	{ ANY, 500, 599, NULL, { DEED_BOUNCE, "5.0.0", "a permanent failure at the other side",
	    "read the server's words" } },
};

static const struct reply_meaning invalid = {
	DEED_RETRY, "4.5.0", "the server gave no valid reply", "wait: it will be tried again"
};

static bool
dsn_fits(const char *want, const char *dsn)
{
	size_t n;

	if (want == NULL)
		return true;
	if (strcmp(want, NONE) == 0)
		return *dsn == '\0';
	n = strlen(want);
	if (*dsn == '\0' || dsn[1] != '.' || strncmp(dsn + 2, want, n) != 0)
		return false;
	return want[n - 1] == '.' || dsn[2 + n] == '\0';
}

const struct reply_meaning *
reply_meaning(enum reply_stage stage, unsigned code, const char *dsn)
{
	size_t i;

	if (dsn == NULL)
		dsn = "";
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if ((rows[i].stages & S(stage)) && code >= rows[i].low && code <= rows[i].high && dsn_fits(rows[i].dsn, dsn))
			return &rows[i].meaning;
	return &invalid;
}
