/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_GUEST_INT_H
#define GUEST_GUEST_INT_H

/* Shared by guest.c and boot.c only. */

#include <sys/types.h>

#include "agent/port.h"
#include "guest/boot.h"

struct session {
	struct session *next;
	struct guest *guest;
	uint16_t id;
	struct str text;
	pid_t pid;  /* 0: not started, or over */
	int master; /* of its pty, to resize */
	int n_open; /* sources not at their end */
	bool is_over;
	struct agent_source *out, *err;
	struct agent_sink *in;
};

struct guest {
	struct poller *poller;
	struct agent_port *port;
	int signals;
	struct session *sessions;
	struct guest_boot *boot; /* set by START 0 */
	bool is_idle;            /* no payload: a VM for exec alone */
	bool is_done;
	int64_t oom_kills;
};

#endif
