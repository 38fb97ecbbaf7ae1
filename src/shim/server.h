/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_SERVER_H
#define SHIM_SERVER_H

/*
 * The shim of one running instance: daemon's requests to payload's operations, and
 * payload's events to clients, log, exit record and daemon.
 *
 * Context: the whole of a hostel-shim process, one thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "backend/payload.h"
#include "util/err.h"

struct shim_options {
	const char *id, *kind, *state_dir, *run_dir;
	const char *restore_dir; /* NULL: a fresh start (backend/payload.h) */
	bool is_tty, has_stdin, is_stdin_once, is_detached;
	bool has_log;  /* json-file; else none */
	bool is_bound; /* ends with its daemon's connection: the payload is asked to end then */
	int64_t log_max_bytes;
	int log_max_files;
};

/**
 * shim_serve() - run until the payload has ended and the daemon knows (shim/proto.h)
 * @o:         borrowed strings
 * @ops:       of the kind
 * @listen_fd: listening socket, borrowed
 */
struct err *shim_serve(const struct shim_options *o, const struct payload_ops *ops,
		       int listen_fd) MUST_USE;

#endif
