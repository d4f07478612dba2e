/*
 * conf_covers: which rules can never be reached, since one above takes all that they would.
 *
 * Called by conf_check. Pure code. Condition is held against condition; where that does not tell (two globs, two tables) the answer is no, so
 * that what is said is true.
 */
#include <string.h>
#include "mail/addr.h"
#include "conf/conf_parse.h"
#include "conf/match_word.h"

static bool
same_pattern(const struct pattern *a, const struct pattern *b)
{
	return a->kind == b->kind && a->negate == b->negate && a->table == b->table &&
	    (a->kind == PAT_NONE || a->kind == PAT_TABLE || strcmp(a->text, b->text) == 0);
}

static bool
is_star(const struct pattern *a)
{
	return a->kind == PAT_GLOB && !a->negate && a->text[strspn(a->text, "*")] == '\0';
}

/* Does what fits b always fit a? Of addresses a pattern without @ means the domain. */
static bool
pattern_covers(const struct pattern *a, const struct pattern *b, bool address)
{
	const char *of = b->text;

	if (a->kind == PAT_NONE || same_pattern(a, b) || (is_star(a) && b->kind != PAT_NONE))
		return true;
	if (a->negate || b->negate || a->kind == PAT_TABLE || (b->kind != PAT_WORD && b->kind != PAT_SUFFIX))
		return false;
	if (address && strcmp(of, "<>") == 0)
		return false;
	if (address && strchr(a->text, '@') == NULL && strchr(of, '@') != NULL)
		of = addr_domain(of);
	else if (address && (strchr(a->text, '@') != NULL) != (strchr(of, '@') != NULL))
		return false;
	if (b->kind == PAT_SUFFIX)	/* .b.example is below .example; as a name it stands for all below it */
		return a->kind == PAT_SUFFIX && pattern_word(a, of);
	return pattern_word(a, of);
}

static bool
cidr_covers(const struct cidr *a, const struct cidr *b)
{
	unsigned bytes = a->bits / 8, rest = a->bits % 8;

	return a->family == b->family && a->bits <= b->bits && memcmp(a->addr, b->addr, bytes) == 0 &&
	    (rest == 0 || ((a->addr[bytes] ^ b->addr[bytes]) >> (8 - rest)) == 0);
}

static bool
from_covers(const struct conf_match *a, const struct conf_match *b)
{
	if (a->from == FROM_ANY)
		return true;
	if (a->from == FROM_AUTH && !a->from_not)
		return b->auth || (b->from == FROM_AUTH && !b->from_not);
	if (a->from_not != b->from_not)
		return false;
	if (a->from == FROM_CIDR && b->from == FROM_CIDR)
		return a->from_not ? cidr_covers(&b->from_cidr, &a->from_cidr) : cidr_covers(&a->from_cidr, &b->from_cidr);
	if (!a->from_not && a->from == FROM_LOCAL && b->from == FROM_SOCKET)
		return true;
	return a->from == b->from && a->from_table == b->from_table;
}

static bool
for_covers(const struct conf *c, const struct conf_match *a, const struct conf_match *b)
{
	if (a->for_ == FOR_ANY)
		return true;
	if (a->for_ == FOR_LOCAL)
		return b->for_ == FOR_LOCAL || (b->for_ == FOR_DOMAIN && b->for_pattern.kind == PAT_WORD && !b->for_pattern.negate &&
		    conf_is_local_domain(c, b->for_pattern.text));
	if (a->for_ == FOR_RCPT || b->for_ == FOR_DOMAIN)
		return a->for_ == b->for_ && pattern_covers(&a->for_pattern, &b->for_pattern, a->for_ == FOR_RCPT);
	return b->for_ == FOR_RCPT && b->for_pattern.kind == PAT_WORD && strchr(b->for_pattern.text, '@') != NULL &&
	    pattern_covers(&a->for_pattern, &b->for_pattern, true);
}

bool
conf_covers(const struct conf *c, const struct conf_match *a, const struct conf_match *b)
{
	bool b_auth = b->auth || (b->from == FROM_AUTH && !b->from_not);

	return (!a->auth || b_auth) && (!a->tls || b->tls) && pattern_covers(&a->helo, &b->helo, false) &&
	    pattern_covers(&a->mail_from, &b->mail_from, true) && pattern_covers(&a->tag, &b->tag, false) && from_covers(a, b) &&
	    for_covers(c, a, b);
}
