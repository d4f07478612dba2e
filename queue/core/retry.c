/*
 * retry: classes of mail, exponential back-off with jitter, and the lifetime of a message. Pure code.
 *
 * Called by result.c with the policy of the destination. Owns nothing, cannot fail. Times are those of clock_now(),
 * which runs with the monotonic clock.
 */
#include "notice/bounce.h"
#include "core/retry.h"

uint64_t
retry_wait(const struct dest_policy *p, uint32_t attempts, uint32_t rnd)
{
	uint64_t base = p->retry_min, max = p->retry_max > p->retry_min ? p->retry_max : p->retry_min;
	uint32_t i;

	for (i = 1; i < attempts && base < max; i++)
		base *= 2;
	if (base + base / 4 < max)
		return base + rnd % (base / 4 + 1);
	/* at the top the jitter goes down, so that the messages of a long outage do not march in step */
	base = max - rnd % (max / 4 + 1);
	return base > p->retry_min ? base : p->retry_min;
}

/* A due time beyond an event comes at the event instead, unless that is too soon for another attempt. */
static int64_t
not_beyond(int64_t due, int64_t event, int64_t soonest)
{
	return due > event && event >= soonest ? event : due;
}

int64_t
retry_due(const struct dest_policy *p, int64_t arrival, int64_t now, uint32_t attempts, uint32_t rnd)
{
	int64_t due = now + (int64_t)retry_wait(p, attempts, rnd), soonest = now + (int64_t)p->retry_min;

	due = not_beyond(due, arrival + (int64_t)p->lifetime, soonest);
	if (p->delay_notice > 0)
		due = not_beyond(due, arrival + (int64_t)p->delay_notice, soonest);
	return due;
}

bool
retry_expired(const struct dest_policy *p, int64_t arrival, int64_t now, bool tried)
{
	return tried && retry_age(arrival, now) >= (int64_t)p->lifetime;
}

bool
retry_delayed(const struct dest_policy *p, int64_t arrival, int64_t now)
{
	return p->delay_notice > 0 && p->delay_notice < p->lifetime && retry_age(arrival, now) >= (int64_t)p->delay_notice;
}

int64_t
retry_age(int64_t arrival, int64_t now)
{
	return now > arrival ? now - arrival : 0;
}

/* ---- classes: what one means is in the configuration (conf_policy_class) ---- */

/* Copies for the archive have no sender, but are no bounces; and they are kept as long as any mail, whatever they are copies of. */
enum mail_class
class_of(const struct p_env *e)
{
	if (e->birth == BIRTH_ARCHIVE)
		return CLASS_NORMAL;
	if (*e->sender == '\0')
		return CLASS_BOUNCE;
	return e->flags & MAIL_BULK ? CLASS_BULK : CLASS_NORMAL;
}

const char *
class_name(enum mail_class class)
{
	static const char *const names[CLASS__N] = { [CLASS_NORMAL] = "normal", [CLASS_BULK] = "bulk", [CLASS_BOUNCE] = "bounce" };

	return names[class];
}

struct dest_policy
class_policy(const struct conf *c, const struct p_env *e, const char *action, const char *domain, const char *mx)
{
	int i = conf_action(c, action);
	struct dest_policy p = conf_policy(c, i >= 0 ? &c->action[i] : NULL, domain, mx);

	conf_policy_class(c, class_of(e), &p);
	return p;
}
