/*
 * envelope: is what a listener sent as an envelope fit to be kept? Pure code.
 *
 * Called by intake for each TX_BEGIN and TX_RCPT. A listener that is in its right mind never fails here: addresses were
 * parsed, values come from tables. So this is a wall, not a parser: lengths, control characters, ranges. Owns nothing.
 */
#include <string.h>
#include "mail/addr.h"
#include "spool/envelope.h"

#define TEXT_MAX	1024

static bool
plain(const char *s, size_t max)
{
	size_t i;

	for (i = 0; s[i] != '\0'; i++)
		if (i >= max || (unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return false;
	return true;
}

const char *
envelope_rcpts_fault(const struct p_env_rcpt *v, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (*v[i].addr == '\0' || !plain(v[i].addr, ADDR_PATH_MAX) ||
		    !plain(v[i].orig, ADDR_PATH_MAX) || !plain(v[i].sender, ADDR_PATH_MAX))
			return "a recipient's address";
		if (!plain(v[i].orcpt, TEXT_MAX) || v[i].notify > 15)
			return "a recipient's parameters";
		if (*v[i].action == '\0' || !plain(v[i].action, TEXT_MAX) || !plain(v[i].trail, TEXT_MAX))
			return "a recipient's action";
	}
	return NULL;
}

const char *
envelope_fault(const struct p_env *e)
{
	const char *const text[] = { e->envid, e->client_addr, e->client_name, e->helo, e->proto, e->user, e->tag };
	size_t i;

	if (e->version != 1)
		return "its version";
	if (!plain(e->sender, ADDR_PATH_MAX))
		return "the sender";
	for (i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		if (!plain(text[i], TEXT_MAX))
			return "a text";
	if (e->ret > RET_HDRS || e->body > BODY_NONE || e->smtputf8 > 1)
		return "a parameter";
	if (e->parent != 0 || e->birth != 0)
		return "its birth";
	return envelope_rcpts_fault(e->rcpts, e->rcpts_n);
}
