/*
 * conf: the configuration as every program sees it, and its one parser.
 *
 * conf_load (parent, posternd -n): reads the file and its includes, fills in what the host knows (hostname, domain,
 * resolvers, our addresses), parses, checks; all errors are reported with file, line and column. conf_text is that file in one piece,
 * which the parent hands to the children, who call conf_parse on it: the same text gives the same struct everywhere,
 * with the same indices of tables, actions and listeners. A struct conf is read-only after that.
 */
#ifndef CONF_H
#define CONF_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/log.h"

/* name in the file, field, unit, default. Sizes in bytes, times in ms (a pause may be 0), rates in events a minute, counts plain. */
#define CONF_LIMITS(X) \
	X("message-size",		MESSAGE_SIZE,	SIZE,	35 * 1024 * 1024) \
	X("recipients",			RECIPIENTS,	COUNT,	1000) \
	X("connections",		CONNECTIONS,	COUNT,	2000) \
	X("connections-per-client",	PER_CLIENT,	COUNT,	50) \
	X("connection-rate-per-client",	CONNECTION_RATE, RATE,	300) \
	X("rate-per-client",		RATE_CLIENT,	RATE,	200) \
	X("errors",			ERRORS,		COUNT,	20) \
	X("commands",			COMMANDS,	COUNT,	100000) /* that move no mail, in a session */ \
	X("hops",			HOPS,		COUNT,	100) \
	X("line-length",		LINE_LENGTH,	SIZE,	65536)	/* of a line in a message */ \
	X("command-timeout",		T_COMMAND,	TIME,	5 * 60 * 1000) \
	X("data-timeout",		T_DATA,		TIME,	10 * 60 * 1000)	/* silence within a message */ \
	X("data-rate",			DATA_RATE,	SIZE,	100)	/* least bytes a second, over a minute */ \
	X("greet-pause",		GREET_PAUSE,	PAUSE,	1000)	/* before the banner, for who is new here */ \
	X("progress-timeout",		T_PROGRESS,	TIME,	30 * 60 * 1000)	/* without a message taken */ \
	X("session-timeout",		T_SESSION,	TIME,	24 * 3600 * 1000) \
	X("first-uid",			FIRST_UID,	COUNT,	1000)	/* system accounts are below it */ \
	X("history",			HISTORY,	TIME,	7 * 24 * 3600 * 1000) \
	X("history-results",		HISTORY_RESULTS, COUNT,	1000000)

#define CONF_LIMIT_ENUM(name, id, unit, dflt) LIM_##id,
enum conf_limit { CONF_LIMITS(CONF_LIMIT_ENUM) LIM__MAX };

struct conf_listen {
	struct sockaddr_storage	 sa;		/* sa.ss_family AF_UNIX: the submission socket */
	socklen_t		 salen;
	char			*text;		/* "127.0.0.1:2525", "submit.sock" */
	char			*hostname, *tag, *banner;	/* hostname: never NULL after the check; others may be */
	bool			 normalise;
};

enum table_kind { TABLE_LIST, TABLE_MAP, TABLE_FILE };
struct conf_table {
	char		*name, *path;		/* path: TABLE_FILE */
	char		*owner;			/* of the file, beside root; NULL: nobody else */
	enum table_kind	 kind;
	char		**keys, **values;	/* inline ones; values[i] is NULL in a list */
	size_t		 n;
};

struct pattern {
	enum { PAT_NONE, PAT_WORD, PAT_SUFFIX, PAT_GLOB, PAT_TABLE } kind;
	bool		 negate;
	char		*text;			/* case folded */
	int		 table;			/* index, PAT_TABLE */
};

struct cidr {
	int		 family;
	uint8_t		 addr[16];
	unsigned	 bits;
};

enum action_kind { ACTION_MAILDIR, ACTION_RELAY, ACTION_DISCARD };
struct conf_via {			/* one smarthost */
	char		*host;			/* name, or address */
	uint16_t	 port;
	bool		 literal;		/* [HOST] or address: no MX look-up */
};
struct conf_action {
	char		*name;
	enum action_kind kind;
	char		*path;			/* maildir: as written */
	char		*user;			/* `user ACCOUNT`, or NULL */
	int		 users;			/* table index or -1 */
	struct conf_via	*via;
	size_t		 nvia;
	int		 pool;			/* relay: index or -1 */
};

struct conf_source {			/* where our connections come from */
	char		*name, *helo;		/* helo: NULL = the hostname */
	struct sockaddr_storage in4, in6;	/* ss_family 0: it has none */
};
struct conf_member { int source; unsigned weight; };
struct conf_pool {
	char		*name;
	struct conf_member *member;
	size_t		 nmember;		/* never 0 */
};

enum match_from { FROM_ANY, FROM_LOCAL, FROM_SOCKET, FROM_AUTH, FROM_TABLE, FROM_CIDR };
enum match_for { FOR_ANY, FOR_LOCAL, FOR_DOMAIN, FOR_RCPT };
enum match_verdict { VERDICT_ACTION, VERDICT_REJECT, VERDICT_DEFER };
struct conf_match {
	char		*file, *text;		/* where it stands, and as it was written, for explanations */
	unsigned	 line;
	enum match_from	 from;
	bool		 from_not;
	int		 from_table;
	struct cidr	 from_cidr;
	bool		 auth, tls;
	struct pattern	 helo, mail_from, tag;
	enum match_for	 for_;
	struct pattern	 for_pattern;
	enum match_verdict verdict;
	int		 action;		/* index, VERDICT_ACTION */
	char		*reply;			/* "550 5.7.1 text", else NULL = the default one */
};

struct conf_archive {
	struct pattern	 from, for_;		/* the reverse-path; any recipient */
	char		*to;
};

enum dest_kind { DEST_EXACT, DEST_SUFFIX, DEST_MX, DEST_MX_GLOB, DEST_ANY };
#define DEST_HAS_CONCURRENCY	1
#define DEST_HAS_RETRY		2
#define DEST_HAS_LIFETIME	4
#define DEST_HAS_DELAY_NOTICE	8
#define DEST_HAS_RATE		16
#define DEST_HAS_MESSAGES	32
#define DEST_HAS_RECIPIENTS	64
#define DEST_HAS_POOL		128
#define DEST_HAS_FAMILY		256
#define DEST_HAS_8BIT		512
#define DEST_KEYS		10		/* bits in use */
/* 8-bit mail to a host that does not offer 8BITMIME; what cannot be converted passes. */
enum eightbit { EIGHTBIT_CONVERT, EIGHTBIT_PASS, EIGHTBIT_BOUNCE };
struct conf_dest {
	enum dest_kind	 kind;
	char		*text;
	unsigned	 has;
	unsigned	 concurrency, messages, recipients;
	uint64_t	 rate;			/* messages an hour */
	uint64_t	 burst;			/* 0: by the rate */
	int		 pool, family;
	enum eightbit	 eightbit;
	uint64_t	 retry_min, retry_max, lifetime;	/* ms */
	uint64_t	 delay_notice;		/* ms; 0: never */
};

/* Kinds of mail that may have a schedule of their own. What is of two is of the last. */
enum mail_class { CLASS_NORMAL, CLASS_BULK, CLASS_BOUNCE, CLASS__N };

struct conf {
	uint32_t	 generation;
	char		*hostname, *domain, *spool, *runtime;
	char		*postmaster;		/* where root's and postmaster's mail goes; NULL: it is not said */
	enum log_kind	 log_kind;
	enum log_format	 log_format;
	enum log_level	 log_level;
	char		*log_path;
	char		**resolvers;		/* "127.0.0.1@5353"; none: the system's */
	size_t		 nresolvers;
	unsigned	 listeners;
	uint64_t	 limit[LIM__MAX];
	struct conf_listen *listen;		size_t nlisten;		/* the submission socket is always the last */
	struct conf_table *table;		size_t ntable;
	struct conf_dest *dest;			size_t ndest;
	struct conf_dest by_class[CLASS__N];	/* kind and text mean nothing */
	struct conf_source *source;		size_t nsource;
	struct conf_pool *pool;			size_t npool;
	struct conf_action *action;		size_t naction;
	struct conf_match *match;		size_t nmatch;
	struct conf_archive *archive;		size_t narchive;
	char		**local_addr;		size_t nlocal_addr;	/* our addresses, as text */
	char		*me;			/* not run by root: the account everything is delivered as; else NULL */
};

struct conf_error {				/* what a front end prints */
	char		*text;			/* "file:line:column: what; what to do" */
	bool		 warning;
};
struct conf_errors {
	struct conf_error *v;
	size_t		 n;
	size_t		 nerror;		/* without the warnings */
};

struct conf_define { const char *name, *value; };	/* posternd -D */

/* NULL if there is any error. *text gets the whole configuration for conf_parse. */
struct conf *conf_load(const char *file, const struct conf_define *, size_t ndefine, struct buf *text, struct conf_errors *);
struct conf *conf_parse(const char *text, size_t len, uint32_t generation, struct conf_errors *);
void	 conf_errors_free(struct conf_errors *);
void	 conf_free(struct conf *);

/* The values that hold for a destination, key by key. */
struct dest_policy {
	unsigned	 concurrency;		/* default 20 */
	unsigned	 messages;		/* on one connection; 0: any number */
	unsigned	 recipients;		/* of one transaction, default 100 */
	uint64_t	 rate, burst;		/* messages an hour; rate 0: any number */
	int		 pool;			/* index or -1 */
	int		 family;		/* AF_INET, AF_INET6, AF_UNSPEC: any */
	enum eightbit	 eightbit;
	uint64_t	 retry_min, retry_max, lifetime;	/* 5 min, 4 h, 5 d */
	uint64_t	 delay_notice;		/* 4 h; 0: never */
	/* The block that a shared bound comes from: all that it fits share it. NULL: each destination has its own. */
	const struct conf_dest *rate_by, *concurrency_by;
};
/*
 * For mail to that domain: by its name, else by that of its (best) MX. Where the action has smarthosts the first one stands for the MX,
 * whatever mx is, and a block may name it as a domain too. Action and mx are NULL if they are not known.
 */
struct dest_policy conf_policy(const struct conf *, const struct conf_action *, const char *domain, const char *mx);
/*
 * What a class of mail changes in that: its lifetime is an upper bound, its retry and delay-notice stand instead of the destination's. Bounces
 * wait for 2 d at most if `bounces` does not say otherwise, and nobody is told of their delay.
 */
void	 conf_policy_class(const struct conf *, enum mail_class, struct dest_policy *);
/* The block that one of its values comes from (key: DEST_HAS_...); NULL: none has that key. */
const struct conf_dest *conf_policy_by(const struct conf *, const struct conf_action *, const char *domain, const char *mx, unsigned key);
int	 conf_action(const struct conf *, const char *name);	/* index or -1 */
/* Hostname, domain, localhost, listeners' hostnames, our address literals, no domain at all. */
bool	 conf_is_local_domain(const struct conf *, const char *domain);
bool	 conf_is_own_address(const struct conf *, const struct sockaddr *);	/* loopback included */

#endif
