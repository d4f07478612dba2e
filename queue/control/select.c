/*
 * select: see select.h. Words become conditions; conditions choose a walk, and are asked of each row it visits.
 *
 * Errors are text for who asked.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "mail/addr.h"
#include "conf/conf_parse.h"
#include "mail/qid.h"
#include "control/select.h"
#include "base/xmalloc.h"

/* ---- words ---- */

/* Each sets the condition's field from its value; NULL, or what is wrong. */

static char *
set_sender(void *field, const char *value)
{
	size_t n;
	const char *inside = addr_inside(value, &n);

	*(char **)field = xstrndup(inside, n);
	return NULL;
}

/* What a script's variable did not fill in must not mean the whole queue. */
static char *
keep(void *field, const char *s, size_t n)
{
	if (n == 0)
		return xstrdup("a value is missing");
	*(char **)field = xstrndup(s, n);
	return NULL;
}

static char *
set_text(void *field, const char *value)
{
	return keep(field, value, strlen(value));
}

static char *
set_address(void *field, const char *value)
{
	size_t n;
	const char *inside = addr_inside(value, &n);

	return keep(field, inside, n);
}

static char *
set_domain(void *field, const char *value)
{
	return set_text(field, *value == '@' ? value + 1 : value);
}

static char *
set_number(int64_t *to, const char *value, const char *(*parse)(const char *, uint64_t *))
{
	const char *wrong;
	uint64_t v = 0;

	if (strcmp(value, "0") != 0 && (wrong = parse(value, &v)) != NULL)
		return xasprintf("\"%s\": %s", value, wrong);
	*to = (int64_t)v;
	return NULL;
}

static char *
set_time(void *field, const char *value)
{
	return set_number(field, value, conf_time);
}

static char *
set_size(void *field, const char *value)
{
	return set_number(field, value, conf_size);
}

static char *
set_state(void *field, const char *value)
{
	static const char *const names[] = { [STATE_ACTIVE] = "active", [STATE_DEFERRED] = "deferred", [STATE_HELD] = "held" };
	enum select_state i;

	for (i = STATE_ACTIVE; i <= STATE_HELD; i++)
		if (strcmp(value, names[i]) == 0) {
			*(enum select_state *)field = i;
			return NULL;
		}
	return xasprintf("\"%s\": a state is active, deferred or held", value);
}

#define FIELD(name)	offsetof(struct select, name)

static const struct condition {
	const char	*begins;
	char		*(*set)(void *field, const char *value);
	size_t		 field;
} conditions[] = {
	{ "from=",	set_sender,	FIELD(from) },
	{ "to=",	set_address,	FIELD(to) },
	{ "domain=",	set_domain,	FIELD(domain) },
	{ "age>",	set_time,	FIELD(older) },
	{ "age<",	set_time,	FIELD(younger) },
	{ "size>",	set_size,	FIELD(larger) },
	{ "size<",	set_size,	FIELD(smaller) },
	{ "state=",	set_state,	FIELD(state) },
	{ "reason~",	set_text,	FIELD(reason) },
	{ "tag=",	set_text,	FIELD(tag) },
};

static bool
has_id(const struct select *s, uint64_t id)
{
	size_t i;

	for (i = 0; i < s->nids && s->ids[i] != id; i++)
		;
	return i < s->nids;
}

/* Several ids are a union, where each other condition narrows. */
static void
add_id(struct select *s, uint64_t id)
{
	if (has_id(s, id))
		return;
	s->ids = xreallocarray(s->ids, s->nids + 1, sizeof(*s->ids));
	s->ids[s->nids++] = id;
}

/* -> NULL, or what is wrong */
static char *
parse_condition(struct select *s, size_t i, const char *value)
{
	const struct condition *c = &conditions[i];
	char *wrong, *where;

	if (s->given & 1u << i)
		return xasprintf("%s was given twice", c->begins);
	s->given |= 1u << i;
	if ((wrong = c->set((char *)s + c->field, value)) == NULL)
		return NULL;
	where = xasprintf("%s: %s", c->begins, wrong);
	free(wrong);
	return where;
}

static char *
parse_word(struct select *s, const char *word)
{
	bool named = strncmp(word, "id=", 3) == 0;
	uint64_t id;
	size_t i, n;

	if (strcmp(word, "--dry-run") == 0) {
		s->dry = true;
		return NULL;
	}
	s->any = true;
	if (strcmp(word, "all") == 0)
		return NULL;
	s->whole = false;
	for (i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++)
		if (strncmp(word, conditions[i].begins, n = strlen(conditions[i].begins)) == 0)
			return parse_condition(s, i, word + n);
	if (qid_parse(named ? word + 3 : word, &id)) {
		add_id(s, id);
		return NULL;
	}
	if (named)
		return xasprintf("\"%s\" is no queue id", word + 3);
	return xasprintf("\"%s\" is no queue id and no condition; there are from= to= domain= id= age> age< size> size< state= reason~ "
	    "tag= (quote > and < for the shell)", word);
}

char *
select_parse(struct select *s, char **argv, int argc)
{
	char *wrong = NULL;
	int i;

	*s = (struct select){ .whole = true, .older = -1, .younger = -1, .larger = -1, .smaller = -1, .uid = -1 };
	for (i = 0; i < argc && wrong == NULL; i++)
		wrong = parse_word(s, argv[i]);
	return wrong;
}

void
select_free(struct select *s)
{
	free(s->ids);
	free(s->from);
	free(s->to);
	free(s->domain);
	free(s->tag);
	free(s->reason);
	s->from = s->to = s->domain = s->tag = s->reason = NULL;
	s->ids = NULL;
	s->nids = 0;
}

/* ---- rows ---- */

bool
select_by_rcpt(const struct select *s)
{
	return s->to != NULL || s->domain != NULL || s->reason != NULL || s->state != STATE_ANY;
}

static bool
by_message(const struct select *s)
{
	return s->from != NULL || s->tag != NULL || s->older >= 0 || s->younger >= 0 || s->larger >= 0 || s->smaller >= 0 || s->uid >= 0;
}

static bool
message_fits(const struct select *s, const struct index_hit *h, int64_t now)
{
	int64_t age = now > h->arrival ? now - h->arrival : 0;

	return (s->from == NULL || strcasecmp(s->from, h->sender) == 0) && (s->tag == NULL || strcmp(s->tag, h->tag) == 0) &&
	    (s->older < 0 || age > s->older) && (s->younger < 0 || age < s->younger) &&
	    (s->larger < 0 || h->size > (uint64_t)s->larger) && (s->smaller < 0 || h->size < (uint64_t)s->smaller) &&
	    (s->uid < 0 || h->uid == s->uid);
}

static bool
state_fits(enum select_state state, const struct index_hit *h, int64_t now)
{
	if (state == STATE_ANY)
		return true;
	if (h->mark == MARK_HELD)
		return state == STATE_HELD;
	return state == (h->due <= now ? STATE_ACTIVE : STATE_DEFERRED);
}

bool
select_match(const struct select *s, const struct index_hit *h, int64_t now)
{
	if (h->sure)
		return true;
	if ((s->nids > 0 && !has_id(s, h->id)) || (by_message(s) && !message_fits(s, h, now)))
		return false;
	if (!select_by_rcpt(s))
		return true;
	return (s->to == NULL || strcasecmp(s->to, h->addr) == 0) && (s->domain == NULL || strcasecmp(s->domain, h->domain) == 0) &&
	    state_fits(s->state, h, now) && (s->reason == NULL || strcasestr(h->reply, s->reason) != NULL);
}

/* ---- the walk ---- */

static unsigned
conditions_of(const struct select *s)
{
	return (s->to != NULL) + (s->domain != NULL) + (s->state != STATE_ANY) + (s->reason != NULL) + (s->nids > 0) + (s->from != NULL) +
	    (s->tag != NULL) + (s->older >= 0 || s->younger >= 0) + (s->larger >= 0) + (s->smaller >= 0) + (s->uid >= 0);
}

/* The walk alone gives what was asked, and no more. */
static bool
answers_all(const struct select *s, enum walk_by by)
{
	static const bool exact[WALK__N] = { [WALK_TO] = true, [WALK_DOMAIN] = true, [WALK_HELD] = true,
	    [WALK_FROM] = true, [WALK_AGE] = true };

	return exact[by] && conditions_of(s) == 1;
}

static void
between(struct index_walk *w, int64_t from, int64_t to)
{
	w->at = from;
	w->value = to;
}

static void
choose(struct index_walk *w, const struct select *s, int64_t now)
{
	if (s->nids > 0)
		*w = (struct index_walk){ .by = WALK_ID, .value = (int64_t)s->ids[0], .more = s->ids + 1, .nmore = s->nids - 1 };
	else if (s->uid >= 0)
		*w = (struct index_walk){ .by = WALK_UID, .value = s->uid };
	else if (s->to != NULL)
		*w = (struct index_walk){ .by = WALK_TO, .text = addr_domain(s->to), .text2 = s->to };
	else if (s->from != NULL)
		*w = (struct index_walk){ .by = WALK_FROM, .text = s->from };
	else if (s->domain != NULL)
		*w = (struct index_walk){ .by = WALK_DOMAIN, .text = s->domain };
	else if (s->state == STATE_HELD)
		w->by = WALK_HELD;
	else if (s->older >= 0 || s->younger >= 0) {
		w->by = WALK_AGE;
		between(w, s->younger >= 0 ? now - s->younger + 1 : INT64_MIN, s->older >= 0 ? now - s->older - 1 : INT64_MAX);
	}
}

struct index_walk
select_walk(const struct select *s, enum walk_need need, int64_t now)
{
	struct index_walk w = { .by = WALK_ALL };

	choose(&w, s, now);
	w.need = WALK_NEED_BOTH;
	if (need == WALK_NEED_KEY && answers_all(s, w.by))
		w.need = WALK_NEED_KEY;
	else if ((need == WALK_NEED_KEY || need == WALK_NEED_MSG) && !select_by_rcpt(s))
		w.need = WALK_NEED_MSG;
	else if (need != WALK_NEED_MSG && need != WALK_NEED_BOTH && !by_message(s) && w.by == WALK_ALL)
		w.need = WALK_NEED_RCPT;
	index_walk_begin(&w);
	return w;
}

bool
select_ordered(const struct index_walk *w)
{
	return w->need == WALK_NEED_MSG || (w->by != WALK_DOMAIN && w->by != WALK_DOMAINS);
}
