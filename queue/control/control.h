/*
 * control: the server of the control socket (posternctl, mailq).
 *
 * Used by main. The protocol: the client sends one line of words separated by TAB, ended by LF: "text" or "json", the verb, its
 * arguments. The answer is lines for it to print, each behind one byte (' ' standard output, '!' standard error), and last
 * "=N": the exit code. Then the connection closes. Verbs are in the table of control_verbs.c.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include <sys/queue.h>
#include <sys/types.h>
#include "index/index.h"
#include "proc/io.h"

#define CONTROL_LINE	4096		/* most bytes of a client's line */
#define CONTROL_WORDS	320		/* more than queue ids fit into it */
#define CONTROL_CLIENTS	64
#define CONTROL_SLICE	5		/* ms of a turn that queries may take */
#define CONTROL_HIGH	(256 * 1024)	/* unsent answer at which a query waits */
#define CONTROL_USER_HIGH (2 * CONTROL_HIGH)	/* the same, of all connections of one user */

enum rights { MAY_OWN, MAY_READ, MAY_ALL };

struct client {
	TAILQ_ENTRY(client)	 link;
	struct io		*io;
	uint32_t		 number;
	uid_t			 uid;
	enum rights		 rights;
	bool			 json;
	bool			 waits;		/* for the parent's answer to a reload */
	bool			 closing;
	/* A query that goes on in the next turn; true: it is done. */
	bool			(*step)(struct client *);
	uint64_t		 ticket;	/* ... that waits until these rows are written (rows.h) */
	uint64_t		 errand;	/* ... until that is done (errand.h) */
	uint64_t		 stored;	/* ... and until the index is on the disk up to there (index.h) */
	/* its state */
	uint64_t		 id, at, count, bytes;
	void			*query;		/* of its verb; freed by drop when the client goes */
	void			(*drop)(void *);
	const char		*sub;		/* the second word of its verb; NULL: it has none */
};

/* ---- for main ---- */
void	 control_init(struct spool *, struct index *);
void	 control_run(void);			/* a step of the main loop: the queries go on, 5 ms of them */
void	 control_end(void);
struct spool *control_spool(void);
struct index *control_index(void);

/* ---- for the verbs ---- */
void	 say(struct client *, const char *, ...) __attribute__((format(printf, 2, 3)));		/* a line for standard output */
void	 complain(struct client *, const char *, ...) __attribute__((format(printf, 2, 3)));	/* for standard error */
void	 say_buf(struct client *, struct buf *);	/* a line that is ready; empties it */
/* A line in pieces. */
void	 say_begin(struct client *);
void	 say_more(struct client *, struct buf *);
void	 say_end(struct client *);
void	 say_raw(struct client *, const uint8_t *, size_t);	/* lines of a message */
void	 client_done(struct client *, int code);
int64_t	 client_sees(const struct client *);	/* the uid whose mail it may see; -1: all mail */
struct client *client_find(uint32_t number);	/* NULL: it is gone */
bool	 control_overrun(void);			/* this turn's slice is used up */
bool	 client_pause(const struct client *);	/* it is, or the client has not read enough of its answer */
void	 control_dispatch(struct client *, char *line);

#endif
