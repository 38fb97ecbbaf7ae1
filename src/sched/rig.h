/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SCHED_RIG_H
#define SCHED_RIG_H

/*
 * For tests: an event loop around an allocator, as plain as can be.  Not the simulator.
 */

#include "sched/alloc.h"

#define SEC 1000000000LL

struct rig_job {
	int64_t submit, run, est; /* seconds */
	struct amounts demand;
	int32_t priority;
	uint32_t user;
	int64_t deadline;
	int64_t start, end; /* seconds; filled in */
	uint32_t node, handle;
	uint64_t nth; /* start: the how manyth */
};

struct rig {
	struct alloc *a;
	struct rig_job *jobs; /* by submit */
	size_t n;
	bool seq;
	/* After each pass, for properties; may be NULL. */
	void (*seen)(struct rig *r, int64_t now);
	void *arg;
	size_t *running; /* heap by (end, start order) */
	size_t n_running, n_started, n_arrived;
};

/** rig_run() - all jobs to their ends */
void rig_run(struct rig *r);

/** rig_random() - the next of a stream (splitmix64), below @n */
uint64_t rig_random(uint64_t *state, uint64_t n);

#endif
