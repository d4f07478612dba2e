/*
 * match_answers: the questions that match asked, and what is known of them.
 *
 * Called by match.c (answers_find) and by whoever talks to lookup. The struct answers belongs to the session or job; a hash
 * over it keeps thousands of recipients of one transaction cheap.
 */
#include <stdlib.h>
#include <string.h>
#include "conf/match_word.h"
#include "base/xmalloc.h"

#define ASK_BYTES	(MSG_MAX / 2)		/* of one frame of questions */
#define QUESTION_BYTES	16			/* of a question without its key, at most */

static uint32_t
hash_of(unsigned kind, unsigned table, const char *key)
{
	uint32_t h = 2166136261u ^ (kind << 16 | table);

	for (; *key != '\0'; key++)
		h = (h ^ (uint8_t)*key) * 16777619u;
	return h ^ h >> 15;
}

/* The slot of this question, or the free one where it belongs. */
static uint32_t *
slot_of(const struct answers *as, unsigned kind, unsigned table, const char *key)
{
	size_t i = hash_of(kind, table, key) & (as->nslot - 1);
	const struct answer *a;

	for (; as->slot[i] != 0; i = (i + 1) & (as->nslot - 1)) {
		a = &as->v[as->slot[i] - 1];
		if (a->kind == kind && a->table == table && strcmp(a->key, key) == 0)
			break;
	}
	return &as->slot[i];
}

static void
grow(struct answers *as)
{
	as->cap = as->cap == 0 ? 8 : as->cap * 2;
	as->v = xreallocarray(as->v, as->cap, sizeof(*as->v));
	free(as->slot);
	as->nslot = as->cap * 2;
	as->slot = xcalloc(as->nslot, sizeof(*as->slot));
	for (size_t i = 0; i < as->n; i++)
		*slot_of(as, as->v[i].kind, as->v[i].table, as->v[i].key) = (uint32_t)i + 1;
}

const struct answer *
answers_find(struct answers *as, enum ask_kind kind, uint16_t table, const char *key)
{
	struct answer *a;
	uint32_t *slot;

	if (as->n == as->cap)
		grow(as);
	slot = slot_of(as, kind, table, key);
	if (*slot != 0)
		return &as->v[*slot - 1];
	a = &as->v[as->n++];
	memset(a, 0, sizeof(*a));
	a->kind = kind;
	a->table = table;
	a->key = xstrdup(key);
	a->state = Q_OPEN;
	as->open++;
	*slot = (uint32_t)as->n;
	return a;
}

struct p_ask
answers_ask(struct answers *as, uint32_t generation)
{
	struct p_ask ask = { .generation = generation };
	struct answer *a;
	size_t bytes = 0, i;

	ask.questions = xcalloc(as->open + 1, sizeof(*ask.questions));
	for (i = as->next_open; i < as->n && as->open > 0; i++) {
		a = &as->v[i];
		if (a->state != Q_OPEN)
			continue;
		bytes += strlen(a->key) + QUESTION_BYTES;
		if (bytes > ASK_BYTES)
			break;
		ask.questions[ask.questions_n++] = (struct p_question){ (uint8_t)a->kind, a->table, a->key };
		a->state = Q_ASKED;
		as->open--;
		as->asked++;
	}
	as->next_open = i;
	return ask;
}

int
answers_take(struct answers *as, const struct p_answer *p)
{
	struct answer *a;
	uint32_t k = 0;

	if (p->values_n == 0 || p->values_n > as->asked)
		return -1;
	for (; k < p->values_n; as->next_asked++) {
		a = &as->v[as->next_asked];
		if (a->state != Q_ASKED)
			continue;
		a->state = Q_KNOWN;
		a->status = p->values[k].status <= ANSWER_TEMPFAIL ? p->values[k].status : ANSWER_TEMPFAIL;
		a->value = xstrdup(p->values[k++].value);
		as->asked--;
	}
	return 0;
}

void
answers_free(struct answers *as)
{
	for (size_t i = 0; i < as->n; i++) {
		free(as->v[i].key);
		free(as->v[i].value);
	}
	free(as->v);
	free(as->slot);
	memset(as, 0, sizeof(*as));
}
