/*
 * body_priv: a message on its way in, as body.c has it and commit.c takes it over. Included by spool_priv.h alone.
 *
 * Memory is the body's own; a block of full size that is free again is kept for the next, since mapping it afresh costs more than a copy.
 */
#ifndef BODY_PRIV_H
#define BODY_PRIV_H

#include "spool/record.h"
#include "spool/spool.h"

#define BODY_MEM	(128 * 1024)		/* of one message in memory */
#define BODY_MEM_ALL	(64 * 1024 * 1024)	/* of all of them */
#define BLOCKS		64			/* kept */

struct blocks {
	uint8_t		*free[BLOCKS];		/* of BODY_MEM each */
	size_t		 n;
};

struct body_priv {
	struct spool	*spool;
	const struct p_env *env;
	uint8_t		*mem;
	size_t		 cap;
	uint32_t	 crc;			/* of the message so far */
	int		 fd;			/* -1: in memory */
	uint64_t	 name;			/* tmp/m-NAME */
	uint64_t	 base;			/* where the message begins in its file */
	size_t		 env_len;
	uint8_t		 rnd[RND_LEN];
};

int	 body_seal(struct body *, const struct p_env *);	/* spilled: writes the headers */
int	 body_spill(struct body *);
void	 body_free_mem(struct body *);
void	 body_close(struct spool *);			/* gives back the memory that is kept */

#endif
