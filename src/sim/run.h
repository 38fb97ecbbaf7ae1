/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_RUN_H
#define SIM_RUN_H

/*
 * Replays a trace through the scheduler, the same objects that hosteld links, under a virtual
 * clock.
 *
 * At one instant, `batch` semantics: estimates that ran out, then what ends, then what arrives in
 * the order of the trace, then one pass.  `seq`: estimates that ran out, then arrivals, then ends,
 * one at a time with a pass after each arrival and end; what is planned to have ended counts as
 * free.
 *
 * Context: pure computing; no clock, files or threads.
 */

#include "sched/alloc.h"
#include "sim/result.h"

/* What planners know of run times. */
enum sim_info {
	SIM_INFO_EST,     /* the user's estimate */
	SIM_INFO_ACT,     /* the real one */
	SIM_INFO_TSAFRIR, /* mean of the user's last two, raised in steps */
	SIM_INFO_COUNT,
};

/* One interval in which a job ran. */
struct sim_slice {
	int64_t from_ns, to_ns;
	uint32_t job;
};

struct sim_config {
	const char *policy; /* ORDER[/FILL] */
	enum sim_info info;
	bool seq;
	const char *schedule; /* NULL or "fcfs": to completion */
	int64_t quantum_ns;   /* rr, mlfq */
	double overcommit;    /* of cpus; above 1: who runs of those admitted is @schedule's */
	enum alloc_place place;
	int64_t max_wait_ns, aging_ns, turn_ns; /* 0: none */
	int64_t age_ns, boost_ns;               /* of @schedule priority and mlfq; 0: none */
	/* The machine: one pool when n_nodes is 0, else nodes that a job must fit into */
	struct amounts pool;
	const struct amounts *nodes; /* borrowed */
	size_t n_nodes;
	/*
	 * What happened to the host, as the trace has it (sim_trace.changes): batch, one pool. What
	 * waits when nothing happens any more is let in without quotas and what others hold.
	 */
	bool changes;
	size_t slices_max; /* record that many intervals; 0: none */
	void (*progress)(void *arg, uint64_t done, uint64_t total); /* may be NULL */
	void *arg;
};

struct sim_run {
	struct sim_result result;
	struct sim_slice *slices; /* in order of their end; fewer than ran when n is slices_max */
	size_t n_slices;
};

void sim_run_done(struct sim_run *r);

static inline void own_sim_run_release(struct sim_run *r)
{
	sim_run_done(r);
}

const char *sim_info_name(enum sim_info i);

/** sim_label_of() - of the first "rr:LABEL" in a list of policies, owned by the caller; else NULL
 */
struct err *sim_label_of(const char *policies, char **ret) MUST_USE;

/**
 * sim_run() - run all jobs of @t to their end
 * @t:   start_ns and end_ns of its jobs are set
 * Return: NULL; ERR_INVALID for a policy or schedule that is none, or
 * what does not go together; ERR_STATE
 * when jobs are left that never start.
 */
struct err *sim_run(struct sim_trace *t, const struct sim_config *c, struct sim_run *ret) MUST_USE;

#endif
