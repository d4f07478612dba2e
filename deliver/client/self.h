/*
 * self: is that host us? (RFC 5321 5.1: an MX list that leads to ourselves is a loop.)
 *
 * Used by route for hosts that were found by MX look-up. Owns the list of this machine's addresses.
 */
#ifndef SELF_H
#define SELF_H

#include "conf/conf.h"
#include "client/mx.h"

void	 self_init(const struct conf *);
/* By name, by address, or a loopback address on which this configuration listens at that port. arg is not used. */
bool	 self_is(const struct mx_host *, void *arg);

#endif
