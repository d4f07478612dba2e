/*
 * received: the Received: header that goes in front of a message (RFC 5321 4.4, RFC 6531 3.7.3).
 */
#ifndef RECEIVED_H
#define RECEIVED_H

struct buf;
struct session;

void	received_header(struct buf *, const struct session *);

#endif
