/*
 * quiet: see quiet.h. Owns nothing, cannot fail.
 */
#include <string.h>

#include "listener/quiet.h"

static struct quiet_client *
find(struct quiet *q, uint64_t key)
{
	unsigned i;

	for (i = 0; i < q->n; i++)
		if (q->client[i].key == key)
			return &q->client[i];
	return NULL;
}

bool
quiet_due(struct quiet *q, uint64_t key, const char *name, uint64_t now)
{
	struct quiet_client *c = find(q, key);

	if (c != NULL) {
		c->more++;
		return false;
	}
	if (q->n == QUIET_CLIENTS) {
		q->others++;
		return false;
	}
	c = &q->client[q->n++];
	*c = (struct quiet_client){ .key = key, .since = now };
	strlcpy(c->name, name, sizeof(c->name));
	return true;
}

bool
quiet_tell(struct quiet *q, uint64_t now, void (*tell)(unsigned more, const char *name))
{
	unsigned i = 0;

	while (i < q->n) {
		struct quiet_client *c = &q->client[i];

		if (now - c->since < QUIET_MS)
			i++;
		else if (c->more > 0) {
			tell(c->more, c->name);
			c->more = 0;
			c->since = now;
			i++;
		} else
			*c = q->client[--q->n];
	}
	if (q->others > 0)
		tell(q->others, "other clients");
	q->others = 0;
	return q->n > 0;
}
