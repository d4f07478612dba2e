/*
 * A transaction against servers that pipeline or not, accept, refuse, postpone, close or talk nonsense.
 * links: deliver/client/relay_step.c deliver/client/relay_put.c
 */
#include <stdlib.h>
#include <string.h>
#include "client/convert.h"
#include "client/relay_put.h"
#include "client/relay_step.h"
#include "test.h"

/* ---- what job.c does, without a queue ---- */

struct verdict
verdict(enum outcome outcome, const char *dsn, const char *text)
{
	struct verdict v = { .outcome = outcome, .text = text };

	strlcpy(v.dsn, dsn, sizeof v.dsn);
	return v;
}

void
rcpt_note(struct job *j, struct rcpt *r, const struct verdict *v)
{
	(void)j;
	r->noted = true;
	r->verdict = *v;
}

void
rcpt_settle(struct job *j, struct rcpt *r, const struct verdict *v)
{
	TEST(!r->done);
	r->verdict = *v;
	r->done = true;
	r->busy = false;
	j->open--;
}

/* ---- a job and a server ---- */

static struct job *
job(const char *const *rcpts)
{
	uint32_t i, n;
	struct job *j;

	for (n = 0; rcpts[n] != NULL; n++)
		;
	j = calloc(1, sizeof *j + n * sizeof j->rcpts[0]);
	j->sender = "from@src.test";
	j->envid = "";
	j->body = BODY_NONE;
	j->length = 1000;
	j->nrcpt = j->open = n;
	for (i = 0; i < n; i++) {
		j->rcpts[i].n = i;
		j->rcpts[i].addr = rcpts[i];
		j->rcpts[i].orig = j->rcpts[i].orcpt = "";
	}
	return j;
}

static const char *const one[] = { "a@dst.test", NULL };
static const char *const two[] = { "a@dst.test", "b@dst.test", NULL };

static char wrote[65536];

/* All that may be sent now; "<body>" where the body goes. */
static const char *
send_all(struct tx *t, const struct peer *peer)
{
	struct buf b = BUF_INIT;
	enum step s;

	while ((s = tx_next(t, peer)) < STEP_WAIT) {
		tx_put(t, peer, s, &b);
		if (s == STEP_BODY || s == STEP_BDAT) {
			buf_adds(&b, t->lone_dot ? "<dot>" : "<body>");
			t->body_done = true;
		}
	}
	strlcpy(wrote, b.len > 0 ? buf_str(&b) : "", sizeof wrote);
	buf_free(&b);
	return wrote;
}

static enum tx_state
answer(struct tx *t, const struct peer *peer, unsigned code, const char *dsn)
{
	static struct reply r;

	memset(&r, 0, sizeof r);
	r.code = code;
	strlcpy(r.dsn, dsn, sizeof r.dsn);
	strlcpy(r.text, "words", sizeof r.text);
	return tx_reply(t, peer, &r);
}

static const struct peer plain = { 0 };
static const struct peer pipe_ = { .ext = EXT_PIPELINING };
static const struct peer full = { .ext = EXT_PIPELINING | EXT_8BITMIME | EXT_SIZE | EXT_DSN | EXT_SMTPUTF8 };
static const struct peer strict = { .eightbit = EIGHTBIT_BOUNCE };
static const struct peer chunk = { .ext = EXT_PIPELINING | EXT_CHUNKING };

/* ---- tests ---- */

static void
test_step_by_step(void)
{
	struct job *j = job(two);
	struct tx t;

	TEST(tx_begin(&t, &plain, j, false, true));
	TEST_STR(send_all(&t, &plain), "MAIL FROM:<from@src.test>\r\n");
	TEST_INT(answer(&t, &plain, 250, ""), TX_GO);
	TEST_STR(send_all(&t, &plain), "RCPT TO:<a@dst.test>\r\n");
	TEST_INT(answer(&t, &plain, 550, "5.1.1"), TX_GO);
	TEST_STR(send_all(&t, &plain), "RCPT TO:<b@dst.test>\r\n");
	TEST_INT(answer(&t, &plain, 251, ""), TX_GO);
	TEST_STR(send_all(&t, &plain), "DATA\r\n");
	TEST_INT(answer(&t, &plain, 354, ""), TX_GO);
	TEST_STR(send_all(&t, &plain), "<body>");
	TEST_INT(answer(&t, &plain, 250, "2.6.0"), TX_DONE);
	TEST_INT(j->open, 0);
	TEST_INT(j->rcpts[0].verdict.outcome, OUT_BOUNCE);
	TEST_STR(j->rcpts[0].verdict.dsn, "5.1.1");
	TEST_STR(j->rcpts[0].verdict.step, "RCPT TO command");
	TEST_INT(j->rcpts[1].verdict.outcome, OUT_SENT);
	TEST_STR(j->rcpts[1].verdict.dsn, "2.6.0");
	TEST(!t.dirty);
	free(j);
}

/* RFC 5321 4.2: a client goes by the first digit. */
static void
test_odd_codes(void)
{
	static const unsigned go[] = { 300, 334, 350, 354, 399 }, fine[] = { 200, 202, 250, 255, 299 };
	struct job *j;
	struct tx t;
	size_t i;

	for (i = 0; i < sizeof go / sizeof go[0]; i++) {
		j = job(one);
		TEST(tx_begin(&t, &plain, j, true, true));
		send_all(&t, &plain);
		TEST_INT(answer(&t, &plain, fine[i], ""), TX_GO);
		send_all(&t, &plain);
		TEST_INT(answer(&t, &plain, fine[i], ""), TX_GO);
		send_all(&t, &plain);
		TEST_INT(answer(&t, &plain, fine[i], ""), TX_GO);
		TEST_STR(send_all(&t, &plain), "DATA\r\n");
		TEST_INT(answer(&t, &plain, go[i], ""), TX_GO);
		TEST_STR(send_all(&t, &plain), "<body>");
		TEST_INT(answer(&t, &plain, fine[i], ""), TX_DONE);
		TEST_INT(j->rcpts[0].verdict.outcome, OUT_SENT);
		free(j);
	}
	j = job(one);					/* but success is no go-on, nor the reverse */
	TEST(tx_begin(&t, &pipe_, j, false, true));
	send_all(&t, &pipe_);
	TEST_INT(answer(&t, &pipe_, 250, ""), TX_GO);
	TEST_INT(answer(&t, &pipe_, 250, ""), TX_GO);
	TEST_INT(answer(&t, &pipe_, 250, ""), TX_BAD);
	free(j);
}

static void
test_pipelined(void)
{
	struct job *j = job(two);
	struct tx t;

	TEST(tx_begin(&t, &pipe_, j, true, true));
	TEST_STR(send_all(&t, &pipe_),
	    "RSET\r\nMAIL FROM:<from@src.test>\r\nRCPT TO:<a@dst.test>\r\nRCPT TO:<b@dst.test>\r\nDATA\r\n");
	TEST_INT(answer(&t, &pipe_, 250, ""), TX_GO);
	TEST_INT(answer(&t, &pipe_, 250, ""), TX_GO);
	TEST_INT(answer(&t, &pipe_, 250, ""), TX_GO);
	TEST_INT(answer(&t, &pipe_, 450, ""), TX_GO);
	TEST_STR(send_all(&t, &pipe_), "");
	TEST_INT(answer(&t, &pipe_, 354, ""), TX_GO);
	TEST_STR(send_all(&t, &pipe_), "<body>");
	TEST_INT(answer(&t, &pipe_, 299, ""), TX_DONE);		/* an odd success */
	TEST_INT(j->rcpts[0].verdict.outcome, OUT_SENT);
	TEST_INT(j->rcpts[1].verdict.outcome, OUT_DEFER);
	free(j);
}

/* Everybody is refused, and DATA is under way already. */
static void
test_nobody(void)
{
	struct job *j = job(two);
	struct tx t;

	tx_begin(&t, &pipe_, j, false, true);
	send_all(&t, &pipe_);
	answer(&t, &pipe_, 250, "");
	answer(&t, &pipe_, 550, "");
	TEST_INT(answer(&t, &pipe_, 551, ""), TX_GO);
	TEST_INT(j->open, 0);
	TEST_INT(answer(&t, &pipe_, 354, ""), TX_GO);
	TEST_STR(send_all(&t, &pipe_), "<dot>");
	TEST_INT(answer(&t, &pipe_, 250, ""), TX_DONE);
	free(j);

	j = job(two);
	tx_begin(&t, &pipe_, j, false, true);
	send_all(&t, &pipe_);
	TEST_INT(answer(&t, &pipe_, 550, ""), TX_GO);		/* MAIL refused: the rest is only read */
	TEST_INT(j->open, 0);
	TEST_INT(answer(&t, &pipe_, 503, ""), TX_GO);
	TEST_INT(answer(&t, &pipe_, 250, ""), TX_GO);
	TEST_INT(answer(&t, &pipe_, 503, ""), TX_DONE);
	TEST(!t.dirty);
	free(j);

	j = job(two);
	tx_begin(&t, &plain, j, false, true);
	send_all(&t, &plain);
	TEST_INT(answer(&t, &plain, 250, ""), TX_GO);
	send_all(&t, &plain);
	TEST_INT(answer(&t, &plain, 550, ""), TX_GO);
	send_all(&t, &plain);
	TEST_INT(answer(&t, &plain, 550, ""), TX_DONE);		/* no DATA; RSET next time */
	TEST(t.dirty);
	free(j);
}

static void
test_stages(void)
{
	static const struct { unsigned n; unsigned code[5]; enum tx_state state; enum outcome outcome; const char *step; } c[] = {
		{ 1, { 451 }, TX_DONE, OUT_DEFER, "MAIL FROM command" },
		{ 1, { 552 }, TX_DONE, OUT_BOUNCE, "MAIL FROM command" },
		{ 2, { 250, 552 }, TX_DONE, OUT_DEFER, "RCPT TO command" },	/* RFC 5321 4.5.3.1.10 */
		{ 3, { 250, 250, 554 }, TX_DONE, OUT_BOUNCE, "DATA command" },
		{ 3, { 250, 250, 451 }, TX_DONE, OUT_DEFER, "DATA command" },
		{ 4, { 250, 250, 354, 554 }, TX_DONE, OUT_BOUNCE, "end of DATA command" },
		{ 4, { 250, 250, 354, 450 }, TX_DONE, OUT_DEFER, "end of DATA command" },
	};
	struct tx t;
	size_t i, k;

	for (i = 0; i < sizeof c / sizeof c[0]; i++) {
		struct job *j = job(one);
		enum tx_state s = TX_GO;

		tx_begin(&t, &plain, j, false, true);
		for (k = 0; k < c[i].n; k++) {
			TEST_INT(s, TX_GO);
			send_all(&t, &plain);
			s = answer(&t, &plain, c[i].code[k], "");
		}
		TEST_INT(s, c[i].state);
		TEST_INT(j->open, 0);
		TEST_INT(j->rcpts[0].verdict.outcome, c[i].outcome);
		TEST_STR(j->rcpts[0].verdict.step, c[i].step);
		free(j);
	}
}

static void
test_bad_replies(void)
{
	static const struct { unsigned n; unsigned code[5]; } c[] = {
		{ 1, { 354 } }, { 2, { 250, 334 } }, { 3, { 250, 250, 250 } }, { 4, { 250, 250, 354, 354 } },
	};
	struct tx t;
	size_t i, k;

	for (i = 0; i < sizeof c / sizeof c[0]; i++) {
		struct job *j = job(one);
		enum tx_state s = TX_GO;

		tx_begin(&t, &plain, j, false, true);
		for (k = 0; k < c[i].n; k++) {
			send_all(&t, &plain);
			s = answer(&t, &plain, c[i].code[k], "");
		}
		TEST_INT(s, TX_BAD);
		TEST_INT(j->open, 1);
		free(j);
	}
}

static void
test_closing(void)
{
	struct job *j = job(two);
	struct tx t;

	tx_begin(&t, &pipe_, j, false, true);
	send_all(&t, &pipe_);
	answer(&t, &pipe_, 250, "");
	answer(&t, &pipe_, 550, "");
	TEST_INT(answer(&t, &pipe_, 421, "4.3.2"), TX_CLOSING);
	TEST(j->rcpts[0].done && !j->rcpts[1].done && j->rcpts[1].noted && !j->rcpts[1].busy);
	TEST_INT(j->rcpts[1].verdict.outcome, OUT_DEFER);
	free(j);
}

static void
test_postponed(void)
{
	struct job *j = job(two);
	struct tx t;

	tx_begin(&t, &pipe_, j, false, true);
	send_all(&t, &pipe_);
	answer(&t, &pipe_, 250, "");
	answer(&t, &pipe_, 250, "");
	TEST_INT(answer(&t, &pipe_, 452, "4.5.3"), TX_GO);
	TEST(!j->rcpts[1].done && !j->rcpts[1].busy);
	answer(&t, &pipe_, 354, "");
	send_all(&t, &pipe_);
	TEST_INT(answer(&t, &pipe_, 250, ""), TX_DONE);
	TEST(j->rcpts[0].done && !j->rcpts[1].done);
	TEST(tx_begin(&t, &pipe_, j, false, true));
	TEST_INT(t.n, 1);
	send_all(&t, &pipe_);
	answer(&t, &pipe_, 250, "");
	TEST_INT(answer(&t, &pipe_, 452, "4.5.3"), TX_GO);	/* again, and nobody else: that will not get better now */
	TEST_INT(answer(&t, &pipe_, 503, ""), TX_DONE);
	TEST(j->rcpts[1].done);
	TEST_INT(j->rcpts[1].verdict.outcome, OUT_DEFER);
	free(j);
}

/* The postponed ones are in the next transaction already while this one's end is awaited. */
static void
test_postponed_prefetched(void)
{
	struct verdict v = verdict(OUT_DEFER, "4.4.2", "lost");
	struct tx t, next;
	int how;

	for (how = 0; how < 4; how++) {
		struct job *j = job(two);

		tx_begin(&t, &pipe_, j, false, true);
		send_all(&t, &pipe_);
		answer(&t, &pipe_, 250, "");
		answer(&t, &pipe_, 250, "");
		answer(&t, &pipe_, 452, "4.5.3");
		answer(&t, &pipe_, 354, "");
		send_all(&t, &pipe_);
		TEST(tx_begin(&next, &pipe_, j, false, true));
		TEST(next.n == 1 && next.rcpt[0] == 1);
		if (how == 0)
			TEST_INT(answer(&t, &pipe_, 250, ""), TX_DONE);
		else if (how == 1)
			TEST_INT(answer(&t, &pipe_, 550, ""), TX_DONE);
		else if (how == 2)
			tx_lost(&t, &v);
		else
			TEST_INT(answer(&t, &pipe_, 421, ""), TX_CLOSING);
		TEST(j->rcpts[1].busy && !j->rcpts[1].done);
		TEST(!j->rcpts[0].busy && (j->rcpts[0].done || how == 3));
		free(j);
	}
}

static void
test_lost(void)
{
	struct job *j = job(two);
	struct verdict v = verdict(OUT_DEFER, "4.4.2", "lost");
	struct tx t;

	tx_begin(&t, &pipe_, j, false, true);
	send_all(&t, &pipe_);
	answer(&t, &pipe_, 250, "");
	answer(&t, &pipe_, 250, "");
	tx_lost(&t, &v);
	TEST(!j->rcpts[0].done && j->rcpts[0].noted && !j->rcpts[0].busy);
	free(j);

	j = job(two);			/* after the final dot: it may have arrived */
	tx_begin(&t, &pipe_, j, false, true);
	send_all(&t, &pipe_);
	answer(&t, &pipe_, 250, "");
	answer(&t, &pipe_, 250, "");
	answer(&t, &pipe_, 452, "4.5.3");
	answer(&t, &pipe_, 354, "");
	send_all(&t, &pipe_);
	tx_lost(&t, &v);
	TEST(j->rcpts[0].done && !j->rcpts[1].done);
	free(j);
}

static void
test_bdat(void)
{
	struct job *j = job(one);
	struct tx t;

	tx_begin(&t, &chunk, j, false, true);
	TEST_STR(send_all(&t, &chunk), "MAIL FROM:<from@src.test>\r\nRCPT TO:<a@dst.test>\r\nBDAT 1000 LAST\r\n<body>");
	answer(&t, &chunk, 250, "");
	answer(&t, &chunk, 250, "");
	TEST_INT(answer(&t, &chunk, 250, ""), TX_DONE);
	TEST_INT(j->rcpts[0].verdict.outcome, OUT_SENT);
	free(j);

	j = job(one);
	j->length = 1000000;		/* large: recipients first */
	tx_begin(&t, &chunk, j, false, true);
	TEST_STR(send_all(&t, &chunk), "MAIL FROM:<from@src.test>\r\nRCPT TO:<a@dst.test>\r\n");
	answer(&t, &chunk, 250, "");
	TEST_STR(send_all(&t, &chunk), "");
	TEST_INT(answer(&t, &chunk, 550, ""), TX_DONE);
	TEST(t.dirty);
	free(j);

	j = job(one);			/* refused, and the body had gone: its answer means nothing */
	tx_begin(&t, &chunk, j, false, true);
	send_all(&t, &chunk);
	answer(&t, &chunk, 250, "");
	TEST_INT(answer(&t, &chunk, 550, ""), TX_GO);
	TEST_INT(answer(&t, &chunk, 554, ""), TX_DONE);
	TEST(t.dirty && j->rcpts[0].done);
	free(j);
}

static void
test_parameters(void)
{
	struct job *j = job(one);
	struct tx t;

	j->flags = MAIL_8BIT;
	j->ret = RET_HDRS;
	j->envid = "QQ314159+x";
	j->rcpts[0].notify = NOTIFY_SUCCESS | NOTIFY_DELAY;
	j->rcpts[0].orcpt = "rfc822;a=b@dst.test";
	tx_begin(&t, &full, j, false, true);
	TEST_STR(send_all(&t, &full), "MAIL FROM:<from@src.test> SIZE=1000 BODY=8BITMIME RET=HDRS ENVID=QQ314159+2Bx\r\n"
	    "RCPT TO:<a@dst.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+3Db@dst.test\r\nDATA\r\n");
	tx_undo(&t);
	j->rcpts[0].orcpt = "utf-8;b\xc3\xa9=\\x{E9}@dst.test";
	tx_begin(&t, &full, j, false, true);
	TEST(strstr(send_all(&t, &full), " ORCPT=utf-8;b\\x{E9}+3D\\x{E9}@dst.test\r\n") != NULL);
	tx_undo(&t);
	j->envid = "a\r\nRCPT TO:<x@y>";
	j->rcpts[0].orcpt = "rfc822\r\n;a";
	j->rcpts[0].notify = NOTIFY_NEVER;
	tx_begin(&t, &full, j, false, true);
	TEST_STR(send_all(&t, &full), "MAIL FROM:<from@src.test> SIZE=1000 BODY=8BITMIME RET=HDRS\r\n"
	    "RCPT TO:<a@dst.test> NOTIFY=NEVER\r\nDATA\r\n");
	tx_undo(&t);
	tx_begin(&t, &pipe_, j, false, true);		/* nothing offered, nothing asked; undeclared 8-bit goes as it is */
	TEST_STR(send_all(&t, &pipe_), "MAIL FROM:<from@src.test>\r\nRCPT TO:<a@dst.test>\r\nDATA\r\n");
	free(j);
}

static void
test_unfit(void)
{
	static const char *const mixed[] = { "a@dst.test", "\303\274@dst.test", "c\r\nRSET\r\n@dst.test", NULL };
	static const struct peer small = { .ext = EXT_SIZE, .size_max = 999 };
	struct job *j = job(mixed);
	struct tx t;

	TEST(tx_begin(&t, &plain, j, false, true));
	TEST_INT(t.n, 1);
	TEST_STR(j->rcpts[1].verdict.dsn, "5.6.7");
	TEST_STR(j->rcpts[2].verdict.dsn, "5.1.3");
	free(j);

	j = job(mixed);
	TEST(tx_begin(&t, &full, j, false, true));
	TEST_INT(t.n, 2);
	TEST(t.utf8);
	TEST(strstr(send_all(&t, &full), "SIZE=1000 SMTPUTF8\r\n") != NULL);
	free(j);

	j = job(two);
	TEST(!tx_begin(&t, &small, j, false, true));
	TEST_INT(j->open, 0);
	TEST_STR(j->rcpts[1].verdict.dsn, "5.3.4");
	TEST(t.job == NULL);
	free(j);

	j = job(one);
	j->flags = MAIL_8BIT;
	TEST(!tx_begin(&t, &strict, j, false, true));
	TEST_STR(j->rcpts[0].verdict.dsn, "5.6.3");
	free(j);
}

/* What the next host lacks and the sender could not know of. */
static void
test_lacks(void)
{
	static const struct peer size = { .ext = EXT_SIZE | EXT_CHUNKING, .size_max = 1500 };
	static const struct peer passes = { .ext = EXT_SIZE, .eightbit = EIGHTBIT_PASS };
	struct convert_plan plan = { .possible = true, .length = 1400 };
	struct job *j = job(one);
	struct tx t;

	j->flags = MAIL_UTF8HDR | MAIL_8BIT;
	j->smtputf8 = 1;
	j->body = BODY_8BITMIME;
	TEST(put_converts(j, &plain) && !put_converts(j, &full) && !put_converts(j, &passes));
	TEST(tx_begin(&t, &plain, j, false, true));		/* no plan: it goes as it is */
	TEST_STR(send_all(&t, &plain), "MAIL FROM:<from@src.test>\r\n");
	tx_undo(&t);
	j->plan = &plan;
	TEST(tx_begin(&t, &size, j, false, false));
	TEST_STR(send_all(&t, &size), "MAIL FROM:<from@src.test> SIZE=1400\r\n");
	answer(&t, &size, 250, "");
	send_all(&t, &size);
	answer(&t, &size, 250, "");
	TEST_STR(send_all(&t, &size), "BDAT 1400 LAST\r\n<body>");
	tx_undo(&t);
	TEST(tx_begin(&t, &passes, j, false, false));
	TEST_STR(send_all(&t, &passes), "MAIL FROM:<from@src.test> SIZE=1000\r\n");
	tx_undo(&t);
	plan.possible = false;
	TEST(tx_begin(&t, &size, j, false, false));
	TEST_STR(send_all(&t, &size), "MAIL FROM:<from@src.test> SIZE=1000\r\n");
	tx_undo(&t);
	j->sender = "";						/* a notice has nobody to come back to */
	plan.possible = true;
	TEST(put_converts(j, &passes) && put_converts(j, &strict));
	TEST(tx_begin(&t, &strict, j, false, false));
	TEST(t.plan == &plan);
	tx_undo(&t);
	plan.length = 1600;
	TEST(!tx_begin(&t, &size, j, false, false));
	TEST_STR(j->rcpts[0].verdict.dsn, "5.3.4");
	free(j);
}

static void
test_many_rcpts(void)
{
	static const char *list[251];
	struct job *j;
	struct tx t;
	size_t i;

	for (i = 0; i < 250; i++)
		list[i] = "x@dst.test";
	j = job(list);
	TEST(tx_begin(&t, &pipe_, j, false, true));
	TEST_INT(t.n, TX_RCPTS);
	send_all(&t, &pipe_);
	for (i = 0; i < 101; i++)
		TEST_INT(answer(&t, &pipe_, 250, ""), TX_GO);
	answer(&t, &pipe_, 354, "");
	send_all(&t, &pipe_);
	TEST_INT(answer(&t, &pipe_, 250, ""), TX_DONE);
	TEST_INT(j->open, 150);
	TEST(tx_begin(&t, &pipe_, j, false, true));
	TEST_INT(t.rcpt[0], 100);
	free(j);
}

static void
test_few_rcpts(void)
{
	static const struct peer few = { .ext = EXT_PIPELINING, .rcpts = 1 };
	struct job *j = job(two);
	struct tx t, rest;

	TEST(tx_begin(&t, &few, j, false, true));
	TEST_INT(t.n, 1);
	TEST(tx_begin(&rest, &few, j, false, true) && rest.n == 1 && rest.rcpt[0] == 1);
	free(j);
}

static void
test_smarthost(void)
{
	static const struct peer smart = { .smarthost = true };
	struct job *j = job(one);
	struct tx t;

	tx_begin(&t, &smart, j, false, true);
	send_all(&t, &smart);
	TEST_INT(answer(&t, &smart, 530, "5.7.0"), TX_DONE);
	TEST_INT(j->rcpts[0].verdict.outcome, OUT_DEFER);
	TEST_STR(j->rcpts[0].verdict.dsn, "4.7.0");
	free(j);
}

static void
test_next_host(void)
{
	struct job *j = job(two);
	struct tx t;

	tx_begin(&t, &plain, j, false, true);
	send_all(&t, &plain);
	TEST_INT(answer(&t, &plain, 521, ""), TX_DONE);
	TEST(t.next_host && t.leaves[0] && j->open == 2 && j->rcpts[0].noted && !j->rcpts[0].busy);
	TEST_INT(j->rcpts[0].verdict.outcome, OUT_BOUNCE);
	free(j);
}

static void
test_extensions(void)
{
	struct peer p = { 0 };

	peer_extension(&p, "PIPELINING");
	peer_extension(&p, "8bitmime");
	peer_extension(&p, "SIZE 12345");
	peer_extension(&p, "DSN");
	peer_extension(&p, "XDSN");
	peer_extension(&p, "PIPELININGX");
	peer_extension(&p, "");
	TEST_INT(p.ext, EXT_PIPELINING | EXT_8BITMIME | EXT_SIZE | EXT_DSN);
	TEST_INT(p.size_max, 12345);
	peer_extension(&p, "SIZE 99999999999999999999999999");
	TEST_INT(p.size_max, 0);
	peer_extension(&p, "SIZE x");
	TEST_INT(p.size_max, 0);
	peer_extension(&p, "SIZE");
	TEST_INT(p.size_max, 0);
}

/* Any codes in any order: each recipient is settled at most once, and it ends. */
static void
test_random(void)
{
	static const unsigned codes[] = { 250, 250, 250, 354, 354, 421, 450, 452, 500, 521, 550, 552, 554, 200, 334, 442 };
	static const char *const dsns[] = { "", "", "4.5.3", "5.1.1", "2.0.0" };
	static const struct peer *const peers[] = { &plain, &pipe_, &full, &chunk };
	unsigned round, k, wrong = 0;
	struct tx t;

	srandom(1);
	for (round = 0; round < 20000; round++) {
		struct job *j = job(two);
		const struct peer *peer = peers[random() % 4];
		enum tx_state s = TX_GO;

		tx_begin(&t, peer, j, random() & 1, random() & 1);
		for (k = 0; s == TX_GO && k < 20; k++) {
			send_all(&t, peer);
			s = answer(&t, peer, codes[random() % 16], dsns[random() % 5]);
		}
		wrong += k == 20;
		for (k = 0; s == TX_DONE && k < 2; k++)
			wrong += j->rcpts[k].busy || (!j->rcpts[k].done && !j->rcpts[k].noted);
		free(j);
	}
	TEST_INT(wrong, 0);
}

int
main(void)
{
	test_step_by_step();
	test_odd_codes();
	test_pipelined();
	test_nobody();
	test_stages();
	test_bad_replies();
	test_closing();
	test_postponed();
	test_postponed_prefetched();
	test_lost();
	test_bdat();
	test_parameters();
	test_unfit();
	test_lacks();
	test_many_rcpts();
	test_few_rcpts();
	test_smarthost();
	test_next_host();
	test_extensions();
	test_random();
	return test_end("relay_step");
}
