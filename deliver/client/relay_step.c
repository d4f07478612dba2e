/*
 * relay_step: see relay_step.h. The table of steps: what each writes, what its answer does, how long that may take.
 *
 * The order of a transaction is [RSET] MAIL RCPT... DATA BODY, or [RSET] MAIL RCPT... BDAT; a cursor is a position in it.
 * What a reply means stands in reply.c. No I/O, no clock.
 */
#include <stdio.h>
#include <string.h>
#include "client/relay_put.h"
#include "client/relay_step.h"

#define MINUTE (60 * 1000)

static enum tx_state answer_rset(struct tx *, const struct peer *, const struct reply *);
static enum tx_state answer_mail(struct tx *, const struct peer *, const struct reply *);
static enum tx_state answer_rcpt(struct tx *, const struct peer *, const struct reply *);
static enum tx_state answer_data(struct tx *, const struct peer *, const struct reply *);
static enum tx_state answer_end(struct tx *, const struct peer *, const struct reply *);

static const struct step_row {
	const char		*name;
	enum reply_stage	 stage;
	uint64_t		 wait;		/* RFC 5321 4.5.3.2 */
	void			(*put)(const struct tx *, const struct peer *, unsigned i, struct buf *);
	enum tx_state		(*answer)(struct tx *, const struct peer *, const struct reply *);
} rows[] = {
	[STEP_RSET] = { "RSET command",		STAGE_OTHER,	5 * MINUTE,	put_rset,	answer_rset },
	[STEP_MAIL] = { "MAIL FROM command",	STAGE_MAIL,	5 * MINUTE,	put_mail,	answer_mail },
	[STEP_RCPT] = { "RCPT TO command",	STAGE_RCPT,	5 * MINUTE,	put_rcpt,	answer_rcpt },
	[STEP_DATA] = { "DATA command",		STAGE_DATA,	2 * MINUTE,	put_data,	answer_data },
	[STEP_BODY] = { "end of DATA command",	STAGE_END,	10 * MINUTE,	NULL,		answer_end },
	[STEP_BDAT] = { "BDAT command",		STAGE_END,	10 * MINUTE,	put_bdat,	answer_end },
};

/* ---- cursors ---- */

/* The step at a position; *i: which recipient. */
static enum step
step_at(const struct tx *t, unsigned at, unsigned *i)
{
	*i = 0;
	if (t->rset && at-- == 0)
		return STEP_RSET;
	if (at == 0)
		return STEP_MAIL;
	if (at <= t->n) {
		*i = at - 1;
		return STEP_RCPT;
	}
	at -= t->n + 1;
	if (t->bdat)
		return at == 0 ? STEP_BDAT : STEP_OVER;
	return at == 0 ? STEP_DATA : at == 1 ? STEP_BODY : STEP_OVER;
}

/* May it be sent before what is under way was answered? */
static bool
may_overtake(const struct tx *t, const struct peer *peer, enum step s)
{
	if (!(peer->ext & EXT_PIPELINING))
		return false;
	return s == STEP_BDAT ? t->early : s != STEP_BODY;
}

enum step
tx_next(const struct tx *t, const struct peer *peer)
{
	unsigned i;
	enum step s = step_at(t, t->sent, &i);

	if (s != STEP_OVER && t->sent > t->answered && !may_overtake(t, peer, s))
		return STEP_WAIT;
	return s;
}

void
tx_put(struct tx *t, const struct peer *peer, enum step s, struct buf *out)
{
	unsigned i;

	step_at(t, t->sent, &i);
	if (rows[s].put != NULL)
		rows[s].put(t, peer, i, out);
	t->sent++;
}

const char *
tx_step_name(const struct tx *t)
{
	unsigned i;
	enum step s = step_at(t, t->answered, &i);

	return s < STEP_WAIT ? rows[s].name : "end of DATA command";
}

uint64_t
tx_wait_ms(const struct tx *t)
{
	unsigned i;
	enum step s = step_at(t, t->answered, &i);

	return s < STEP_WAIT ? rows[s].wait : 10 * MINUTE;
}

/* ---- beginning ---- */

bool
tx_begin(struct tx *t, const struct peer *peer, struct job *j, bool rset, bool eager)
{
	struct verdict v;
	uint32_t i, most = peer->rcpts > 0 && peer->rcpts < TX_RCPTS ? peer->rcpts : TX_RCPTS;

	memset(t, 0, sizeof *t);
	t->job = j;
	t->rset = rset;
	t->bdat = (peer->ext & EXT_CHUNKING) != 0;
	t->early = eager && j->length <= TX_SMALL;
	t->utf8 = put_utf8(j, peer);
	t->plan = put_plan(j, peer);
	for (i = 0; i < j->nrcpt && t->n < most; i++) {
		struct rcpt *r = &j->rcpts[i];
		bool last = j->open == 1;

		if (r->done || r->busy)
			continue;
		if (!put_unfit(j, r, peer, &v)) {
			r->busy = true;
			t->utf8 = t->utf8 || put_nonascii(r->addr);
			t->mine[t->n] = true;
			t->rcpt[t->n++] = i;
			continue;
		}
		rcpt_settle(j, r, &v);
		if (last)
			break;
	}
	if (t->n == 0)
		t->job = NULL;
	return t->n > 0;
}

static struct rcpt *
rcpt_of(const struct tx *t, unsigned i)
{
	return &t->job->rcpts[t->rcpt[i]];
}

/* ---- what a reply does to a recipient ---- */

static enum outcome
outcome_of(enum reply_deed deed)
{
	static const enum outcome of[] = {
		[DEED_OK] = OUT_SENT, [DEED_RETRY] = OUT_DEFER, [DEED_NEXT_MX] = OUT_DEFER, [DEED_REST_HOST] = OUT_DEFER,
		[DEED_NEXT_TX] = OUT_DEFER, [DEED_BOUNCE] = OUT_BOUNCE, [DEED_NEXT_MX_BOUNCE] = OUT_BOUNCE,
	};

	return of[deed];
}

static struct verdict
said(enum step s, enum outcome outcome, const char *dsn, const struct reply *r)
{
	static const char class[] = { [OUT_SENT] = '2', [OUT_DEFER] = '4', [OUT_BOUNCE] = '5' };
	struct verdict v = verdict(outcome, r->dsn[0] != '\0' ? r->dsn : dsn, r->text);

	v.dsn[0] = class[outcome];
	strlcpy(v.given, r->dsn, sizeof v.given);
	v.code = r->code;
	v.step = rows[s].name;
	return v;
}

/* It is somebody else's from now on, or nobody's. */
static void
let_go(struct tx *t, unsigned i)
{
	t->mine[i] = t->accepted[i] = false;
	rcpt_of(t, i)->busy = false;
}

static void
conclude(struct tx *t, unsigned i, const struct verdict *v)
{
	t->mine[i] = false;
	rcpt_settle(t->job, rcpt_of(t, i), v);
}

/* A refusal for one recipient: final, or a note for another host or transaction. */
static void
refuse(struct tx *t, const struct peer *peer, enum step s, unsigned i, const struct reply *r)
{
	const struct reply_meaning *m = reply_meaning(rows[s].stage, r->code, r->dsn);
	enum reply_deed deed = m->deed == DEED_OK ? DEED_RETRY : m->deed;
	struct verdict v;

	/* The administrator's trouble with the smarthost is not the sender's. */
	if (peer->smarthost && (r->code == 530 || r->code == 534 || r->code == 535 || r->code == 538))
		deed = DEED_RETRY;
	v = said(s, outcome_of(deed), m->dsn, r);
	if (deed == DEED_RETRY || deed == DEED_BOUNCE) {
		conclude(t, i, &v);
		return;
	}
	rcpt_note(t->job, rcpt_of(t, i), &v);
	let_go(t, i);
	if (deed == DEED_NEXT_TX)
		t->postponed = true;
	else
		t->leaves[i] = t->next_host = true;
}

/* All that are still in it. */
static void
refuse_all(struct tx *t, const struct peer *peer, enum step s, const struct reply *r)
{
	unsigned i;

	for (i = 0; i < t->n; i++)
		if (t->mine[i])
			refuse(t, peer, s, i, r);
	t->naccepted = 0;
}

/* ---- answers ---- */

static bool
ok(const struct reply *r)
{
	return r->code / 100 == 2;
}

static bool
refusal(const struct reply *r)
{
	return r->code / 100 == 4 || r->code / 100 == 5;
}

static enum tx_state
answer_rset(struct tx *t, const struct peer *peer, const struct reply *r)
{
	(void)t;
	(void)peer;
	return ok(r) || refusal(r) ? TX_GO : TX_BAD;
}

static enum tx_state
answer_mail(struct tx *t, const struct peer *peer, const struct reply *r)
{
	if (ok(r))
		return TX_GO;
	if (!refusal(r))
		return TX_BAD;
	t->mail_failed = true;
	refuse_all(t, peer, STEP_MAIL, r);
	return TX_GO;
}

static enum tx_state
answer_rcpt(struct tx *t, const struct peer *peer, const struct reply *r)
{
	unsigned i;

	if (!ok(r) && !refusal(r))
		return TX_BAD;
	if (t->mail_failed)
		return TX_GO;
	step_at(t, t->answered - 1, &i);
	if (ok(r)) {
		t->accepted[i] = true;
		t->naccepted++;
	} else
		refuse(t, peer, STEP_RCPT, i, r);
	return TX_GO;
}

static enum tx_state
answer_data(struct tx *t, const struct peer *peer, const struct reply *r)
{
	if (r->code / 100 == 3) {		/* RFC 5321 4.2: the first digit decides */
		t->lone_dot = t->naccepted == 0;
		return TX_GO;
	}
	if (!refusal(r))
		return TX_BAD;
	t->dirty = !t->mail_failed;
	refuse_all(t, peer, STEP_DATA, r);
	return TX_DONE;
}

/* The end of data, either way. Without a recipient (all were refused, and the body had gone) it means nothing. */
static enum tx_state
answer_end(struct tx *t, const struct peer *peer, const struct reply *r)
{
	struct verdict v;
	unsigned i;

	if ((!ok(r) || !t->body_done) && !refusal(r))
		return TX_BAD;
	t->dirty = t->bdat && !ok(r) && !t->mail_failed;
	if (t->naccepted == 0)
		return TX_DONE;
	if (!ok(r)) {
		refuse_all(t, peer, t->bdat ? STEP_BDAT : STEP_BODY, r);
		return TX_DONE;
	}
	v = said(STEP_BODY, OUT_SENT, "2.0.0", r);
	for (i = 0; i < t->n; i++)
		if (t->accepted[i]) {
			rcpt_of(t, i)->remote_dsn = (peer->ext & EXT_DSN) != 0;
			conclude(t, i, &v);
		}
	return TX_DONE;
}

/* Nobody to deliver to, and nothing under way that would still be answered. */
static bool
came_to_nothing(const struct tx *t)
{
	return t->naccepted == 0 && t->answered == t->sent && !t->lone_dot &&
	    (t->mail_failed || t->answered >= (t->rset ? 1 : 0) + 1 + t->n);
}

/* Postponing to a next transaction helps only if this one took somebody. */
static void
finish(struct tx *t, bool took_some)
{
	unsigned i;

	for (i = 0; i < t->n; i++) {
		struct rcpt *r = rcpt_of(t, i);

		if (t->mine[i])
			let_go(t, i);
		if (!r->done && r->noted && t->postponed && !took_some && !t->next_host)
			rcpt_settle(t->job, r, &r->verdict);
	}
}

static void
note_closing(struct tx *t, enum step s, const struct reply *r)
{
	struct verdict v = said(s, OUT_DEFER, "4.3.2", r);
	unsigned i;

	for (i = 0; i < t->n; i++)
		if (t->mine[i]) {
			rcpt_note(t->job, rcpt_of(t, i), &v);
			let_go(t, i);
		}
}

enum tx_state
tx_reply(struct tx *t, const struct peer *peer, const struct reply *r)
{
	unsigned i, took = t->naccepted;
	enum step s = step_at(t, t->answered, &i);
	enum tx_state state;

	if (s >= STEP_WAIT)
		return TX_BAD;
	if (r->code == 421) {
		note_closing(t, s, r);
		return TX_CLOSING;
	}
	if (t->answered == t->sent)
		return TX_BAD;
	t->answered++;
	state = rows[s].answer(t, peer, r);
	if (state == TX_GO && came_to_nothing(t)) {
		t->dirty = !t->mail_failed;
		state = TX_DONE;
	}
	if (state == TX_DONE)
		finish(t, took > 0);
	return state;
}

void
tx_lost(struct tx *t, const struct verdict *v)
{
	unsigned i;

	for (i = 0; i < t->n; i++) {
		if (!t->mine[i])
			continue;
		if (t->body_done && (t->accepted[i] || (t->early && t->bdat))) {
			conclude(t, i, v);
			continue;
		}
		rcpt_note(t->job, rcpt_of(t, i), v);
		let_go(t, i);
	}
}

void
tx_undo(struct tx *t)
{
	unsigned i;

	for (i = 0; i < t->n; i++)
		if (t->mine[i])
			let_go(t, i);
}
