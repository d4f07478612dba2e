/*
 * addr: RFC 5321 paths and addresses, RFC 6531 internationalized ones. Pure code.
 *
 * Used by the listener (MAIL, RCPT, VRFY), match, deliver, agent, sendmail. Text that is kept is what the client wrote,
 * without the angle brackets and without a source route; nothing is folded in it.
 */
#ifndef ADDR_H
#define ADDR_H

#include <stdbool.h>
#include <stddef.h>

#define ADDR_DOMAIN_MAX	255
#define ADDR_PATH_MAX	254	/* local@domain: a path of 256 less its brackets */
#define ADDR_LOCAL_MAX	ADDR_PATH_MAX	/* longer ones than the 64 octets of RFC 5321 4.5.3.1.1 are in use */

struct addr {
	char	text[ADDR_PATH_MAX + 1];	/* local@domain, "Postmaster", or "" for <> */
	size_t	domain;				/* offset of the domain in text; strlen(text) if there is none */
	bool	null;				/* <> */
	bool	quoted;				/* the local part is a quoted string */
	bool	literal;			/* the domain is an address literal */
	bool	utf8;				/* needs SMTPUTF8 */
};

enum addr_kind {
	ADDR_REVERSE,		/* MAIL FROM: <> allowed */
	ADDR_FORWARD,		/* RCPT TO: <Postmaster> allowed */
	ADDR_BARE		/* no brackets, bare local part allowed (command lines, tables) */
};

/*
 * Parses a path at s (n bytes; not NUL-terminated). *used gets the bytes taken (up to and with '>'). NULL, or what is wrong
 * in words for the reply. Source routes are accepted and dropped (4.1.1.3); a domain is a dot-atom of valid labels
 * (letters, digits, hyphens, underscores inside names seen in the field, UTF-8), or an IPv4 / IPv6: literal whose content
 * is checked. A dot at the end of the domain is an error; in the local part dots stand where they like, as in the field.
 */
const char *addr_parse(const char *s, size_t n, enum addr_kind, struct addr *, size_t *used);

/*
 * The local part for look-ups: unquoted, ASCII folded. cut_tag: from the first '+' (not at the start) on it is cut off.
 * size >= ADDR_LOCAL_MAX + 1.
 */
void	addr_key(const char *text, char *user, size_t size, bool cut_tag);
/* Domain of local@domain (text may have a quoted local part), "" if none. Points into text. */
const char *addr_domain(const char *text);
/* What stands between < and >, or else all of it: *n bytes of it. Points into text. */
const char *addr_inside(const char *text, size_t *n);
/* A domain name that is fit for EHLO and for the DNS: labels, lengths. Address literals too if allowed. */
bool	addr_valid_domain(const char *, bool literal_too);
/*
 * value with '/', '%', a leading dot and control characters as %XX, folded to lower case: a safe file name part that no other
 * value has ("" is "%00"). 3 * strlen(value) + 4 bytes are always enough; false when it did not fit: out is then no file name.
 */
bool	addr_path_encode(const char *value, char *out, size_t size);
/* RFC 3461 xtext: decode into out (NUL-terminated); false when malformed, too long, or decoding to a control character. */
bool	xtext_decode(const char *s, size_t n, char *out, size_t size);
void	xtext_encode(const char *s, char *out, size_t size);
/* RFC 6533 utf-8-addr-xtext: what is not ASCII as \x{HEX}, and back. For addresses of the type utf-8. */
void	addr_utf8_escape(const char *s, char *out, size_t size);
void	addr_utf8_unescape(const char *s, char *out, size_t size);
bool	utf8_valid(const char *s, size_t n);
bool	utf8_clean(const char *s, size_t n);	/* valid, and no control character (C0, DEL, C1) */

#endif
