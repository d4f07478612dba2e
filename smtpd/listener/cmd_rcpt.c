/*
 * cmd_rcpt: RCPT (RFC 5321 4.1.1.3).
 *
 *	rcpt = "RCPT TO:" ( "<Postmaster@" Domain ">" / "<Postmaster>" / Forward-path ) [SP Rcpt-parameters] CRLF
 *
 * Called through cmd's table, in ST_MAIL alone. Only puts the recipient into the batch; rcpt_say answers when the rules were
 * asked.
 */
#include <stdlib.h>
#include <string.h>

#include "listener/batch.h"
#include "listener/cmd.h"
#include "listener/params.h"
#include "listener/path.h"
#include "listener/session_say.h"
#include "listener/tx.h"
#include "program/child.h"
#include "base/xmalloc.h"

#define ORCPT_SIZE 512

/* A rule's own text is told as its author wrote it. What is refused is named, and it is mostly the recipient. */
static void
refused(struct session *s, const struct item *it)
{
	static const char *const subject[] = { [MATCH_OF_RCPT] = "Recipient address", [MATCH_OF_SENDER] = "Sender address",
		[MATCH_OF_HELO] = "Helo command", [MATCH_OF_CLIENT] = "Client host", [MATCH_OF_NOTHING] = NULL };
	const char *addr = it->rcpt.addr != NULL ? it->rcpt.addr : "", *about = addr;

	if (it->of == MATCH_OF_SENDER)
		about = s->tx->sender.text;
	else if (it->of == MATCH_OF_HELO)
		about = s->helo;
	else if (it->of == MATCH_OF_CLIENT)
		about = session_client(s);
	session_refuse(s, &(struct refusal){ .code = it->code, .dsn = it->dsn, .words = it->text, .to = addr,
	    .about = about != addr || *addr != '\0' ? about : NULL, .subject = subject[it->of],
	    .reply = it->own_words ? it->text : NULL });
	if (it->code < 500)
		session_idle(s);
}

static void
rcpt_say(struct session *s, struct item *it)
{
	struct tx *tx = s->tx;

	if (it->code == 250 && tx_has(tx, it->rcpt.addr)) {
		session_reply(s, 250, "2.1.5", "Ok");
		session_idle(s);
		return;
	}
	if (it->code == 250 && tx->nrcpt >= child_conf()->limit[LIM_RECIPIENTS])
		item_refuse(it, 452, "4.5.3", "too many recipients, send the rest in another transaction");
	if (it->code != 250) {
		refused(s, it);
		return;
	}
	tx_rcpt(tx, &it->rcpt);
	it->rcpt.addr = NULL;
	session_reply(s, 250, "2.1.5", "Ok");
}

static struct complaint
judge(const struct session *s, char *arg, struct p_env_rcpt *r)
{
	struct complaint c;
	struct addr a;
	char orcpt[ORCPT_SIZE], orig[ADDR_PATH_MAX + 1], *params;
	const char *why = path_read(s, "TO:", ADDR_FORWARD, arg, &a, &params);

	if (why != NULL)
		return (struct complaint){ 501, "5.1.3", why, OF_ADDRESS };
	strlcpy(orig, a.text, sizeof(orig));
	c = params_rcpt(params, &r->notify, orcpt, sizeof(orcpt));
	if (c.code == 0 && a.utf8 && !s->tx->smtputf8)
		c = (struct complaint){ 553, "5.6.7", "a non-ASCII address needs SMTPUTF8", OF_ADDRESS };
	if (c.code == 0)
		item_keep(r, orig, a.text, orcpt);
	return c;
}

void
cmd_rcpt(struct session *s, char *arg)
{
	char said[ADDR_PATH_MAX + 1];
	struct item *it = batch_add(s);
	struct complaint c = judge(s, arg, &it->rcpt);

	it->say = rcpt_say;
	it->verb = s->verb;
	if (c.code == 0)
		return;
	path_said("TO:", arg, said, sizeof(said));
	item_keep(&it->rcpt, said, said, "");
	item_refuse(it, c.code, c.dsn, c.text);
	if (c.of == OF_ADDRESS)
		it->of = MATCH_OF_RCPT;
}
