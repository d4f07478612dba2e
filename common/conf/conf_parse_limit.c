/*
 * conf_parse_limit: `limit NAME VALUE`, by the list CONF_LIMITS of conf.h, and the limits' defaults.
 *
 * Called by conf_parse. Pure code.
 */
#include <string.h>
#include "conf/conf_parse.h"

enum unit { UNIT_SIZE, UNIT_COUNT, UNIT_RATE, UNIT_TIME, UNIT_PAUSE };

static const char *
pause_or_none(const char *s, uint64_t *ms)
{
	if (strcmp(s, "0") != 0 && strcmp(s, "0s") != 0)
		return conf_time(s, ms);
	*ms = 0;
	return NULL;
}

static const char *(*const unit_fn[])(const char *, uint64_t *) = {
	[UNIT_SIZE] = conf_size, [UNIT_COUNT] = conf_count, [UNIT_RATE] = conf_rate, [UNIT_TIME] = conf_time,
	[UNIT_PAUSE] = pause_or_none
};
static const struct limit_row {
	const char	*name;
	enum unit	 unit;
	uint64_t	 dflt;
} limits[] = {
#define LIMIT_ROW(name, id, unit, dflt)	[LIM_##id] = { name, UNIT_##unit, dflt },
	CONF_LIMITS(LIMIT_ROW)
};

static bool
limit_value(struct parse *p, size_t i)
{
	const char *s = conf_want(p, "the limit's value"), *wrong;

	if (s == NULL)
		return false;
	if ((wrong = unit_fn[limits[i].unit](s, &p->conf->limit[i])) != NULL)
		return conf_bad(p, conf_last(p), "limit %s \"%s\": %s", limits[i].name, s, wrong);
	if (i == LIM_LINE_LENGTH && p->conf->limit[i] < 998)
		return conf_bad(p, conf_last(p), "limit line-length \"%s\": lines of 998 bytes must pass", s);
	return conf_want_end(p);
}

bool
parse_limit(struct parse *p)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < LIM__MAX; i++)
		if (conf_accept(p, limits[i].name))
			return limit_value(p, i);
	for (size_t i = 0; i < LIM__MAX; i++)
		buf_addf(&b, "%s%s", i == 0 ? "" : ", ", limits[i].name);
	conf_expected(p, conf_peek(p), buf_str(&b));
	buf_free(&b);
	return false;
}

void
conf_limit_defaults(struct conf *c)
{
	for (size_t i = 0; i < LIM__MAX; i++)
		c->limit[i] = limits[i].dflt;
}
