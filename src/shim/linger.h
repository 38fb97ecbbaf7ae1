/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_LINGER_H
#define SHIM_LINGER_H

#include <stddef.h>

#include "sys/poller.h"

/**
 * linger_start() - end a client's stream in order
 * @fd:         consumed
 * @data, @len: what it is still to get; goes into the socket's own buffer, which outlives us
 *
 * The client reads all, then the end.  Its input is thrown away until it closes, at most
 * 2 s: a socket closed with input unread would reset the connection.
 */
void linger_start(struct poller *p, int fd, const char *data, size_t len);

#endif
