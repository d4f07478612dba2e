/*
 * user: which accounts there are that may have mail.
 *
 * Called by lookup.c. Owns a small cache. A name service that fails is a temporary failure, never "no such user".
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "proc/account.h"
#include "proc/ev.h"
#include "base/log.h"
#include "tables/user.h"
#include "base/xmalloc.h"

#define NAME_LEN	64		/* longer ones are not remembered */
#define CACHE_SIZE	4096		/* a power of two */
#define YES_MS		10000
#define NO_MS		2000

static struct {
	struct remembered {
		char			key[NAME_LEN], name[NAME_LEN];
		bool			named;
		enum answer_status	status;
		uint64_t		until;
	} cache[CACHE_SIZE];
	uint64_t first_uid;
} user;

void
user_reset(uint64_t first_uid)
{
	memset(&user, 0, sizeof(user));
	user.first_uid = first_uid;
	account_refresh();
}

static enum answer_status
system_ask(const char *key, bool named, char *name, size_t size)
{
	enum account_kind kind;
	const struct passwd *pw;

	switch (account_get(key, &pw)) {
	case 1:
		kind = account_kind(pw, user.first_uid);
		if (kind == ACCOUNT_NEVER || (kind == ACCOUNT_SYSTEM && !named))
			return ANSWER_NO;
		return strlcpy(name, pw->pw_name, size) < size ? ANSWER_YES : ANSWER_NO;
	case 0:
		return ANSWER_NO;
	}
	log_warn("account %s: the look-up failed: %s", key, strerror(errno));
	return ANSWER_TEMPFAIL;
}

/* What no account is called: the name service need not be asked. */
static bool
impossible(const char *key)
{
	if (key[0] == '\0' || key[0] == '-' || strlen(key) >= NAME_LEN)
		return true;
	for (; *key != '\0'; key++)
		if ((unsigned char)*key <= 0x20 || *key == 0x7f || *key == ':' || *key == '/' || *key == ',')
			return true;
	return false;
}

static struct remembered *
slot_of(const char *key)
{
	uint32_t h = 2166136261u;

	for (; *key != '\0'; key++)
		h = (h ^ (uint8_t)*key) * 16777619u;
	return &user.cache[(h ^ h >> 16) & (CACHE_SIZE - 1)];
}

enum answer_status
user_ask(const char *key, bool named, char **name)
{
	struct remembered *r;

	*name = NULL;
	if (impossible(key))
		return ANSWER_NO;
	r = slot_of(key);
	if (r->until <= ev_now_ms() || r->named != named || strcmp(r->key, key) != 0) {
		r->until = 0;
		r->status = system_ask(key, named, r->name, sizeof(r->name));
		if (r->status == ANSWER_TEMPFAIL)
			return ANSWER_TEMPFAIL;
		r->named = named;
		snprintf(r->key, sizeof(r->key), "%s", key);
		r->until = ev_now_ms() + (r->status == ANSWER_YES ? YES_MS : NO_MS);
	}
	if (r->status == ANSWER_YES && strcmp(r->name, key) != 0)
		*name = xstrdup(r->name);
	return r->status;
}
