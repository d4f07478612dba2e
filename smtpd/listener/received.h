/*
 * trace: the Received: header that goes in front of a message (RFC 5321 4.4, RFC 6531 3.7.3).
 */
#ifndef TRACE_H
#define TRACE_H

struct buf;
struct session;

void	trace_received(struct buf *, const struct session *);

#endif
