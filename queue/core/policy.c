/*
 * policy: see policy.h. Owns nothing, cannot fail.
 *
 * Only deliver asks for MX hosts. Each result tells the best one, which its destination remembers (dest.c). Of a destination that is
 * forgotten, or of before a start, there is still the host of the last attempt: of the MX hosts perhaps not the best, but of the same people.
 */
#include <stdio.h>
#include <string.h>
#include "mail/addr.h"
#include "program/child.h"
#include "core/retry.h"
#include "core/nexthop.h"
#include "core/policy.h"

#define HORIZON_LEAST	(4 * 3600 * 1000)	/* what holds where the configuration says nothing */
#define HORIZON_SLACK	(60 * 1000)

/* "mx.example.org[192.0.2.1]:25" -> "mx.example.org"; NULL if that is no host. */
static const char *
host_of(const char *relay, char *out, size_t size)
{
	const char *end = relay != NULL ? strchr(relay, '[') : NULL;

	if (end == NULL || end == relay || (size_t)(end - relay) >= size)
		return NULL;
	snprintf(out, size, "%.*s", (int)(end - relay), relay);
	return out;
}

struct dest_policy
policy_for(const struct p_env *e, const char *action, const char *domain, const char *relay)
{
	const char *mx = dest_mx(action, domain);
	char host[ADDR_DOMAIN_MAX + 1];

	return class_policy(child_conf(), e, action, domain, mx != NULL ? mx : host_of(relay, host, sizeof(host)));
}

struct dest_policy
policy_least(const char *action, const char *domain)
{
	const struct conf *c = child_conf();
	int i = conf_action(c, action);
	struct dest_policy all = conf_policy(c, i >= 0 ? &c->action[i] : NULL, domain, dest_mx(action, domain)), least = all, p;
	enum mail_class class;

	for (class = 0; class < CLASS__N; class++) {
		p = all;
		conf_policy_class(c, class, &p);
		if (p.lifetime < least.lifetime)
			least.lifetime = p.lifetime;
		if (p.delay_notice > 0 && (least.delay_notice == 0 || p.delay_notice < least.delay_notice))
			least.delay_notice = p.delay_notice;
	}
	return least;
}

int64_t
policy_horizon(void)
{
	const struct conf *c = child_conf();
	uint64_t most = HORIZON_LEAST;
	size_t i;

	for (i = 0; i < c->ndest; i++)
		if (c->dest[i].has & DEST_HAS_RETRY && c->dest[i].retry_max > most)
			most = c->dest[i].retry_max;
	for (i = 0; i < CLASS__N; i++)
		if (c->by_class[i].has & DEST_HAS_RETRY && c->by_class[i].retry_max > most)
			most = c->by_class[i].retry_max;
	return (int64_t)most + HORIZON_SLACK;
}
