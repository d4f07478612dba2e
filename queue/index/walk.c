/*
 * index_walk: see index_walk.h. Each walk is a row of a table: its statement, and how many of the common parameters that has.
 */
#include <stdlib.h>
#include <string.h>
#include "index/priv.h"
#include "index/walk.h"
#include "base/xmalloc.h"

static const struct walk_row {
	enum st		 st;
	const char	*types;			/* the first of: id, n, rows, text, text2, value, at, at_text, at_domain */
} walks[WALK__N][WALK_NEED__N] = {
	[WALK_ALL] = { [WALK_NEED_MSG] = { ST_WALK_ALL_MSG, "iii" }, [WALK_NEED_RCPT] = { ST_WALK_ALL_RCPT, "iii" },
	    [WALK_NEED_BOTH] = { ST_WALK_ALL_BOTH, "iii" } },
	[WALK_ID] = { [WALK_NEED_MSG] = { ST_WALK_ID_MSG, "iiitti" }, [WALK_NEED_BOTH] = { ST_WALK_ID_BOTH, "iiitti" } },
	[WALK_TO] = { [WALK_NEED_KEY] = { ST_WALK_TO_KEY, "iiitt" }, [WALK_NEED_BOTH] = { ST_WALK_TO_BOTH, "iiitt" } },
	[WALK_DOMAIN] = { [WALK_NEED_KEY] = { ST_WALK_DOMAIN_KEY, "iiittiit" },
	    [WALK_NEED_BOTH] = { ST_WALK_DOMAIN_BOTH, "iiittiit" } },
	[WALK_DOMAINS] = { [WALK_NEED_KEY] = { ST_WALK_DOMAINS_KEY, "iiittiitt" } },
	[WALK_HELD] = { [WALK_NEED_KEY] = { ST_WALK_HELD_KEY, "iii" }, [WALK_NEED_BOTH] = { ST_WALK_HELD_BOTH, "iii" } },
	[WALK_FROM] = { [WALK_NEED_KEY] = { ST_WALK_FROM_KEY, "iiit" },
	    [WALK_NEED_MSG] = { ST_WALK_FROM_MSG, "iiit" }, [WALK_NEED_BOTH] = { ST_WALK_FROM_BOTH, "iiit" } },
	[WALK_AGE] = { [WALK_NEED_KEY] = { ST_WALK_AGE_KEY, "iiittii" },
	    [WALK_NEED_MSG] = { ST_WALK_AGE_MSG, "iiittii" }, [WALK_NEED_BOTH] = { ST_WALK_AGE_BOTH, "iiittii" } },
	[WALK_UID] = { [WALK_NEED_MSG] = { ST_WALK_UID_MSG, "iiitti" }, [WALK_NEED_BOTH] = { ST_WALK_UID_BOTH, "iiitti" } },
};

void
index_walk_begin(struct index_walk *w)
{
	if (walks[w->by][w->need].types == NULL)
		w->need = WALK_NEED_BOTH;
	w->id = w->n = -1;
	w->at_text = xstrdup("");
	w->at_domain = xstrdup("");
}

static void
keep(char **at, const char *s)
{
	if (strcmp(*at, s) == 0)
		return;
	free(*at);
	*at = xstrdup(s);
}

static struct index_hit
hit(struct sqlite3_stmt *st, enum walk_need need)
{
	struct index_hit h = { .id = (uint64_t)index_int(st, 0), .n = (uint32_t)index_int(st, 1), .weight = (uint32_t)index_int(st, 2),
	    .addr = "", .domain = "", .relay = "", .reply = "", .action = "", .sender = "", .tag = "", .uid = -1,
	    .sure = need == WALK_NEED_KEY };

	if (need == WALK_NEED_RCPT || need == WALK_NEED_BOTH) {
		h.addr = index_text(st, 3);
		h.domain = index_text(st, 4);
		h.mark = index_int(st, 5) == MARK_HELD ? MARK_HELD : MARK_PENDING;
		h.due = index_time(index_int(st, 6));
		h.attempts = (uint32_t)index_int(st, 7);
		h.relay = index_text(st, 8);
		h.reply = index_text(st, 9);
		h.action = index_text(st, 10);
	}
	if (need == WALK_NEED_MSG || need == WALK_NEED_BOTH) {
		h.sender = index_text(st, 11);
		h.arrival = index_time(index_int(st, 12));
		h.size = (uint64_t)index_int(st, 13);
		h.tag = index_text(st, 14);
		h.uid = index_int(st, 15);
	}
	return h;
}

/* The place of the last row of a page, as the row has it, whatever was made of that: or one that is damaged would come again. */
static void
move_to(struct index_walk *w, struct sqlite3_stmt *st, const struct index_hit *h)
{
	w->id = (int64_t)h->id;
	w->n = index_int(st, 1);
	if (w->by == WALK_AGE)
		w->at = w->need == WALK_NEED_KEY ? index_int(st, 3) : index_int(st, 12);
	if (w->by == WALK_DOMAIN || w->by == WALK_DOMAINS)
		keep(&w->at_text, index_text(st, 3));
	if (w->by == WALK_DOMAINS)
		keep(&w->at_domain, index_text(st, 4));
}

/* The place of a damaged row may not be what it was found by: without this its page would come again and again. */
static bool
moved_on(const struct index_walk *w, const struct index_walk *was)
{
	int c = strcasecmp(w->at_domain, was->at_domain);

	if (c == 0)
		c = strcasecmp(w->at_text, was->at_text);
	if (c == 0)
		c = (w->at > was->at) - (w->at < was->at);
	if (c == 0)
		c = (w->id > was->id) - (w->id < was->id);
	return c > 0 || (c == 0 && w->n > was->n);
}

/* To the next id that was asked for. -> false: there is none */
static bool
next_id(struct index_walk *w)
{
	if (w->nmore == 0)
		return false;
	w->value = (int64_t)*w->more++;
	w->nmore--;
	w->id = w->n = -1;
	return true;
}

bool
index_walk_page(struct index *ix, struct index_walk *w, unsigned max, void (*cb)(void *, const struct index_hit *), void *arg)
{
	const struct walk_row *row = &walks[w->by][w->need];
	struct index_walk was = *w;
	struct sqlite3_stmt *st;
	struct index_hit h;
	unsigned n = 0;
	bool stuck;

	/* Bound texts are borrowed until the statement ends: w's own may change meanwhile. */
	was.at_text = xstrdup(w->at_text);
	was.at_domain = xstrdup(w->at_domain);
	st = index_ask(ix, row->st, row->types, was.id, was.n, (int64_t)max, was.text, was.text2, was.value, was.at, was.at_text,
	    was.at_domain);
	while (n < max && index_row(ix, st)) {
		h = hit(st, w->need);
		if (w->by == WALK_DOMAINS) {
			h.addr = index_text(st, 3);
			h.domain = index_text(st, 4);
		}
		if (++n == max)
			move_to(w, st, &h);
		cb(arg, &h);
	}
	if (n == max && st != NULL)
		index_end(st);
	stuck = n == max && !moved_on(w, &was);
	free(was.at_text);
	free(was.at_domain);
	if (stuck) {
		index_damaged(ix);
		return false;
	}
	return n == max || next_id(w);
}

void
index_walk_end(struct index_walk *w)
{
	free(w->at_text);
	free(w->at_domain);
	w->at_text = w->at_domain = NULL;
}
