/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTR_CRIU_H
#define CTR_CRIU_H

/*
 * One run of criu: `criu swrk`, asked once, watched until it has ended.
 *
 * Its caller is a process of its own, forked for this, in a mount namespace of its own: what a
 * criu leaves mounted that was killed half-way goes with that, and all of them die with the shim.
 *
 * Context: blocks for as long as criu works, at most for the time limit.
 */

#include <sys/types.h>

#include "ctr/criu_msg.h"
#include "util/err.h"
#include "util/str.h"

struct criu_run {
	const char *program; /* NULL: where it is usually installed */
	enum criu_type type;
	const struct str *opts;
	int work_fd;     /* folder of its log */
	const char *log; /* name of the log in there */
	const int *fds;  /* that it inherits under the same number */
	size_t n_fds;
	int64_t timeout_ns;
	/* Optional: a stage is reached; it goes on when this returns NULL. @fd: borrowed, or -1. */
	struct err *(*stage)(void *arg, const char *name, pid_t pid, int fd);
	void *arg;
};

/**
 * criu_run() - run it
 * @ret_pid: RESTORE: the first process, child of the caller; may be NULL
 *
 * criu dies with the caller.
 * Return: NULL; ERR_UNSUPPORTED when there is no criu, or it is too old; ERR_UNAVAILABLE when
 *         it took too long (it is killed then); ERR_UNSUPPORTED with what stood in the way, by
 *         criu's log.
 */
struct err *criu_run(const struct criu_run *c, pid_t *ret_pid) MUST_USE;

/**
 * criu_log_reason() - what made it fail: the first line of its log that is an error, and not one
 * of those that are always there
 * @log: its text
 * Return: the line without its place in criu's source; NULL when there is none; owned by the
 *         caller.  Pure.
 */
char *criu_log_reason(const char *log);

#endif
