/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_LINK_H
#define SHIM_LINK_H

/*
 * The shim's end of the connection to its daemon.  The newest connection is the
 * daemon; an older one is closed.  A daemon that does not read is given up when
 * LINK_QUEUE_MAX messages wait for it.
 */

#include <stdbool.h>

#include "shim/msg.h"
#include "sys/poller.h"
#include "sys/sock.h"

#define LINK_QUEUE_MAX 1024

struct link;

struct link_events {
	void (*opened)(void *arg);
	/* @fds: SOCK_MSG_FDS_MAX of them, -1 when unused; those taken are set to -1, the rest is
	 * closed after the call.  @m: type may be unknown */
	void (*message)(void *arg, const struct shim_msg *m, int *fds);
	void (*lost)(void *arg); /* nobody is connected now */
};

/** link_new() - accept connections on @listen_fd (borrowed) */
struct link *link_new(struct poller *p, int listen_fd, const struct link_events *events, void *arg);

/** link_free() - close the connection too; NULL is fine */
void link_free(struct link *l);

/** link_is_open() - is a daemon connected? */
bool link_is_open(const struct link *l);

/** link_send() - Return: was it sent or queued? */
bool link_send(struct link *l, const struct shim_msg *m);

#endif
