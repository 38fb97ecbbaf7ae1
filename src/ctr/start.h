/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTR_START_H
#define CTR_START_H

/*
 * The starter: what the shim forks to start a container or a further process in it.
 * It may use as much memory as it likes, for it ends as soon as the payload is on its
 * way.  The one table of phases is in start.c.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "backend/payload.h"

struct ctr_start {
	const char *state_dir;
	int report;       /* socket to the shim, see ctr/report.h */
	int in, out, err; /* ends that the payload gets; -1: none */
	bool is_tty;
	unsigned short rows, cols;
	const char *restore_dir; /* see ctr/dump.h; of a restore only */
	/* of an exec only */
	int process_fd; /* JSON file */
	int init_pidfd; /* of the container's first process */
	pid_t init_pid;
};

/** ctr_start_run() - in the forked child: start the container, then end */
_Noreturn void ctr_start_run(const struct ctr_start *s);

/** ctr_restore_run() - in the forked child: bring back what ctr_dump_run() wrote, then end */
_Noreturn void ctr_restore_run(const struct ctr_start *s);

/** ctr_exec_run() - in the forked child: start a further process, then end */
_Noreturn void ctr_exec_run(const struct ctr_start *s);

/** ctr_undo() - payload_ops.undo: see there */
struct err *ctr_undo(const char *state_dir) MUST_USE;

#endif
