/*
 * addr: the grammar of paths and addresses (RFC 5321 4.1.2 and 4.1.3, RFC 6531 3.3).
 *
 * Called by the listener, match, deliver, the agent and sendmail; owns nothing. What is wrong with an address is returned
 * in words that fit behind "501 5.1.3 "; nothing here can fail otherwise.
 */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>
#include "mail/addr.h"

#define LABEL_MAX	63	/* RFC 1035; of a label without UTF-8, whose A-label only the DNS side knows */
#define NAME_MAX_DNS	253	/* what 255 octets on the wire leave for text */

struct cur {
	const char	*p, *e;
};

/* What each kind of path may be. */
static const struct {
	bool	brackets, null, postmaster, local;
} kinds[] = {
	[ADDR_REVERSE] = { .brackets = true, .null = true },
	[ADDR_FORWARD] = { .brackets = true, .postmaster = true },
	[ADDR_BARE] = { .local = true },
};

static bool
is_alnum(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

/* atext of RFC 5322, and UTF-8 (checked as a whole at the end). */
static bool
is_atext(unsigned char c)
{
	return is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static bool
is_ldh(unsigned char c)
{
	return is_alnum(c) || c == '-' || c == '_';
}

static bool
at(const struct cur *c, char want)
{
	return c->p < c->e && *c->p == want;
}

static bool
take(struct cur *c, char want)
{
	if (!at(c, want))
		return false;
	c->p++;
	return true;
}

static size_t
span(struct cur *c, bool (*is)(unsigned char))
{
	const char *start = c->p;

	while (c->p < c->e && is((unsigned char)*c->p))
		c->p++;
	return (size_t)(c->p - start);
}

static bool
is_local(unsigned char c)
{
	return is_atext(c) || c == '.';
}

/* Dot-string = Atom *("." Atom); dots at its ends and in pairs are seen in the field, and passed on as they came. */
static const char *
dot_string(struct cur *c)
{
	if (span(c, is_local) > 0)
		return NULL;
	if (c->p == c->e || at(c, '@') || at(c, '>'))
		return "the local part is missing";
	return "invalid character in the local part";
}

/* Quoted-string = DQUOTE *(qtextSMTP / "\" %d32-126) DQUOTE */
static const char *
quoted_string(struct cur *c)
{
	unsigned char ch;

	c->p++;
	while (c->p < c->e) {
		ch = (unsigned char)*c->p++;
		if (ch == '"')
			return NULL;
		if (ch == '\\') {
			if (c->p == c->e)
				break;
			ch = (unsigned char)*c->p++;
			if (ch >= 0x80)
				return "only ASCII may follow a backslash";
		}
		if (ch < ' ' || ch == 0x7f)
			return "control character in the address";
	}
	return "the quoted string has no end";
}

/* sub-domain = Let-dig [Ldh-str], and the underscores of the field. */
static const char *
label(struct cur *c, bool first)
{
	const char *start = c->p;
	size_t n = span(c, is_ldh), i;

	if (n == 0 && c->p < c->e && *c->p != '.' && *c->p != '>' && *c->p != '@' && *c->p != ':' && *c->p != ',')
		return "invalid character in the domain";
	if (n == 0)
		return first && !at(c, '.') ? "the domain is missing" : "misplaced dot in the domain";
	if (start[0] == '-' || c->p[-1] == '-')
		return "a part of the domain begins or ends with a hyphen";
	for (i = 0; i < n && (unsigned char)start[i] < 0x80; i++)
		;
	if (i == n && n > LABEL_MAX)
		return "a part of the domain is too long";
	return NULL;
}

/* Domain = sub-domain *("." sub-domain) */
static const char *
domain_name(struct cur *c)
{
	const char *start = c->p, *why;
	bool first = true;

	do {
		if ((why = label(c, first)) != NULL)
			return why;
		first = false;
	} while (take(c, '.'));
	return c->p - start > ADDR_DOMAIN_MAX ? "the domain is too long" : NULL;
}

/* IPv6-comp: "::" stands for two groups at least, so six others are the most (4.1.3); an IPv4 address at the end is two. */
static bool
too_many_groups(const char *s)
{
	unsigned n = strchr(s, '.') != NULL ? 1 : 0;

	if (strstr(s, "::") == NULL)
		return false;
	while (*s != '\0') {
		n += *s != ':';
		s += *s == ':' ? 1 : strcspn(s, ":");
	}
	return n > 6;
}

/* address-literal = "[" ( IPv4-address-literal / "IPv6:" IPv6-addr ) "]" */
static const char *
address_literal(struct cur *c)
{
	static const char tag[] = "IPv6:";
	const char *close = memchr(c->p, ']', (size_t)(c->e - c->p)), *s = c->p + 1;
	char text[INET6_ADDRSTRLEN];
	unsigned char bin[16];
	int family = AF_INET;
	size_t n;

	if (close == NULL)
		return "the address literal has no end";
	if ((size_t)(close - s) >= sizeof tag - 1 && strncasecmp(s, tag, sizeof tag - 1) == 0) {
		family = AF_INET6;
		s += sizeof tag - 1;
	}
	n = (size_t)(close - s);
	if (n >= sizeof text || memchr(s, '\0', n) != NULL)
		return "invalid address literal";
	memcpy(text, s, n);
	text[n] = '\0';
	if (inet_pton(family, text, bin) != 1 || (family == AF_INET6 && too_many_groups(text)))
		return "invalid address literal";
	c->p = close + 1;
	return NULL;
}

/* A-d-l = "@" Domain *("," "@" Domain), and its ":"; dropped. */
static const char *
source_route(struct cur *c)
{
	const char *why;

	do {
		if (!take(c, '@'))
			return "malformed source route";
		if ((why = domain_name(c)) != NULL)
			return why;
	} while (take(c, ','));
	if (at(c, '>') || c->p == c->e)
		return "the local part is missing";
	return take(c, ':') ? NULL : "malformed source route";
}

/* Mailbox = Local-part "@" ( Domain / address-literal ). *dom: where the domain is; where the text ends if there is none. */
static const char *
mailbox(struct cur *c, struct addr *a, const char **dom)
{
	const char *why;

	a->quoted = at(c, '"');
	if ((why = a->quoted ? quoted_string(c) : dot_string(c)) != NULL)
		return why;
	*dom = c->p;
	if (!take(c, '@'))
		return NULL;
	*dom = c->p;
	a->literal = at(c, '[');
	if ((why = a->literal ? address_literal(c) : domain_name(c)) != NULL)
		return why;
	if (at(c, '@'))
		return "more than one @";
	return at(c, '.') ? "misplaced dot in the domain" : NULL;
}

static bool
is_postmaster(const char *s, size_t n)
{
	return n == 10 && strncasecmp(s, "postmaster", 10) == 0;
}

/* What is behind the mailbox, and whether this kind of path may lack a domain. */
static const char *
path_end(struct cur *c, enum addr_kind kind, bool routed, const char *start, const char *dom)
{
	const char *end = c->p;

	if (kinds[kind].brackets) {
		if (c->p == c->e)
			return "the closing > is missing";
		if (!take(c, '>'))
			return "invalid character in the address";
	} else if (c->p < c->e)
		return "invalid character in the address";
	if (end - start > ADDR_PATH_MAX)
		return "the address is too long";
	if (dom < end || kinds[kind].local)
		return NULL;
	if (kinds[kind].postmaster && !routed && is_postmaster(start, (size_t)(end - start)))
		return NULL;
	return "the domain is missing";
}

static const char *
path(struct cur *c, enum addr_kind kind, struct addr *a)
{
	const char *start, *end, *dom, *why;
	bool routed;

	if (kinds[kind].brackets && !take(c, '<'))
		return "an address stands in angle brackets";
	if (kinds[kind].brackets && at(c, '>')) {
		a->null = true;
		c->p++;
		return kinds[kind].null ? NULL : "the address is empty";
	}
	routed = kinds[kind].brackets && at(c, '@');
	if (routed && (why = source_route(c)) != NULL)
		return why;
	start = c->p;
	if ((why = mailbox(c, a, &dom)) != NULL)
		return why;
	end = c->p;
	if ((why = path_end(c, kind, routed, start, dom)) != NULL)
		return why;
	memcpy(a->text, start, (size_t)(end - start));
	a->domain = (size_t)(dom - start);
	return NULL;
}

const char *
addr_parse(const char *s, size_t n, enum addr_kind kind, struct addr *a, size_t *used)
{
	struct cur c = { s, s + n };
	const char *why;
	size_t i;

	memset(a, 0, sizeof *a);
	*used = 0;
	if ((why = path(&c, kind, a)) != NULL)
		return why;
	*used = (size_t)(c.p - s);
	for (i = 0; i < *used; i++)
		a->utf8 = a->utf8 || (unsigned char)s[i] >= 0x80;
	return a->utf8 && !utf8_clean(s, *used) ? "the address is not valid UTF-8" : NULL;
}

bool
addr_valid_domain(const char *s, bool literal_too)
{
	struct cur c = { s, s + strlen(s) };
	const char *p;

	if (at(&c, '['))
		return literal_too && address_literal(&c) == NULL && c.p == c.e;
	for (p = s; p < c.e; p++)
		if ((unsigned char)*p >= 0x80)
			return false;
	return c.e - s <= NAME_MAX_DNS && domain_name(&c) == NULL && c.p == c.e;
}
