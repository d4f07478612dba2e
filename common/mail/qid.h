/*
 * qid: the text of a queue id.
 *
 * A queue id is 63 bits: seconds of the run's start, counter, random bits (queue/core/id.c makes them). Its text is 13
 * characters of Crockford's base 32 alphabet, upper case, always the same length. Pure code.
 */
#ifndef QID_H
#define QID_H

#include <stdbool.h>
#include <stdint.h>

#define QID_LEN 13

struct qid_text {
	char	s[QID_LEN + 1];
};

struct qid_text qid_text(uint64_t);
/* False if s is not the text of an id. Lower case is taken too. */
bool	 qid_parse(const char *s, uint64_t *);

#endif
