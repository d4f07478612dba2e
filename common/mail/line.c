/*
 * line: command lines and message data as a client sends them (RFC 5321 2.3.8, 4.1.1.4, 4.5.2).
 *
 * Called by the listener for every byte that clients send, and by sendmail for its input; owns nothing but the
 * caller's struct datard. Wrong bytes are flags in ->bad, for the caller to answer; nothing here fails.
 *
 * The reader of message data is a table: state x class of byte -> what to do. Most bytes never see it: within a line memchr
 * finds the next CR or LF, and what can be copied as it came in leaves in one piece, over many lines.
 */
#include <string.h>
#include "mail/line.h"

long
line_command(const struct buf *in, size_t *next, bool *bare)
{
	const uint8_t *p, *lf;
	size_t n;

	if (in->len == 0 || (lf = memchr(p = buf_data(in), '\n', in->len)) == NULL)
		return -1;
	n = (size_t)(lf - p);
	*next = n + 1;
	*bare = n == 0 || p[n - 1] != '\r';
	return (long)(*bare ? n : n - 1);
}

enum {
	S_TEXT,			/* within a line */
	S_CR,			/* a CR is held back */
	S_BOL,			/* behind CRLF: the one place where a dot may end the data */
	S_DOT,			/* behind CRLF and a dot, which is held back */
	S_DOT_CR,		/* behind CRLF, dot, CR, both held back */
	S_BARE_BOL,		/* behind a bare CR or LF: a new line only if that is mended */
	S_BARE_DOT,		/* likewise and a dot, which is held back */
	S__MAX
};
enum { C_OTHER, C_CR, C_LF, C_DOT, C__MAX };

#define T_TAKE	1		/* the byte is done with; otherwise it is looked at again in the new state */
#define T_CRLF	2		/* a line end */
#define T_DOT	4		/* the dot that was held back is text */
#define T_BCR	8		/* the CR that was held back is bare */
#define T_BLF	16		/* this LF is bare */
#define T_END	32
#define T_LONE	64		/* a dot alone, bounded by a bare LF */

/*
 * A dot is taken off a line that has other bytes (4.5.2). A line that is a dot alone but is bounded by a bare CR or LF on
 * either side is text, and stays as it is.
 */
static const struct step {
	uint8_t	deed, next;
} steps[S__MAX][C__MAX] = {
	[S_TEXT]     = { { 0, S_TEXT },	 { T_TAKE, S_CR },	    { T_TAKE | T_BLF, S_BARE_BOL }, { 0, S_TEXT } },
	[S_CR]       = { { T_BCR, S_BARE_BOL }, { T_TAKE | T_BCR, S_CR }, { T_TAKE | T_CRLF, S_BOL }, { T_BCR, S_BARE_BOL } },
	[S_BOL]      = { { 0, S_TEXT },	 { 0, S_TEXT },		    { 0, S_TEXT },		    { T_TAKE, S_DOT } },
	[S_DOT]      = { { 0, S_TEXT },	 { T_TAKE, S_DOT_CR },	    { T_DOT | T_LONE, S_TEXT },		    { 0, S_TEXT } },
	[S_DOT_CR]   = { { T_DOT, S_CR }, { T_DOT, S_CR },	    { T_TAKE | T_END, S_BOL },	    { T_DOT, S_CR } },
	[S_BARE_BOL] = { { 0, S_TEXT },	 { 0, S_TEXT },		    { 0, S_TEXT },		    { T_TAKE, S_BARE_DOT } },
	[S_BARE_DOT] = { { 0, S_TEXT },	 { T_DOT | T_LONE, S_TEXT }, { T_DOT | T_LONE, S_TEXT },		    { 0, S_TEXT } },
};

static const uint8_t crlf[] = "\r\n", dot[] = ".";

/* One call of datard_feed. */
struct feed {
	struct datard	*d;
	struct buf	*out;
	const uint8_t	*in, *p, *e;
	const uint8_t	*cr, *lf;	/* the next ones at or behind p, e if there is none */
	const uint8_t	*run;		/* what leaves in one piece */
	size_t		 run_len;
};

static void
flush(struct feed *f)
{
	struct datard *d = f->d;

	d->total += f->run_len;
	if (d->total > d->max)
		d->bad |= DATA_BIG;
	if (d->bad == 0 && f->run_len > 0)
		buf_add(f->out, f->run, f->run_len);
	f->run_len = 0;
}

static void
emit(struct feed *f, const uint8_t *p, size_t n)
{
	if (f->run_len == 0 || f->run + f->run_len != p) {
		flush(f);
		f->run = p;
	}
	f->run_len += n;
}

static void
note(struct datard *d, unsigned what)
{
	if (d->mend & what)
		d->mended |= what;
	else
		d->bad |= what;
}

static void
emit_text(struct feed *f, const uint8_t *p, size_t n)
{
	struct datard *d = f->d;

	d->line_len += n;
	if (d->line_len > d->line_max)
		note(d, DATA_LONG);
	emit(f, p, n);
}

/* A line end; p is where both its bytes stand side by side. */
static void
emit_crlf(struct feed *f, const uint8_t *p)
{
	f->d->line_len = 0;
	emit(f, p, 2);
}

static void
bare(struct feed *f, unsigned what)
{
	note(f->d, what);
	emit_crlf(f, crlf);
}

static const uint8_t *
find(const uint8_t *p, const uint8_t *e, int c)
{
	const uint8_t *q = memchr(p, c, (size_t)(e - p));

	return q != NULL ? q : e;
}

/* The rest of the line, or of the input. */
static void
text(struct feed *f)
{
	const uint8_t *q;

	if (f->cr < f->p)
		f->cr = find(f->p, f->e, '\r');
	if (f->lf < f->p)
		f->lf = find(f->p, f->e, '\n');
	q = f->cr < f->lf ? f->cr : f->lf;
	if (q > f->p)
		emit_text(f, f->p, (size_t)(q - f->p));
	f->p = q;
}

static int
class(uint8_t c)
{
	return c == '\r' ? C_CR : c == '\n' ? C_LF : c == '.' ? C_DOT : C_OTHER;
}

static const struct step *
step(struct feed *f)
{
	struct datard *d = f->d;
	const struct step *s = &steps[d->state][class(*f->p)];

	if (s->deed & T_CRLF)
		emit_crlf(f, f->p > f->in ? f->p - 1 : crlf);
	if ((s->deed & T_LONE) && (d->mend & DATA_BARE_LF))
		note(d, DATA_LONE_DOT);
	if (s->deed & T_DOT)
		emit_text(f, dot, 1);
	if (s->deed & T_BCR)
		bare(f, DATA_BARE_CR);
	if (s->deed & T_BLF)
		bare(f, DATA_BARE_LF);
	if (s->deed & T_TAKE)
		f->p++;
	d->state = s->next;
	if (d->bdat && (d->state == S_BOL || d->state == S_BARE_BOL))
		d->state = S_TEXT;
	return s;
}

void
datard_init(struct datard *d, uint64_t max, size_t line_max, unsigned mend, bool bdat)
{
	/* The CRLF of the DATA command is the first of CRLF.CRLF: an empty message is a dot alone. */
	*d = (struct datard){ .max = max, .line_max = line_max, .mend = mend, .bdat = bdat,
	    .state = bdat ? S_TEXT : S_BOL };
}

size_t
datard_feed(struct datard *d, const uint8_t *in, size_t n, struct buf *out, bool *end)
{
	struct feed f = { .d = d, .out = out, .in = in, .p = in, .e = in + n };
	const uint8_t *nul;

	*end = false;
	if (n == 0)
		return 0;
	f.cr = find(in, f.e, '\r');
	f.lf = find(in, f.e, '\n');
	nul = find(in, f.e, '\0');
	while (f.p < f.e && !*end) {
		if (d->state == S_TEXT)
			text(&f);
		if (f.p < f.e)
			*end = (step(&f)->deed & T_END) != 0;
	}
	if (nul < f.p)
		note(d, DATA_NUL);
	flush(&f);
	return (size_t)(f.p - in);
}

void
datard_finish(struct datard *d, struct buf *out)
{
	struct feed f = { .d = d, .out = out };

	if (d->state == S_CR) {
		bare(&f, DATA_BARE_CR);
		flush(&f);
		d->state = S_TEXT;
	}
}
