/*
 * params: the ESMTP parameters of MAIL and RCPT (RFC 5321 4.1.2, 1870, 6152, 6531, 3461), by table.
 */
#ifndef PARAMS_H
#define PARAMS_H

#include <stddef.h>

struct tx;

struct complaint {		/* code 0: none */
	unsigned	 code;
	const char	*dsn;
	const char	*text;
	enum { OF_NOTHING, OF_ADDRESS, OF_CLIENT } of;	/* what is rejected by it */
};

/* What follows the path; text is cut up. */
struct complaint params_mail(char *text, struct tx *);
/* orcpt gets "type;address", decoded; "" if there is none; size bytes. */
struct complaint params_rcpt(char *text, unsigned char *notify, char *orcpt, size_t size);

#endif
