/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_RUN_INT_H
#define SIM_RUN_INT_H

#include "sched/alloc.h"
#include "sim/heap.h"
#include "sim/predict.h"
#include "sim/run.h"

/* A job whose estimate may be raised, or whose allocation may be taken back. */
struct stint {
	int64_t left_ns;  /* of its run, when this stint began */
	int64_t from_ns;  /* of this stint */
	int64_t first_ns; /* prediction at submission */
	uint64_t end;     /* order of its end event; others are void */
	uint32_t raised;
};

struct runner {
	struct sim_trace *t;
	const struct sim_config *c;
	struct sim_run *ret;
	struct alloc *a;
	struct predict *predict;
	struct heap heap;
	struct stint *stints; /* by job; NULL: jobs run through and estimates hold */
	size_t next;          /* first job that has not arrived */
	int64_t wake_ns;      /* 0: none */
};

#endif
