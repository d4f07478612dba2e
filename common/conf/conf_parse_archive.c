/*
 * conf_parse_archive: `archive [from P] [for P] to ADDRESS`.
 *
 * Called by conf_parse after all tables are known. Pure code. What it does is in queue/core/archive.c.
 */
#include "conf/conf_parse.h"

enum { SEEN_FROM = 1, SEEN_FOR = 2, SEEN_TO = 4 };

static bool
opt_from(struct parse *p, void *obj)
{
	return conf_want_pattern(p, &((struct conf_archive *)obj)->from, true);
}

static bool
opt_for(struct parse *p, void *obj)
{
	return conf_want_pattern(p, &((struct conf_archive *)obj)->for_, true);
}

static bool
opt_to(struct parse *p, void *obj)
{
	return conf_want_address(p, &((struct conf_archive *)obj)->to, "the address that gets the copies");
}

bool
parse_archive(struct parse *p)
{
	static const struct opt_row rows[] = { { "from", opt_from, SEEN_FROM }, { "for", opt_for, SEEN_FOR }, { "to", opt_to, SEEN_TO } };
	const struct conf_tok *first = conf_last(p);
	struct conf *c = p->conf;
	struct conf_archive *a;
	unsigned seen = 0;

	c->archive = conf_more(c->archive, c->narchive, sizeof(*c->archive));
	p->at.archive = conf_more(p->at.archive, c->narchive, sizeof(*p->at.archive));
	p->at.archive[c->narchive] = first->pos;
	a = &c->archive[c->narchive++];
	a->from.table = a->for_.table = -1;
	if (!conf_options(p, ROWS(rows), a, &seen))
		return false;
	return (seen & SEEN_TO) != 0 || conf_bad(p, first, "this archive has no address; add to ADDRESS");
}
