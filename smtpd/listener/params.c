/*
 * params: see params.h.
 *
 *	esmtp-param = esmtp-keyword ["=" esmtp-value]
 *	esmtp-keyword = ( ALPHA / DIGIT ) *( ALPHA / DIGIT / "-" )
 *	esmtp-value = 1*( %d33-60 / %d62-126 )		; and UTF-8, RFC 6531
 *
 * Called by cmd_mail and cmd_rcpt; owns nothing. A parameter that comes twice, lacks its value or has a wrong one is 501 5.5.4, one
 * that is not in the table 555 5.5.4.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mail/addr.h"
#include "proc/msg.h"
#include "listener/params.h"
#include "listener/tx.h"
#include "base/xmalloc.h"

#define ENVID_MAX	100	/* RFC 3461 4.4 */
#define ORCPT_MAX	500	/* RFC 3461 4.2 */

struct rcpt_params {
	unsigned char	*notify;
	char		*orcpt;
	size_t		 size;
};

struct param {
	const char	*name;
	bool		 value;				/* has one; otherwise must not */
	bool		(*set)(void *, const char *);	/* false: a wrong value */
	const char	*wrong;				/* what a client is told then */
};

/* ---- values ---- */

/* A word of a list of choices -> its number, or -1. */
static int
choice(const char *value, size_t n, const char *const *words, size_t nwords)
{
	size_t i;

	for (i = 0; i < nwords; i++)
		if (words[i] != NULL && strlen(words[i]) == n && strncasecmp(value, words[i], n) == 0)
			return (int)i;
	return -1;
}

static bool
set_size(void *arg, const char *value)
{
	struct tx *tx = arg;
	size_t n = strspn(value, "0123456789");

	if (value[n] != '\0' || n > 20)
		return false;
	tx->size = n > 18 ? UINT64_MAX : strtoull(value, NULL, 10);
	return true;
}

static bool
set_body(void *arg, const char *value)
{
	static const char *const words[] = { [BODY_7BIT] = "7BIT", [BODY_8BITMIME] = "8BITMIME" };
	int n = choice(value, strlen(value), words, 2);

	if (n == -1)
		return false;
	((struct tx *)arg)->body = (uint8_t)n;
	return true;
}

static bool
set_smtputf8(void *arg, const char *value)
{
	(void)value;
	((struct tx *)arg)->smtputf8 = true;
	return true;
}

static bool
set_ret(void *arg, const char *value)
{
	static const char *const words[] = { [RET_FULL] = "FULL", [RET_HDRS] = "HDRS" };
	int n = choice(value, strlen(value), words, 3);

	if (n == -1)
		return false;
	((struct tx *)arg)->ret = (uint8_t)n;
	return true;
}

static bool
printable(const char *s, char from)
{
	for (; *s != '\0'; s++)
		if (*s < from || *s > 126)
			return false;
	return true;
}

/* RFC 3461 4.4: blanks are encoded. Kept decoded, like ORCPT: whoever passes it on encodes it again. */
static bool
set_envid(void *arg, const char *value)
{
	struct tx *tx = arg;
	char plain[ENVID_MAX + 1];

	if (!printable(value, '!') || strlen(value) > ENVID_MAX || !xtext_decode(value, strlen(value), plain, sizeof(plain)) ||
	    !printable(plain, ' '))
		return false;
	tx->envid = xstrdup(plain);
	return true;
}

/* "NEVER" alone, or a list of the others. */
static bool
set_notify(void *arg, const char *value)
{
	static const char *const words[] = { "NEVER", "SUCCESS", "FAILURE", "DELAY" };
	struct rcpt_params *p = arg;
	unsigned set = 0, bit;
	size_t n;
	int word;

	for (;; value += n + 1) {
		n = strcspn(value, ",");
		if ((word = choice(value, n, words, 4)) == -1)
			return false;
		bit = 1u << word;
		if (set & bit)
			return false;
		set |= bit;
		if (value[n] == '\0')
			break;
	}
	if ((set & NOTIFY_NEVER) && set != NOTIFY_NEVER)
		return false;
	*p->notify = (unsigned char)set;
	return true;
}

/* original-recipient-address = atom ";" xtext */
static bool
set_orcpt(void *arg, const char *value)
{
	struct rcpt_params *p = arg;
	char plain[ORCPT_MAX + 1];
	size_t n = strcspn(value, ";");

	if (n == 0 || value[n] == '\0' || value[n + 1] == '\0' || strlen(value) > ORCPT_MAX || strlen(value) >= p->size ||
	    strcspn(value, "()<>@,:\\\".[]+= ") < n)
		return false;
	if (!utf8_valid(value, strlen(value)) || !xtext_decode(value + n + 1, strlen(value + n + 1), plain, sizeof(plain)))
		return false;
	snprintf(p->orcpt, p->size, "%.*s;%s", (int)n, value, plain);
	return true;
}

/* ---- the tables ---- */

static const struct param mail_params[] = {
	{ "SIZE",	true,	set_size,	"SIZE= wants a number of bytes" },
	{ "BODY",	true,	set_body,	"BODY= is 7BIT or 8BITMIME" },
	{ "SMTPUTF8",	false,	set_smtputf8,	"SMTPUTF8 has no value" },
	{ "RET",	true,	set_ret,	"RET= is FULL or HDRS" },
	{ "ENVID",	true,	set_envid,	"ENVID= wants printable characters as xtext, 100 at most" },
};
static const struct param rcpt_params[] = {
	{ "NOTIFY",	true,	set_notify,	"NOTIFY= is NEVER, or a list of SUCCESS, FAILURE and DELAY" },
	{ "ORCPT",	true,	set_orcpt,	"ORCPT= wants a type, a semicolon and an address as xtext" },
};

static const struct complaint none = { 0, NULL, NULL, OF_NOTHING };
static const struct complaint malformed = { 501, "5.5.4", "malformed parameter", OF_NOTHING };
static const struct complaint unknown = { 555, "5.5.4", "parameter not recognized", OF_NOTHING };
static const struct complaint twice = { 501, "5.5.4", "a parameter was given twice", OF_NOTHING };

static bool
well_formed(const char *name, size_t n, const char *value)
{
	size_t i;

	if (n == 0 || name[0] == '-')
		return false;
	for (i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '-')
			return false;
	if (value == NULL)
		return true;
	if (*value == '\0')
		return false;
	for (; *value != '\0'; value++)
		if (*value == '=' || (unsigned char)*value < 33 || *value == 127)
			return false;
	return true;
}

static struct complaint
one(const struct param *table, size_t count, char *word, void *target, unsigned *seen)
{
	size_t n = strcspn(word, "="), i;
	const char *value = word[n] == '=' ? word + n + 1 : NULL;

	if (!well_formed(word, n, value))
		return malformed;
	for (i = 0; i < count; i++)
		if (strlen(table[i].name) == n && strncasecmp(table[i].name, word, n) == 0)
			break;
	if (i == count)
		return unknown;
	if (*seen & 1u << i)
		return twice;
	*seen |= 1u << i;
	if (table[i].value != (value != NULL) || !table[i].set(target, value))
		return (struct complaint){ 501, "5.5.4", table[i].wrong, OF_NOTHING };
	return none;
}

static struct complaint
all(const struct param *table, size_t count, char *text, void *target)
{
	struct complaint c = none;
	unsigned seen = 0;
	char *word;

	while (c.code == 0 && (word = strsep(&text, " \t")) != NULL)
		if (*word != '\0')
			c = one(table, count, word, target, &seen);
	return c;
}

struct complaint
params_mail(char *text, struct tx *tx)
{
	return all(mail_params, sizeof(mail_params) / sizeof(mail_params[0]), text, tx);
}

struct complaint
params_rcpt(char *text, unsigned char *notify, char *orcpt, size_t size)
{
	struct rcpt_params p = { notify, orcpt, size };

	*notify = NOTIFY_DEFAULT;
	*orcpt = '\0';
	return all(rcpt_params, sizeof(rcpt_params) / sizeof(rcpt_params[0]), text, &p);
}
