/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_LOGS_H
#define SHIM_LOGS_H

#include <stdbool.h>

#include "shim/log_read.h"
#include "util/err.h"

#define LOGS_READY_FD 3

struct logs_options {
	const char *state_dir;
	struct log_query query;
	unsigned streams; /* SHIM_STDOUT | SHIM_STDERR */
	bool is_follow;   /* until exit.json is there, or the reader has gone */
	bool has_timestamps;
	bool is_raw;      /* no frames */
	bool tells_ready; /* LOGS_READY_FD is closed when the log is open */
};

/**
 * logs_print() - an instance's log to a descriptor
 * Context: a process of its own; blocks.
 */
struct err *logs_print(const struct logs_options *o, int out_fd) MUST_USE;

#endif
