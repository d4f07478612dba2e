/*
 * dues: see dues.h. Owns the tree, by time. Cannot fail.
 */
#include "core/dues.h"

RB_HEAD(dues, message);

static int
compare(const struct message *a, const struct message *b)
{
	if (a->due_at != b->due_at)
		return a->due_at < b->due_at ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}
RB_GENERATE_INTERNAL(dues, message, dues_entry, compare, static __attribute__((unused)))

static struct dues all = RB_INITIALIZER(&all);

void
dues_gone(struct message *m)
{
	if (m->due_at != 0)
		RB_REMOVE(dues, &all, m);
	m->due_at = 0;
}

void
dues_set(struct message *m, int64_t now)
{
	int64_t at = m->count[R_IDLE] > 0 && m->look > now && m->look != INT64_MAX ? m->look : 0;

	if (at == m->due_at)
		return;
	dues_gone(m);
	m->due_at = at;
	if (at != 0)
		RB_INSERT(dues, &all, m);
}

struct message *
dues_next(int64_t now)
{
	struct message *m = RB_MIN(dues, &all);

	if (m == NULL || m->due_at > now)
		return NULL;
	dues_gone(m);
	return m;
}

int64_t
dues_soonest(void)
{
	const struct message *m = RB_MIN(dues, &all);

	return m != NULL ? m->due_at : INT64_MAX;
}
