/*
 * cmd_mail: MAIL (RFC 5321 4.1.1.2).
 *
 *	mail = "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF
 *
 * Called through cmd's table, in ST_HELO alone. What is not accepted leaves no transaction behind.
 */
#include <stdlib.h>
#include <string.h>

#include "program/child.h"
#include "listener/client_count.h"
#include "listener/cmd.h"
#include "listener/params.h"
#include "listener/path.h"
#include "listener/session_say.h"
#include "listener/to_queue.h"
#include "listener/tx.h"

/* Is there room for a message, and may this client send one now? */
static struct complaint
not_now(const struct session *s, const struct tx *tx)
{
	const struct conf *conf = child_conf();

	if (tx->size > conf->limit[LIM_MESSAGE_SIZE])
		return (struct complaint){ 552, "5.3.4", "the message is larger than this server takes", OF_NOTHING };
	if (to_queue_space_low())	/* also while the queue starts again */
		return (struct complaint){ 452, "4.3.1", "the mail queue is short of space, try again later", OF_NOTHING };
	if (!to_queue_there())
		return (struct complaint){ 451, "4.3.0", "the mail queue is not available, try again later", OF_NOTHING };
	if (!s->exempt && counts_event(s->key, RATE_MAIL) > conf->limit[LIM_RATE_CLIENT])
		return (struct complaint){ 450, "4.7.1", "too many messages from your host, try again later", OF_CLIENT };
	return (struct complaint){ .code = 0 };
}

static struct complaint
judge(const struct session *s, char *arg, struct tx *tx)
{
	struct complaint c;
	const char *why;
	char *params;

	why = path_read(s, "FROM:", ADDR_REVERSE, arg, &tx->sender, &params);
	if (why != NULL)
		return (struct complaint){ 501, "5.1.7", why, OF_ADDRESS };
	c = params_mail(params, tx);
	if (c.code != 0)
		return c;
	if (tx->sender.utf8 && !tx->smtputf8)
		return (struct complaint){ 553, "5.6.7", "a non-ASCII address needs SMTPUTF8", OF_ADDRESS };
	return not_now(s, tx);
}

static void
refused(struct session *s, const struct complaint *c, const struct tx *tx, const char *arg)
{
	struct refusal r = { .code = c->code, .dsn = c->dsn, .words = c->text, .from = tx->sender.text };
	char said[ADDR_PATH_MAX + 1];

	if (c->of == OF_CLIENT) {
		r.about = session_client(s);
		r.subject = "Client host";
	} else if (c->of == OF_ADDRESS) {
		path_said("FROM:", arg, said, sizeof(said));
		r.about = said;
		r.subject = "Sender address";
	}
	session_refuse(s, &r);
}

void
cmd_mail(struct session *s, char *arg)
{
	struct tx *tx = tx_new(s);
	struct complaint c = judge(s, arg, tx);

	if (c.code == 0) {
		s->tx = tx;
		session_enter(s, ST_MAIL);
		session_reply(s, 250, "2.1.0", "Ok");
		return;
	}
	refused(s, &c, tx, arg);
	tx_free(tx);
	if (c.code < 500)
		session_idle(s);
}
