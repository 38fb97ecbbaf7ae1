/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WORKER_LOOPDEV_H
#define WORKER_LOOPDEV_H

#include "util/err.h"

/**
 * loopdev_open() - a loop device over a container's own disk file
 * One that exists already is used, so that the kernel sees one file system and not two
 * when the container runs.  A new one goes away with its last user.
 */
struct err *loopdev_open(const char *file, int *ret_fd) MUST_USE;

#endif
