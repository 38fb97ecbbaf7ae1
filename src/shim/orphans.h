/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_ORPHANS_H
#define SHIM_ORPHANS_H

/*
 * A subreaper inherits processes whose parents died: those of a container that shares the
 * host's pids.  They must be reaped, but never a child that the backend waits for: what
 * has been a zombie for ORPHAN_NS and is not said to be known is an orphan.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "sys/poller.h"

#define ORPHAN_NS INT64_C(1000000000)

struct orphans {
	struct poller *poller;
	struct poll_timer *timer;
	pid_t seen; /* zombie for which the timer runs */
	/* Is @pid the backend's, or may it be (a start is under way)? */
	bool (*is_known)(void *arg, pid_t pid);
	void *arg;
};

/** orphans_look() - after every step of the poller */
void orphans_look(struct orphans *o);

/** orphans_done() - stop */
void orphans_done(struct orphans *o);

#endif
