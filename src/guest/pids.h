/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_PIDS_H
#define GUEST_PIDS_H

/*
 * --pids-limit inside a VM: a cgroup of the guest's kernel around the payload and its execs.
 * The hierarchy is mounted nowhere, so the payload does not see it.  A process is born into the
 * group: hostel-guest itself is inside while it forks.
 * Spec: Documentation/admin-guide/cgroup-v2.rst
 * Context: pid 1 of a VM.
 */

#include <stdint.h>

#include "util/err.h"

/**
 * guest_pids_make() - the group
 * @limit:   processes and threads, 1 or more
 * @ret_dir: descriptor of the hierarchy's root, for guest_pids_enter(); owned by the caller
 */
struct err *guest_pids_make(int64_t limit, int *ret_dir) MUST_USE;

/** guest_pids_enter() - what is forked from now on counts; @dir of -1: there is no limit */
struct err *guest_pids_enter(int dir) MUST_USE;

/** guest_pids_leave() - and no more */
void guest_pids_leave(int dir);

#endif
