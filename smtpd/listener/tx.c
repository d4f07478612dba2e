/*
 * tx: see tx.h. Cannot fail.
 */
#include <stdlib.h>
#include <string.h>

#include "listener/tx.h"
#include "base/xmalloc.h"

#define HASH_FROM	16			/* recipients at which their addresses are hashed */

struct tx *
tx_new(struct session *s)
{
	struct tx *tx = xcalloc(1, sizeof(*tx));

	tx->session = s;
	tx->body = BODY_NONE;
	return tx;
}

void
tx_free(struct tx *tx)
{
	size_t i;
	char *block;

	for (i = 0; i < tx->nrcpt; i++) {
		memcpy(&block, &tx->rcpt[i].addr, sizeof(block));
		free(block);
	}
	free(tx->rcpt);
	free(tx->hash);
	free(tx->envid);
	mend_free(&tx->mend);
	free(tx);
}

/* ---- recipients ---- */

static size_t
hash_of(const char *addr)
{
	size_t h = 5381;

	while (*addr != '\0')
		h = h * 33 ^ (unsigned char)*addr++;
	return h ^ h >> 17;
}

static void
hash_put(struct tx *tx, size_t index)
{
	size_t i = hash_of(tx->rcpt[index].addr);

	while (tx->hash[i % tx->hash_size] != 0)
		i++;
	tx->hash[i % tx->hash_size] = (uint32_t)index + 1;
}

static void
rehash(struct tx *tx)
{
	size_t i;

	free(tx->hash);
	tx->hash_size = tx->cap * 4;
	tx->hash = xcalloc(tx->hash_size, sizeof(*tx->hash));
	for (i = 0; i < tx->nrcpt; i++)
		hash_put(tx, i);
}

bool
tx_has(const struct tx *tx, const char *addr)
{
	size_t i;
	uint32_t at;

	if (tx->hash == NULL) {
		for (i = 0; i < tx->nrcpt; i++)
			if (strcmp(tx->rcpt[i].addr, addr) == 0)
				return true;
		return false;
	}
	for (i = hash_of(addr); (at = tx->hash[i % tx->hash_size]) != 0; i++)
		if (strcmp(tx->rcpt[at - 1].addr, addr) == 0)
			return true;
	return false;
}

void
tx_rcpt(struct tx *tx, const struct p_env_rcpt *rcpt)
{
	bool grow = tx->nrcpt == tx->cap;

	if (grow) {
		tx->cap = tx->cap == 0 ? 1 : tx->cap * 4;
		tx->rcpt = xreallocarray(tx->rcpt, tx->cap, sizeof(*tx->rcpt));
	}
	tx->rcpt[tx->nrcpt++] = *rcpt;
	if (tx->nrcpt < HASH_FROM)
		return;
	if (grow || tx->hash == NULL)
		rehash(tx);
	else
		hash_put(tx, tx->nrcpt - 1);
}
