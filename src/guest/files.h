/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_FILES_H
#define GUEST_FILES_H

/*
 * Files: docker cp, diff and export inside the VM.  Each request (files/ask.h) is answered by a
 * child of its own, in the root and the mounts of the payload; in a VM that was booted for its
 * files alone it puts the root together itself.
 *
 * Context: pid 1 of a VM.
 */

#include <sys/types.h>

#include "backend/payload.h"
#include "util/err.h"

/**
 * guest_files_start() - a child that answers one request
 * @payload:   whose root; 0: nothing runs here but hostel-guest
 * @ret_io:    its ends: in, out, and err, which says nothing
 * @ret_pidfd: readable when it ended
 */
struct err *guest_files_start(pid_t payload, struct payload_io *ret_io, pid_t *ret_pid,
			      int *ret_pidfd) MUST_USE;

#endif
