/*
 * control_queue: queue list, show, cat, and mailq.
 *
 * Called by control_verbs. What may be long goes on in steps (a batch of rows, a piece of a message), so that a queue of a million
 * messages is listed without holding up the mail. A message that is in memory is shown as it is there, any other as its row.
 * Owns nothing between the steps but what is in struct client.
 */
#include <stdlib.h>
#include <string.h>
#include "control/queue.h"
#include "proc/ev.h"
#include "control/listing.h"
#include "mail/qid.h"
#include "control/query.h"
#include "control/show.h"
#include "base/xmalloc.h"

#define PIECE	(64 * 1024)

/* ---- lists ---- */

/* As Sendmail says it, and as monitoring reads it. */
static void
say_requests(struct client *c, uint64_t n, uint64_t bytes)
{
	if (n == 0)
		say(c, "Mail queue is empty");
	else
		say(c, "-- %llu Kbytes in %llu Requests.", (unsigned long long)(bytes + 1023) / 1024, (unsigned long long)n);
}

/* Who sees his own mail alone is told how much there is in all: his view is no empty queue. */
static void
list_end(struct client *c)
{
	const struct query *q = c->query;
	uint64_t n = listing_count(q->list);
	struct totals all = view_totals(control_index());
	bool partly = client_sees(c) != -1 && q->s.whole && all.messages > 0;

	if (c->json)
		;
	else if (partly) {
		if (n == 0)
			say(c, "none of the mail that waits is yours");
		say_requests(c, all.messages, all.bytes);
	} else if (q->classic)
		say_requests(c, n, listing_bytes(q->list));
	else if (n == 0)
		say(c, q->s.whole ? "the queue is empty" : "nothing in the queue is meant by this");
	client_done(c, n > 0 || q->s.whole || q->classic ? 0 : 1);
}

static void
note_id(void *arg, const struct index_hit *h)
{
	struct query *q = arg;

	if (q->messages > q->nfound)
		q->found[q->nfound++] = h->id;
}

/* q->messages counts those of this page: each message is listed once. -> false: there is none */
static bool
next_page(struct query *q)
{
	if (q->walked)
		return false;
	q->nfound = q->listed = 0;
	q->messages = 0;
	query_page(q, QUERY_FOUND, note_id, q);
	return true;
}

static void
pick(void *arg, const struct index_hit *h)
{
	struct query *q = arg;

	q->picking = q->picking && picks_add(&q->picks, h->id, h->n);
}

/* Which recipients it is about is found out first, unless they are too many. */
static void
pick_page(struct query *q)
{
	bool more = query_page(q, QUERY_PAGE, pick, q);

	if (!q->picking) {
		picks_free(&q->picks);
		query_again(q, WALK_NEED_KEY);
	} else if (!more) {
		picks_sort(&q->picks);
		q->picking = false;
		q->picked = true;
	}
}

/* -> false: there is none */
static bool
next_message(struct query *q)
{
	const struct pick *p;
	size_t n;

	if (q->picked) {
		if ((n = picks_next(&q->picks, &p)) > 0)
			listing_begin(q->list, p->id, q, p, n);
		q->listing = n > 0;
		return n > 0;
	}
	if (q->listed == q->nfound)
		return next_page(q);
	listing_begin(q->list, q->found[q->listed++], q, NULL, 0);
	q->listing = true;
	return true;
}

/* -> false: all is listed */
static bool
list_part(struct client *c, struct query *q)
{
	if (q->picking)
		pick_page(q);
	else if (q->listing)
		q->listing = !listing_part(c, q->list);
	else
		return next_message(q);
	return true;
}

static bool
list_step(struct client *c)
{
	while (list_part(c, c->query))
		if (client_pause(c))
			return false;
	list_end(c);
	return true;
}

static void
list(struct client *c, char **argv, int argc, enum list_form form)
{
	struct query *q = query_begin(c, argv, argc, WALK_NEED_KEY, false, false);

	if (q == NULL)
		return;
	q->list = listing_new(form);
	q->classic = form == LIST_MAILQ;
	q->picking = select_by_rcpt(&q->s);
	c->step = list_step;
}

void
verb_list(struct client *c, char **argv, int argc)
{
	list(c, argv, argc, c->json ? LIST_JSON : LIST_TEXT);
}

void
verb_mailq(struct client *c, char **argv, int argc)
{
	c->json = false;
	list(c, argv, argc, LIST_MAILQ);
}

/* ---- one message ---- */

static void
no_such(struct client *c, const char *id)
{
	complain(c, "%s: no such message in the queue", id);
	client_done(c, 1);
}

/* The message's id, if there is one that this client may see. */
static bool
may_see(struct client *c, const char *word, uint64_t *id)
{
	struct view v;
	bool may = false;

	if (qid_parse(word, id) && view_part(&v, control_index(), *id, 0, 0)) {
		may = client_sees(c) == -1 || v.msg.uid == client_sees(c);
		view_free(&v);
	}
	if (!may)
		no_such(c, word);
	return may;
}

static void
show_free(void *arg)
{
	listing_free(arg);
}

static bool
show_step(struct client *c)
{
	while (!listing_part(c, c->query))
		if (client_pause(c))
			return false;
	if (listing_count(c->query) == 0)
		complain(c, "the message left the queue just now, or its record cannot be read");
	client_done(c, listing_count(c->query) > 0 ? 0 : 1);
	return true;
}

void
verb_show(struct client *c, char **argv, int argc)
{
	uint64_t id;

	(void)argc;
	if (!may_see(c, argv[0], &id))
		return;
	c->query = listing_new(c->json ? LIST_SHOW_JSON : LIST_SHOW_TEXT);
	c->drop = show_free;
	listing_begin(c->query, id, NULL, NULL, 0);
	c->step = show_step;
	ev_wake();
}

/* ---- cat ---- */

enum { CAT_ALL, CAT_HEADERS, CAT_BODY, CAT_ENVELOPE };

struct cat {
	int		 part;
	bool		 blank;			/* the header's end was seen */
	size_t		 line;			/* bytes of the line that was begun */
};

/* Shows what belongs to the part. *over: nothing more does. */
static void
cat_piece(struct client *c, int part, uint8_t *p, size_t n, bool *over)
{
	struct cat *k = c->query;
	size_t begin = 0, i;

	*over = false;
	for (i = 0; i < n && !k->blank; i++) {
		k->blank = p[i] == '\n' && k->line == 0;
		k->line = p[i] == '\n' ? 0 : k->line + (p[i] != '\r');
		if (k->blank)
			begin = i + 1;
	}
	if (part == CAT_HEADERS && k->blank) {
		*over = true;
		n = begin;
	}
	if (part == CAT_BODY && !k->blank)
		return;
	if (part == CAT_BODY) {
		p += begin;
		n -= begin;
	}
	say_raw(c, p, n);
}

/* Looks each time whether it is still there: a segment that nobody needs is used again. */
static bool
cat_step(struct client *c)
{
	static uint8_t piece[PIECE];
	struct cat *k = c->query;
	struct spool_env se;
	struct view v;
	ssize_t n = -1;
	bool over = false;

	if (!view_part(&v, control_index(), c->id, 0, 0)) {
		complain(c, "the message left the queue");
		client_done(c, 1);
		return true;
	}
	if (spool_read_env(control_spool(), v.msg.loc, &se) == 0) {
		size_t left = (size_t)(se.body_len - c->at);

		n = spool_read(control_spool(), v.msg.loc.seg, se.body_off + c->at, piece, left < PIECE ? left : PIECE);
		spool_env_free(&se);
	}
	if (n > 0)
		cat_piece(c, k->part, piece, (size_t)n, &over);
	c->at += n > 0 ? (uint64_t)n : 0;
	if (n <= 0 || over || c->at >= v.msg.size) {
		if (c->count > 0)
			io_write(c->io, "\n", 1);
		client_done(c, n < 0 ? 1 : 0);
	}
	view_free(&v);
	return c->closing;
}

static int
cat_part(const char *word)
{
	static const char *const parts[] = { [CAT_HEADERS] = "headers", [CAT_BODY] = "body", [CAT_ENVELOPE] = "envelope" };
	int i;

	for (i = CAT_HEADERS; i <= CAT_ENVELOPE; i++)
		if (strcmp(word, parts[i]) == 0)
			return i;
	return -1;
}

void
verb_cat(struct client *c, char **argv, int argc)
{
	int part = argc > 1 ? cat_part(argv[1]) : CAT_ALL;
	struct cat *k;

	if (part == -1) {
		complain(c, "cat ID headers, body or envelope");
		client_done(c, 64);
		return;
	}
	if (part == CAT_ENVELOPE) {
		verb_show(c, argv, 1);
		return;
	}
	if (!may_see(c, argv[0], &c->id))
		return;
	c->query = k = xcalloc(1, sizeof(*k));
	c->drop = free;
	k->part = part;
	c->step = cat_step;
	ev_wake();
}
