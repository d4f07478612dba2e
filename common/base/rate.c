/*
 * rate: see rate.h. Called by deliver's gates. Owns nothing, cannot fail.
 *
 * Instead of counting tokens it notes when the next event is due: taking one moves that by an interval. A timer that is late does not
 * lose what was due meanwhile, as long as it is late by less than the slack.
 */
#include "base/rate.h"

#define HOUR	3600000000000ULL

uint64_t
rate_burst(uint64_t per_hour, uint64_t burst)
{
	if (burst == 0)
		burst = per_hour / 3600 / 4;
	return burst > 0 ? burst : 1;
}

void
rate_set(struct rate *r, uint64_t per_hour, uint64_t burst)
{
	r->interval = per_hour == 0 ? 0 : HOUR / per_hour;
	r->slack = (rate_burst(per_hour, burst) - 1) * r->interval;
	r->next = 0;
}

uint64_t
rate_wait_behind(const struct rate *r, uint64_t now, unsigned others)
{
	uint64_t next = (r->next > now || others == 0 ? r->next : now) + others * r->interval;

	return next > now + r->slack ? next - r->slack - now : 0;
}

uint64_t
rate_wait(const struct rate *r, uint64_t now)
{
	return rate_wait_behind(r, now, 0);
}

void
rate_take(struct rate *r, uint64_t now)
{
	r->next = (r->next > now ? r->next : now) + r->interval;
}

void
rate_give(struct rate *r)
{
	r->next -= r->next > r->interval ? r->interval : r->next;
}
