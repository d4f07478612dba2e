/*
 * user: which accounts there are.
 *
 * Called by lookup.c. Owns a small cache and the list of accounts whose names have capitals, as a look-up comes folded.
 * A name service that fails is a temporary failure, never "no such user".
 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ev.h"
#include "log.h"
#include "user.h"
#include "xmalloc.h"

#define NAME_LEN	64		/* longer ones are not remembered */
#define CACHE_SIZE	4096		/* a power of two */
#define YES_MS		10000
#define NO_MS		2000
#define CAPITALS_MAX	100000

static struct {
	struct remembered {
		char			key[NAME_LEN], name[NAME_LEN];
		enum answer_status	status;
		uint64_t		until;
	} cache[CACHE_SIZE];
	char	**capitals;
	size_t	 ncapitals;
} user;

static void
load_capitals(void)
{
	FILE *f = fopen("/etc/passwd", "re");
	const struct passwd *pw;

	if (f == NULL)
		return;
	while (user.ncapitals < CAPITALS_MAX && (pw = fgetpwent(f)) != NULL) {
		if (strpbrk(pw->pw_name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == NULL)
			continue;
		user.capitals = xreallocarray(user.capitals, user.ncapitals + 1, sizeof(*user.capitals));
		user.capitals[user.ncapitals++] = xstrdup(pw->pw_name);
	}
	fclose(f);
}

void
user_reset(void)
{
	for (size_t i = 0; i < user.ncapitals; i++)
		free(user.capitals[i]);
	free(user.capitals);
	memset(&user, 0, sizeof(user));
	load_capitals();
}

static enum answer_status
system_ask(const char *key, char *name, size_t size)
{
	static char buf[64 * 1024];
	struct passwd pw, *found;
	int error;

	do
		error = getpwnam_r(key, &pw, buf, sizeof(buf), &found);
	while (error == EINTR);
	if (found != NULL && strlen(pw.pw_name) < size) {
		snprintf(name, size, "%s", pw.pw_name);
		return ANSWER_YES;
	}
	if (error == 0 || error == ENOENT || error == ESRCH)
		return ANSWER_NO;
	log_warn("account %s: the look-up failed: %s", key, strerror(error));
	return ANSWER_TEMPFAIL;
}

static enum answer_status
capital_ask(const char *key, char *name, size_t size)
{
	for (size_t i = 0; i < user.ncapitals; i++)
		if (strcasecmp(user.capitals[i], key) == 0)
			return system_ask(user.capitals[i], name, size);
	return ANSWER_NO;
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
user_ask(const char *key, char **name)
{
	struct remembered *r;

	*name = NULL;
	if (impossible(key))
		return ANSWER_NO;
	r = slot_of(key);
	if (r->until <= ev_now_ms() || strcmp(r->key, key) != 0) {
		r->until = 0;
		r->status = system_ask(key, r->name, sizeof(r->name));
		if (r->status == ANSWER_NO)
			r->status = capital_ask(key, r->name, sizeof(r->name));
		if (r->status == ANSWER_TEMPFAIL)
			return ANSWER_TEMPFAIL;
		snprintf(r->key, sizeof(r->key), "%s", key);
		r->until = ev_now_ms() + (r->status == ANSWER_YES ? YES_MS : NO_MS);
	}
	if (r->status == ANSWER_YES && strcmp(r->name, key) != 0)
		*name = xstrdup(r->name);
	return r->status;
}
