/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTR_CHECKPOINT_H
#define CTR_CHECKPOINT_H

/*
 * A checkpoint of a running container, from the shim's side: it is frozen, a child writes its state
 * (ctr/dump.h), and it stands still until it is let go.  One per container at a time.
 *
 * Context: the shim's one thread; callbacks come from its poller.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "ctr/dump.h"
#include "sys/poller.h"
#include "util/err.h"

struct checkpoint;

struct checkpoint_config {
	struct poller *poller;
	const char *cgroup;   /* borrowed for as long as the checkpoint lives */
	struct ctr_dump dump; /* report is filled in; borrowed until the child is forked */
	/* The state is written, or (@e, consumed) it is not, and it runs on.  @text: JSON. */
	void (*done)(void *arg, struct err *e, const char *text);
	void *arg;
};

/** checkpoint_begin() - freeze it and have its state written; nothing has happened on an error */
struct err *checkpoint_begin(const struct checkpoint_config *c, struct checkpoint **ret) MUST_USE;

/** checkpoint_is_busy() - is the state still being written? */
bool checkpoint_is_busy(const struct checkpoint *c);

/**
 * checkpoint_set_frozen() - whether it is to be frozen after the end: until this is said, if it was
 * before
 */
void checkpoint_set_frozen(struct checkpoint *c, bool on);

/** checkpoint_abort() - the container has ended: done() hears of it if it was being written */
void checkpoint_abort(struct checkpoint *c);

/** checkpoint_release() - let it go on: its packets too */
struct err *checkpoint_release(struct checkpoint *c) MUST_USE;

/** checkpoint_free() - NULL is fine; lets nothing go */
void checkpoint_free(struct checkpoint *c);

#endif
