/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_SCRATCH_H
#define SHIM_SCRATCH_H

/*
 * One buffer for everything that is read and handed on at once; given back to
 * the kernel when it was not used for a second, so that an idle shim stays small.
 */

#include "sys/poller.h"

#define SCRATCH_BYTES (64 * 1024)

struct scratch {
	struct poller *poller;
	char *buf; /* NULL while unused */
	struct poll_timer *idle;
	bool was_used; /* since the timer was started */
};

/** scratch_get() - SCRATCH_BYTES of memory, valid until the callback that asked returns */
char *scratch_get(struct scratch *s);

/** scratch_done() - release it now */
void scratch_done(struct scratch *s);

#endif
