/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_LINGER_H
#define SHIM_LINGER_H

/*
 * Clients whose stream has ended.  They read all that was for them, then the end; their
 * input is thrown away until they close, at most 2 s: a socket closed with input unread
 * would reset the connection.
 */

#include <stddef.h>

#include "sys/poller.h"

struct lingerer;

struct lingerers {
	struct poller *poller;
	struct lingerer *first;
};

/**
 * linger_start() - end a client's stream
 * @fd:         consumed
 * @data, @len: what it is still to get; goes into the socket's own buffer, which outlives us
 */
void linger_start(struct lingerers *all, int fd, const char *data, size_t len);

/** linger_done() - close those that are left */
void linger_done(struct lingerers *all);

#endif
