/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_RESULT_H
#define SIM_RESULT_H

/*
 * What a simulation came to.  Per job: turnaround = end - submission, waiting = turnaround - run
 * time (time sliced out counts as waiting), slowdown = turnaround / run time, bounded slowdown =
 * max(1, turnaround / max(run time, 10 s)).  Percentiles are nearest-rank.
 *
 * Spec: docs/numbers.md.
 */

#include "sim/trace.h"

struct sim_dist {
	double mean, median, p95, p99, max;
};

/* Jobs of one priority, when a trace has more than one and at most this many. */
#define SIM_CLASSES_MAX 16

struct sim_class {
	int32_t priority;
	uint64_t jobs;
	double wait_s, turnaround_s; /* means */
};

struct sim_result {
	char *policy; /* as it was asked for, "easy"; owned */
	char *rule;   /* in full, "fcfs/easy"; owned */
	const char *info, *events, *schedule;
	uint64_t jobs, dropped;
	struct sim_dist wait_s, turnaround_s, slowdown, bounded_slowdown;
	double makespan_s;   /* last end - first submission */
	double utilisation;  /* sum of cpus * run time / (cpus of the machine * makespan) */
	double run_total_s;  /* T_total */
	double wait_total_s; /* T_wait */
	double jain;         /* of run time / turnaround by user: 1 is fair, 1/n is one user's */
	uint64_t users;
	struct sim_class classes[SIM_CLASSES_MAX];
	size_t n_classes; /* 0: of one priority, or too many */
	/* How it was computed */
	uint64_t passes, preemptions;
	uint64_t queue_max; /* most that waited at once */
	double elapsed_s,
	    read_s; /* set by the caller, who has a clock: the run, reading the trace */
};

void sim_result_done(struct sim_result *r);

/**
 * sim_result_sum() - over all jobs of a trace that was run
 * @cpu_milli: of the machine
 * @ret:       the numbers above "How it was computed" are set, no more
 * Context: needs 32 bytes per job while it works.
 */
void sim_result_sum(const struct sim_trace *t, int64_t cpu_milli, struct sim_result *ret);

#endif
