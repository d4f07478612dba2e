/*
 * submit: messages by SMTP to the daemon's submission socket.
 *
 * Used by sendmail. Functions that can fail say why on standard error and give the exit code (sysexits).
 */
#ifndef SUBMIT_H
#define SUBMIT_H

#include <stdbool.h>
#include <stddef.h>
#include "base/buf.h"
#include "mail/reply.h"

struct submit {
	int		 fd;
	struct buf	 in;
	struct buf	 out;
	char		 server[256];		/* its name, from the greeting */
	char		 domain[256];		/* what completes addresses, "" if it does not say */
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
/*
 * One transaction, or several when there are more recipients than the daemon takes at once. 0 when it was queued for at least one
 * recipient; refused() is told each that was refused beside those, with the reply.
 */
typedef void submit_refused(void *arg, const char *rcpt, const struct reply *);
int	 submit_send(struct submit *, const struct submission *, submit_refused *, void *arg);
void	 submit_close(struct submit *);

/* What has been put into ->out leaves; the next reply is read, line() is given its lines. False: the connection is over. */
bool	 submit_flush(struct submit *);
bool	 submit_reply(struct submit *, struct reply *, void (*line)(void *, const char *));

#endif
