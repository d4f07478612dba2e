/*
 * submit_send: a message for any number of recipients, in as many transactions as the daemon's RCPTMAX asks for.
 *
 * Called by sendmail's main. MAIL, all RCPT and DATA of a transaction go in one write, the message in a second. A recipient whose turn
 * has not come because a transaction was full (452 4.5.3) is in the next one. What happened to each is kept until the end: as long
 * as nothing is stored a refusal is an exit code; beside what is stored it is told to refused(). Owns the list of what happened.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include "mail/addr.h"
#include "submit.h"
#include "base/xmalloc.h"

struct refusal {
	size_t	 rcpt;			/* its number */
	unsigned code;
	char	 dsn[12];
	char	*text;
};

struct sending {
	struct submit	*s;
	const struct submission *m;
	size_t		*todo, ntodo;	/* recipients of this round and what is left for the next */
	size_t		*asked, nasked;	/* of this transaction: accepted ones */
	struct refusal	*no;
	size_t		 nno, cap;
	size_t		 stored;	/* recipients */
	bool		 dirty;		/* a transaction was left open */
	bool		 gone;		/* the connection, or the use of going on */
	int		 sender;	/* the sender was refused: the exit code */
};

/* ---- what is said ---- */

static void
put_rcpt(struct sending *g, size_t i)
{
	buf_addf(&g->s->out, "RCPT TO:<%s>", g->m->rcpts[i]);
	if (g->m->notify != NULL && g->s->dsn)
		buf_addf(&g->s->out, " NOTIFY=%s", g->m->notify);
	buf_adds(&g->s->out, "\r\n");
}

static void
put_mail(struct submit *s, const struct submission *m)
{
	char envid[512];

	buf_addf(&s->out, "MAIL FROM:<%s> SIZE=%zu", m->sender, m->text->len);
	if (m->eightbit && s->eightbit)
		buf_adds(&s->out, " BODY=8BITMIME");
	if (m->utf8 && s->smtputf8)
		buf_adds(&s->out, " SMTPUTF8");
	if (m->ret != NULL && s->dsn)
		buf_addf(&s->out, " RET=%s", m->ret);
	if (m->envid != NULL && s->dsn) {
		xtext_encode(m->envid, envid, sizeof(envid));
		buf_addf(&s->out, " ENVID=%s", envid);
	}
	buf_adds(&s->out, "\r\n");
}

/* The message with its dots doubled, and the final dot. */
static void
put_message(struct submit *s, const struct buf *text)
{
	const uint8_t *p = buf_data(text), *end = p + text->len, *lf;

	while (p < end) {
		lf = memchr(p, '\n', (size_t)(end - p));
		lf = lf == NULL ? end : lf + 1;
		if (*p == '.')
			buf_adds(&s->out, ".");
		buf_add(&s->out, p, (size_t)(lf - p));
		p = lf;
	}
	buf_adds(&s->out, ".\r\n");
}

/* ---- what is answered ---- */

/* What a refusal means to the program that called: the enhanced code tells more than the number. */
static int
exit_code(unsigned code, const char *dsn)
{
	if (code / 100 == 4)
		return EX_TEMPFAIL;
	if (strncmp(dsn, "5.7.", 4) == 0)
		return EX_NOPERM;
	if (strcmp(dsn, "5.1.1") == 0 || strcmp(dsn, "5.1.6") == 0 || strcmp(dsn, "5.1.10") == 0)
		return EX_NOUSER;
	return EX_DATAERR;
}

static void
refuse(struct sending *g, size_t rcpt, const struct reply *r)
{
	if (g->nno == g->cap) {
		g->cap = g->cap * 2 + 16;
		g->no = xreallocarray(g->no, g->cap, sizeof(*g->no));
	}
	g->no[g->nno] = (struct refusal){ .rcpt = rcpt, .code = r->code, .text = xstrdup(r->text) };
	strlcpy(g->no[g->nno++].dsn, r->dsn, sizeof(g->no->dsn));
}

static void
refuse_all(struct sending *g, const size_t *rcpts, size_t n, const struct reply *r)
{
	for (size_t i = 0; i < n; i++)
		refuse(g, rcpts[i], r);
}

static bool
reply(struct sending *g, struct reply *r)
{
	if (submit_reply(g->s, r, NULL))
		return true;
	g->gone = true;
	*r = (struct reply){ .code = 451, .dsn = "4.3.0",
	    .text = "the connection to Postern broke" };
	return false;
}

static bool
full(const struct reply *r)
{
	return r->code == 452 && strcmp(r->dsn, "4.5.3") == 0;
}

/* The replies to n RCPT. Those that found no room stay at the beginning of todo. -> how many those are */
static size_t
read_rcpts(struct sending *g, size_t n)
{
	struct reply r;
	size_t again = 0;

	g->nasked = 0;
	for (size_t i = 0; i < n; i++) {
		if (!g->gone)
			reply(g, &r);
		if (!g->gone && r.code / 100 == 2)
			g->asked[g->nasked++] = g->todo[i];
		else if (!g->gone && full(&r) && g->nasked > 0)
			g->todo[again++] = g->todo[i];
		else
			refuse(g, g->todo[i], &r);
	}
	return again;
}

/* DATA was said: the message goes, if anybody is to get it. */
static void
message(struct sending *g)
{
	struct reply r;

	if (!g->gone)
		reply(g, &r);
	if (!g->gone && r.code == 354) {
		put_message(g->s, g->m->text);
		g->dirty = false;
		submit_flush(g->s);
		reply(g, &r);
	}
	if (!g->gone && r.code / 100 == 2)
		g->stored += g->nasked;
	else
		refuse_all(g, g->asked, g->nasked, &r);
}

/* One transaction for the first n of todo. -> how many of them are still to be done */
static size_t
transaction(struct sending *g, size_t n)
{
	struct reply r;
	size_t again, i;

	if (g->dirty)
		buf_adds(&g->s->out, "RSET\r\n");
	put_mail(g->s, g->m);
	for (i = 0; i < n; i++)
		put_rcpt(g, g->todo[i]);
	buf_adds(&g->s->out, "DATA\r\n");
	if (g->dirty)
		reply(g, &r);
	g->dirty = true;
	if (!g->gone)
		reply(g, &r);
	if (g->gone || r.code / 100 != 2) {
		if (!g->gone) {
			warnx("sender <%s>: %u %s %s", g->m->sender, r.code, r.dsn, r.text);
			g->sender = exit_code(r.code, r.dsn);
		}
		refuse_all(g, g->todo, n, &r);
		g->gone = true;
		return 0;
	}
	again = read_rcpts(g, n);
	message(g);
	return again;
}

/* ---- the end ---- */

/* Nothing is stored: the exit code. A temporary refusal wins, so that the caller tries again. */
static int
nothing(const struct sending *g)
{
	int code = 0, this;

	for (size_t i = 0; i < g->nno; i++) {
		this = exit_code(g->no[i].code, g->no[i].dsn);
		if (code == 0 || this == EX_TEMPFAIL)
			code = this;
	}
	return code;
}

static int
finish(struct sending *g, submit_refused *refused, void *arg)
{
	int code = g->stored > 0 ? 0 : g->sender != 0 ? g->sender : nothing(g);
	struct reply r;
	bool all = g->stored == 0 && g->gone;	/* one line says it */

	if (all && g->sender == 0)
		warnx("Postern ended the connection; nothing is known to be stored, try again");
	for (size_t i = 0; i < g->nno; i++) {
		if (!all)
			warnx("<%s>: %u %s %s", g->m->rcpts[g->no[i].rcpt], g->no[i].code, g->no[i].dsn, g->no[i].text);
		if (code == 0) {
			r = (struct reply){ .code = g->no[i].code };
			strlcpy(r.dsn, g->no[i].dsn, sizeof(r.dsn));
			strlcpy(r.text, g->no[i].text, sizeof(r.text));
			refused(arg, g->m->rcpts[g->no[i].rcpt], &r);
		}
		free(g->no[i].text);
	}
	return code;
}

int
submit_send(struct submit *s, const struct submission *m, submit_refused *refused, void *arg)
{
	struct sending g = { .s = s, .m = m, .todo = xcalloc(m->nrcpts, sizeof(size_t)), .asked = xcalloc(m->nrcpts, sizeof(size_t)) };
	size_t most = s->rcpt_max > 0 ? s->rcpt_max : m->nrcpts, n, again;
	struct reply lost = { .code = 451, .dsn = "4.3.0", .text = "not sent, the connection to Postern broke" };
	int code;

	for (size_t i = 0; i < m->nrcpts; i++)
		g.todo[g.ntodo++] = i;
	while (g.ntodo > 0 && !g.gone) {
		n = g.ntodo < most ? g.ntodo : most;
		again = transaction(&g, n);
		memmove(g.todo + again, g.todo + n, (g.ntodo - n) * sizeof(*g.todo));
		g.ntodo -= n - again;
	}
	refuse_all(&g, g.todo, g.ntodo, &lost);
	code = finish(&g, refused, arg);
	free(g.todo);
	free(g.asked);
	free(g.no);
	return code;
}
