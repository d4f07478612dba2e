/*
 * agent_letter: the bytes of one message on their way into a mailbox.
 *
 * Used by the agent and maildir. Deliver hands a message over as a sealed memfd with CRLF line ends; in a mailbox lines
 * end with LF. A letter owns its descriptor.
 */
#ifndef AGENT_LETTER_H
#define AGENT_LETTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LETTER_PIECE	(64 * 1024)
#define LETTER_TOP_MAX	1024		/* of the lines put in front */

struct letter {
	int		 fd;
	uint64_t	 length;
	uint8_t		*head;		/* its first bytes, LETTER_PIECE at most; for most messages all of it */
	size_t		 head_len;
};

/* Takes fd over, also on failure. -> 0, or -1 with errno: it is shorter than length, or cannot be read. */
int	 letter_open(struct letter *, int fd, uint64_t length);
void	 letter_close(struct letter *);
/* Its header has a Delivered-To: of this address. */
bool	 letter_was_delivered_to(const struct letter *, const char *rcpt);
/* Return-Path: and Delivered-To:, in top (LETTER_TOP_MAX). */
void	 letter_trace(char *top, const char *sender, const char *rcpt);
/* Writes top and the message with LF line ends. -> octets written, or -1 with errno. */
int64_t	 letter_write(const struct letter *, int out, const char *top);
/* src with LF line ends, to dst (n + 1 octets). *cr: a CR at the end waits for the next piece. -> octets. Pure. */
size_t	 letter_lf(uint8_t *dst, const uint8_t *src, size_t n, bool *cr);

#endif
