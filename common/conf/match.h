/*
 * match: which rule takes a recipient. Pure code: facts in, verdict out, no socket and no table look-up.
 *
 * Used by the listener at RCPT and by the queue for mail that Postern makes itself or that lost its action at a reload.
 * Look-ups are answered by the caller: match_rcpt asks struct answers; what is not known there yet is noted as an open question,
 * the result is MATCH_NEED, and the caller sends the questions to lookup, fills in the answers and calls again.
 */
#ifndef MATCH_H
#define MATCH_H

#include <stdbool.h>
#include <sys/socket.h>
#include "mail/addr.h"
#include "conf/conf.h"
#include "proc/msg.h"

struct match_facts {
	const struct sockaddr	*client;	/* NULL with socket */
	bool			 socket, auth, tls;
	const char		*helo, *mail_from, *tag;	/* "" if none */
};

/* Questions and what is known of them; owned by the session (or job), emptied with answers_free. */
struct answer {
	enum ask_kind		 kind;
	uint16_t		 table;
	char			*key;
	enum { Q_OPEN, Q_ASKED, Q_KNOWN } state;
	enum answer_status	 status;
	char			*value;
};
struct answers {			/* all zero: none */
	struct answer		*v;
	size_t			 n, cap;
	size_t			 open;		/* how many Q_OPEN: to be sent */
	size_t			 asked;		/* how many Q_ASKED */
	size_t			 next_open, next_asked;	/* none stands before these */
	uint32_t		*slot;		/* hash of v: index + 1, 0 = free */
	size_t			 nslot;
};
void	 answers_free(struct answers *);
/*
 * The open questions as one message (strings borrowed), each now Q_ASKED. Free .questions with free(). As many as a frame holds:
 * call again while .open is not 0.
 */
struct p_ask answers_ask(struct answers *, uint32_t generation);
/* The answer to the asked ones, in order of asking. -1 if the count does not fit. */
int	 answers_take(struct answers *, const struct p_answer *);

enum match_of { MATCH_OF_RCPT, MATCH_OF_SENDER, MATCH_OF_HELO, MATCH_OF_CLIENT, MATCH_OF_NOTHING };
enum match_result { MATCH_OK, MATCH_REFUSED, MATCH_NEED };
struct match {
	int		 action;		/* index */
	unsigned	 code;			/* MATCH_REFUSED: reply */
	char		 dsn[12];
	char		 text[256];		/* without code and dsn */
	enum match_of	 of;			/* what is refused by it */
	bool		 own;			/* the text is a rule's own, to be told as it is */
	char		 account[256];		/* MATCH_OK, maildir: whose mailbox (system account); "" otherwise */
	char		 to[ADDR_PATH_MAX + 1];	/* MATCH_OK: the address that it goes to in place of the one asked for; "": that one */
	bool		 held;			/* MATCH_OK: nobody is there for it: it waits in the queue (action is -1) */
	const struct conf_match *rule;		/* the one that said so, of that configuration; NULL: none matched */
};

/*
 * addr is local@domain, or a bare local part. Beside the rules it knows what the action itself refuses (550 5.1.1 for an
 * unknown account or a name not in `users`), 451 4.4.3 when a look-up failed, 550 5.7.1 when no rule matches, and
 * that <Postmaster> and postmaster at local domains always exist: they go where root goes, by `postmaster ADDRESS`, to a mailbox
 * of an action that has a `user`, or are held.
 */
enum match_result match_rcpt(const struct conf *, const struct match_facts *, const char *addr, struct answers *, struct match *);

/* Would mail for root and postmaster be held? me: as the account that runs us, who may have any mailbox. */
bool	 match_holds_postmaster(const struct conf *, bool me);

/* Does a rule with that action name the account as a recipient? Then it may have mail, though it is the system's. */
bool	 match_names_account(const struct conf *, const struct conf_action *, const char *account);

/* Pattern against a word or (address pattern) user@domain; for PAT_TABLE asks. *yes is set unless MATCH_NEED/REFUSED(tempfail). */
enum match_result match_pattern(const struct pattern *, const char *value, enum ask_kind, struct answers *, bool *yes);
bool	 cidr_match(const struct cidr *, const struct sockaddr *);
bool	 cidr_parse(const char *, struct cidr *);
bool	 glob_match(const char *glob, const char *text);

#endif
