/*
 * submit: one message by SMTP to the daemon's submission socket.
 *
 * Used by sendmail. Functions that can fail say why on standard error and give the exit code (sysexits).
 */
#ifndef SUBMIT_H
#define SUBMIT_H

#include <stdbool.h>
#include <stddef.h>
#include "buf.h"

struct submit {
	int		 fd;
	struct buf	 in;
	struct buf	 out;
	char		 server[256];		/* its name, from the greeting */
	bool		 eightbit, smtputf8, dsn;
	unsigned long	 rcpt_max;		/* 0: it does not say */
};

struct submission {
	const char	*sender;		/* "" for <> */
	char		*const *rcpts;
	size_t		 nrcpts;
	const struct buf *text;
	bool		 eightbit, utf8;	/* what the message needs */
	const char	*notify, *ret, *envid;	/* or NULL */
};

/* Connects, reads the greeting, says EHLO. 0, or an exit code. */
int	 submit_open(struct submit *, const char *runtime);
/* One transaction. 0 when it was queued for at least one recipient. */
int	 submit_send(struct submit *, const struct submission *);
void	 submit_close(struct submit *);

#endif
