/*
 * sendmail: what the files of the sendmail program share: the command line as read, and the message as made.
 */
#ifndef SENDMAIL_H
#define SENDMAIL_H

#include <stdbool.h>
#include <stddef.h>
#include "submit.h"

struct strings {
	char	**v;
	size_t	  n, cap;
};
void	 strings_add(struct strings *, const char *);

enum mode { MODE_SEND, MODE_LIST, MODE_ALIASES, MODE_RUN, MODE_NOTHING };

struct options {
	enum mode	 mode;
	const char	*run;			/* MODE_RUN: what is tried now, as posternctl queue retry has it */
	bool		 from_header;		/* -t */
	bool		 dot_is_text;		/* -i */
	const char	*sender;		/* -f: NULL: the caller; "": <> */
	const char	*full_name;		/* -F */
	const char	*notify, *ret, *envid;	/* -N, -R, -V; NULL if not given */
	struct strings	 rcpts;
};
/* Reads the command line; ends with EX_USAGE on what cannot be meant. */
void	 options_read(struct options *, int argc, char **argv);

struct message {
	struct buf	 text;			/* CRLF line ends, not dot-stuffed */
	struct strings	 rcpts;			/* from the header, when asked for */
	bool		 eightbit;		/* a byte over 0x7f */
	bool		 utf8_header;		/* such bytes in the header, and they are UTF-8 */
};
/* Standard input to its end (or a lone dot). Ends with EX_IOERR or EX_DATAERR when it cannot be read. */
void	 message_read(struct message *, bool dot_is_text);
/*
 * Takes the header to pieces: removes Bcc, adds From, Date and Message-ID (Resent- likewise) where they are missing, and
 * collects the recipients if asked to.
 */
struct message_facts {
	const char	*from;			/* the From: to add, complete */
	const char	*domain;		/* for Message-ID */
	bool		 collect;
};
void	 message_complete(struct message *, const struct message_facts *);
/* Who was refused beside those that were accepted, for the sender. */
struct report {
	struct buf	 words, status;		/* what people read, what programs read */
	bool		 utf8;
};
void	 report_refused(void *report, const char *rcpt, const struct reply *);
/* Sends it, if there is something to tell and somebody to tell it to, and empties it. 0, or an exit code. */
int	 report_send(struct report *, const struct submission *, const char *domain);

/* "Full Name <address>", quoted or encoded as its characters need. Freed by the caller. */
char	*message_mailbox(const char *full_name, const char *address);

#endif
